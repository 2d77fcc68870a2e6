// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How long a client waits before it establishes keys again (RFC 8915 §4.2). A state and a formula; no timers.
 *
 *   t = min(10 · 1.5^(n-1), 432000) s after the n-th attempt, and up to a quarter more by chance
 *
 * The RFC's 10 s, 1.5 and 5 days are a least wait, so that chance only adds: servers that come back are not asked by all their
 * clients in one moment. (chrony begins at 16 s, or 1024 s once TLS stood, doubles, and ends at 6 days.) An attempt counts
 * whether keys came of it or not: only NTP with those keys shows that they are any good, and only that resets the count.
 * Else a server whose keys never work would be asked for new ones without end. Tested in backoff.test.ts.
 *
 * @module
 */

/** s */
const FIRST = 10;
const BASE = 1.5;
/** s: five days */
const MOST = 432_000;
/** Part of the wait that chance may add. */
const JITTER = 0.25;
/** From here on the wait no longer grows; the count need not either. */
const ATTEMPTS_MOST = 64;

export class Backoff {
  readonly #random: () => number;
  #attempts = 0;

  /** `random` gives numbers from 0 up to 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Attempts since keys last worked. */
  get attempts(): number {
    return this.#attempts;
  }

  /** An attempt was made. Returns the seconds to let pass before the next, should one be needed. */
  attempted(): number {
    this.#attempts = Math.min(this.#attempts + 1, ATTEMPTS_MOST);
    const wait = Math.min(FIRST * BASE ** (this.#attempts - 1), MOST);
    return wait * (1 + JITTER * this.#random());
  }

  /** An authenticated answer came under the keys of the last attempt. */
  worked(): void {
    this.#attempts = 0;
  }
}
