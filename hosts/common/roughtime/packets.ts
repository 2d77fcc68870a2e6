// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime packets out of a stream of octets (RFC 10049 §5): any splitting, a bound on each, the end at the first octets
 * that are no packet. Tested in packets.test.ts at every split.
 *
 * @module
 */

import type { ByteStream } from "../stream.ts";
import { roughtimeCore } from "./core.ts";
import { concat } from "../octets.ts";

/** The packets of a stream until it ends. @throws {Error} when it goes on with something else. */
export async function* packetsOf(stream: Pick<ByteStream, "read">): AsyncGenerator<Uint8Array, void, undefined> {
  const core = roughtimeCore();
  let held: Uint8Array = new Uint8Array(0);
  for (;;) {
    const length = core.packetLength(held);
    if (length < 0) throw new Error(`expected a Roughtime packet of at most ${core.longest} octets`);
    if (length > 0 && held.length >= length) {
      yield held.slice(0, length);
      held = held.subarray(length);
      continue;
    }
    const more = await stream.read();
    if (!more) return;
    held = concat(held, more);
  }
}
