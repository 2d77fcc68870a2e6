// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Datagrams that come before it is known when our own packet left: an answer cannot be judged without that stamp.
 *
 * They wait, as many as a server could mean; a flood beyond that is dropped. Tested in early.test.ts.
 *
 * @module
 */

import type { Datagram } from "../host.ts";

/** One answer is due; the rest is room for junk. */
const LIMIT = 16;

export class EarlyDatagrams {
  readonly #limit: number;
  readonly #waiting: Datagram[] = [];

  constructor(limit = LIMIT) {
    this.#limit = limit;
  }

  /** Keep it, with a copy of its octets: the socket may use theirs again. */
  hold(datagram: Datagram): void {
    if (this.#waiting.length < this.#limit) this.#waiting.push({ ...datagram, data: datagram.data.slice() });
  }

  /** The stamp is known: hand them on, in the order that they came. What `take` holds anew waits for the next time. */
  release(take: (datagram: Datagram) => void): void {
    for (const datagram of this.#waiting.splice(0)) take(datagram);
  }
}
