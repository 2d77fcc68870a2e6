// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's listeners to broadcasts (assembly/association/broadcast.ts): events in, actions out.
 * Decides nothing. Tested in tests/interop/broadcast.test.ts.
 *
 * @module
 */

import { oldVersion, type Actions, type CoreEvents, type Moment, type OpenOptions } from "./events.ts";

export class BroadcastCore {
  readonly #events: CoreEvents;

  constructor(events: CoreEvents) {
    this.#events = events;
  }

  open(index: number, options: Pick<OpenOptions, "version" | "key">): void {
    this.#events.core.exports.broadcastOpen(index, oldVersion(options.version));
    this.#events.useKey(index, options.key);
  }

  timer(index: number, nowNs: bigint, random: bigint): Actions {
    const events = this.#events;
    return events.actions(events.core.exports.broadcastTimer(index, events.monotonic(nowNs), random));
  }

  /** A broadcast of the server's. */
  packet(index: number, data: Uint8Array, came: Moment, now: { monotonic: bigint; random: bigint }): Actions {
    const events = this.#events;
    const length = events.take(index, data, came);
    return events.actions(events.core.exports.broadcastPacket(index, length, events.monotonic(now.monotonic), now.random));
  }

  /** What may be the answer to a request of the volley. */
  reply(index: number, data: Uint8Array, came: Moment, nowNs: bigint): Actions {
    const events = this.#events;
    const length = events.take(index, data, came);
    return events.actions(events.core.exports.broadcastReply(index, length, events.monotonic(nowNs)));
  }
}
