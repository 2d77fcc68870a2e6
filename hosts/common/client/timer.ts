// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core's timers are moments on the steered clock's monotonic scale; the runtime's are delays. Tested in engine.test.ts.
 *
 * @module
 */

import type { SteeredClock } from "../clock/steered.ts";

const NS_PER_MS = 1e6;
/** setTimeout takes no more than 2^31 - 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Call `act` when the clock's monotonic scale reads `timeNs`; at once if it already does. */
export function timerAt(clock: SteeredClock, timeNs: bigint, act: () => void): ReturnType<typeof setTimeout> {
  const delay = Number(timeNs - clock.monotonic()) / NS_PER_MS;
  return setTimeout(act, Math.max(0, Math.min(delay, LONGEST_TIMER_MS)));
}
