// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The page's timer, what it can tell apart, and the coarse clock of the page's own clock. Tested in clock.test.ts.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";

/** What the page's own clock needs of a host's. */
export type CoarseClock = Pick<HostClock, "now" | "monotonic" | "precision">;

/** Watched for so long, ms: three steps of the coarsest timers in use. */
const WATCHED_MS = 3;
/** A timer that does not move at all is taken for one of 1 ms. */
const READINGS = 1_000_000;
const UNMOVED_MS = 1;

/** The least step of `performance.now()`, s; as long as a reading takes, if that is more. */
export function timerStep(timer: { now(): number } = performance): number {
  let least = Infinity;
  let last = timer.now();
  const end = last + WATCHED_MS;
  for (let i = 0; i < READINGS && last < end; i++) {
    const next = timer.now();
    if (next > last) least = Math.min(least, next - last);
    last = next;
  }
  return (least < Infinity ? least : UNMOVED_MS) / 1000;
}

/** Monotonic ns. */
export function monotonicNs(): bigint {
  return BigInt(Math.round(performance.now() * 1e6));
}

/** The wall clock in whole milliseconds: enough to see that it jumped. For the page's own clock, which needs no more. */
export function coarseClock(): CoarseClock {
  return { now: () => BigInt(Date.now()) * 1_000_000n, monotonic: monotonicNs, precision: timerStep() };
}
