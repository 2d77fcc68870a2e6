// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's search for servers (assembly/association/manycast.ts): events in, actions out. Decides nothing.
 * Tested in manycast.test.ts.
 *
 * @module
 */

import type { Actions, CoreEvents, Moment } from "./events.ts";

export class ManycastCore {
  readonly #events: CoreEvents;

  constructor(events: CoreEvents) {
    this.#events = events;
  }

  open(which: number, version: 3 | 4, limit: number): void {
    this.#events.core.exports.manycastOpen(which, version, limit);
  }

  close(which: number): void {
    this.#events.core.exports.manycastClose(which);
  }

  timer(which: number, nowNs: bigint, random: bigint): Actions {
    const events = this.#events;
    return events.actions(events.core.exports.manycastTimer(which, events.monotonic(nowNs), random));
  }

  /** When the request to everybody left, on the steered clock. */
  sent(which: number, timeNs: bigint): void {
    this.#events.core.exports.manycastSent(which, this.#events.timestamp(timeNs));
  }

  /** Whether a datagram is the answer of a server that may be followed. */
  reply(which: number, data: Uint8Array, came: Moment): boolean {
    const events = this.#events;
    const length = events.put(data);
    if (length === undefined) return false;
    return events.core.exports.manycastReply(which, length, events.timestamp(came.time), events.monotonic(came.monotonic)) !== 0;
  }

  /** Source `index` follows a server that was found. */
  follow(which: number, index: number): void {
    this.#events.core.exports.manycastFollow(which, index);
  }

  /** The sources whose servers were found and are gone: they are to be closed. */
  lost(which: number): number[] {
    const { exports } = this.#events.core;
    const lost: number[] = [];
    for (let index = exports.manycastLost(which); index >= 0; index = exports.manycastLost(which)) lost.push(index);
    return lost;
  }
}
