// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock of a Worker: `Date.now()`, in whole milliseconds, and it stands still between two events of input or output.
 *
 * So a reading is the time of the last event, never later than the truth. T1 read too early makes a sample's delay longer: the
 * bound grows. T4 is read in the event that brought the reply, and is cut by less than a millisecond: that is the precision, which
 * enters dispersion. What a Worker computes between two events takes no time by this clock; durations of code cannot be measured.
 * Tested in clock.test.ts and tests/edge.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";

const NS_PER_MS = 1_000_000n;

/** `nowMs`: the runtime's. */
export function workerClock(nowMs: () => number = Date.now): HostClock {
  const started = nowMs();
  let latest = 0;
  return {
    now: () => BigInt(Math.floor(nowMs())) * NS_PER_MS,
    // There is no other timer than this one; at least it does not go back.
    monotonic: () => {
      latest = Math.max(latest, nowMs() - started);
      return BigInt(Math.floor(latest)) * NS_PER_MS;
    },
    precision: 0.001,
    description: "Date.now, which moves with input and output only",
  };
}
