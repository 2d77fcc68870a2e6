// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One message of key establishment off a stream, with limits: nobody can make us keep more than that, nor look at octets
 * again and again. Time is the caller's to limit, by closing the stream. Tested in receive.test.ts at every split.
 *
 * @module
 */

import { readKeMessage, type KeLimits, type KeRecord } from "../core/cold.ts";
import type { ByteStream } from "../stream.ts";

/** A whole message; or why there is none, and whether for a critical record that is not known here. */
export type Received =
  | { readonly records: readonly KeRecord[] }
  | { readonly refused: string; readonly unknownCritical: boolean }
  /** The stream ended after so many octets. */
  | { readonly ended: number };

/** Rejects with the stream's error when it fails. */
export async function receiveKeMessage(stream: ByteStream, limits: KeLimits): Promise<Received> {
  let buffer = new Uint8Array(1024);
  let length = 0;
  let wanted = 1;
  for (;;) {
    while (length < wanted) {
      const data = await stream.read();
      if (!data) return { ended: length };
      // What is beyond the limit need not be kept for the message to be refused.
      const kept = data.subarray(0, limits.octets + 1 - length);
      buffer = withRoom(buffer, length, kept.length);
      buffer.set(kept, length);
      length += kept.length;
    }
    const told = readKeMessage(buffer.subarray(0, length), limits);
    if (told.verdict === "complete") return { records: told.records };
    if (told.verdict === "refused") return { refused: told.why, unknownCritical: told.unknownCritical };
    wanted = told.wanted;
  }
}

/** Doubles, so that the whole is copied a few times only. */
function withRoom(buffer: Uint8Array<ArrayBuffer>, length: number, more: number): Uint8Array<ArrayBuffer> {
  if (length + more <= buffer.length) return buffer;
  const larger = new Uint8Array(Math.max(2 * buffer.length, length + more));
  larger.set(buffer.subarray(0, length));
  return larger;
}
