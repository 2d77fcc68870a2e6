// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the page's timer can tell apart. Tested in clock.test.ts.
 *
 * @module
 */

/** Watched for so long, ms: three steps of the coarsest timers in use. */
const WATCHED_MS = 3;

/** The least step of `performance.now()`, s; as long as a reading takes, if that is more. */
export function timerStep(timer: { now(): number } = performance): number {
  let least = Infinity;
  let last = timer.now();
  const end = last + WATCHED_MS;
  while (last < end) {
    const next = timer.now();
    if (next > last) least = Math.min(least, next - last);
    last = next;
  }
  return least / 1000;
}
