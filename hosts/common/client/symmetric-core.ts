// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's peers (assembly/association/symmetric.ts): events in, actions out. Decides nothing.
 * Tested in tests/interop/symmetric.test.ts.
 *
 * @module
 */

import { oldVersion, type Actions, type CoreEvents, type Moment, type OpenOptions } from "./events.ts";
import { refidOf } from "./refid.ts";

export class SymmetricCore {
  readonly #events: CoreEvents;

  constructor(events: CoreEvents) {
    this.#events = events;
  }

  /** Peer with somebody. `ourAddress`: the address that the peer knows us by. */
  open(index: number, options: OpenOptions & { passive: boolean; ourAddress?: string | undefined }): void {
    const { version, minPoll, maxPoll, passive, ourAddress } = options;
    const { core } = this.#events;
    core.exports.symmetricOpen(index, oldVersion(version), minPoll, maxPoll, passive ? 1 : 0, ourAddress ? refidOf(core, ourAddress) : 0);
    this.#events.useKey(index, options.key);
  }

  timer(index: number, now: Moment, random: bigint): Actions {
    const events = this.#events;
    return events.actions(events.core.exports.symmetricTimer(index, events.monotonic(now.monotonic), random, events.timestamp(now.time)));
  }

  /** When the packet to a peer left, on the steered clock. */
  sent(index: number, timeNs: bigint): void {
    this.#events.core.exports.symmetricSent(index, this.#events.timestamp(timeNs));
  }

  /** A datagram from a peer. */
  packet(index: number, data: Uint8Array, came: Moment, now: Moment & { random: bigint }): Actions {
    const events = this.#events;
    const length = events.take(index, data, came);
    return events.actions(events.core.exports.symmetricPacket(index, length, events.monotonic(now.monotonic), now.random, events.timestamp(now.time)));
  }
}
