// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clocks of a page or a worker: `Date.now()` for the wall, `performance.now()` for everything between.
 *
 * The timer is coarse on purpose (100 µs in Chromium, 5 µs where the page is cross-origin isolated, 1 ms elsewhere), so its
 * step is measured and enters each sample's dispersion. It stands still while a computer with Linux sleeps, which is seen by
 * `Date.now()`. Tested in clock.test.ts and, in Chromium, in tests/browser.
 *
 * @module
 */

import { AnchoredClock } from "../common/clock/anchored.ts";
import type { HostClock } from "../common/host.ts";
import { monotonicNs, timerStep } from "./timer.ts";

/** The wall clock as fine as the timer can tell it. */
export function runtimeClock(): HostClock {
  const anchored = new AnchoredClock({ wallMs: Date.now, monotonicNs }, "Date.now + performance.now");
  return {
    now: () => anchored.now(),
    monotonic: monotonicNs,
    // Readings of a coarse timer say more often nothing than something: its step is the least that can be told.
    precision: timerStep(),
    description: anchored.description,
  };
}
