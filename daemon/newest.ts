// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The service thread's newest snapshot: where it has none that is fresh, the sampling thread is asked for one, at most once a
 * second however many observers there are. Tested in newest.test.ts.
 *
 * @module
 */

import type { Snapshot } from "./report.ts";

/** A snapshot older than this is not told; one is asked for no more often; and the sampling thread is awaited for so long. */
const FRESH_MS = 1500;
export const ASK_EVERY_MS = 1000;
const AWAIT_MS = 2000;

/** The newest snapshot; others are asked for as they are wanted. */
export class Newest {
  readonly #ask: (once: boolean) => void;
  readonly #waiting = new Set<() => void>();
  #snapshot: Snapshot | undefined;
  #at = -Infinity;
  #askedAt = -Infinity;

  /** `ask` is told whether this is one question by itself, or others are to be expected soon. */
  constructor(ask: (once: boolean) => void) {
    this.#ask = ask;
  }

  take(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#at = performance.now();
    for (const go of [...this.#waiting]) go();
  }

  latest(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** s since the newest was taken; Infinity before the first. */
  get age(): number {
    return (performance.now() - this.#at) / 1000;
  }

  want({ once = false } = {}): void {
    const now = performance.now();
    if (now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    this.#ask(once);
  }

  /** One that is hardly a second old; the latest where the sampling thread has something better to do. */
  fresh(how: { readonly once?: boolean } = {}): Promise<Snapshot | undefined> {
    const old = performance.now() - this.#at >= FRESH_MS;
    this.want(how);
    if (!old) return Promise.resolve(this.#snapshot);
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        this.#waiting.delete(go);
        resolve(this.#snapshot);
      };
      const timer = setTimeout(go, AWAIT_MS);
      this.#waiting.add(go);
    });
  }
}
