// SPDX-License-Identifier: MIT OR Apache-2.0
/** A countdown that reaches nought at one moment on every screen, however wrong the computers' clocks are. */

import { theClock } from "./bundler.js";

/** Calls `show(seconds)` at each whole second before `end` (a Date), and `show(0)` at it. Returns how to stop. */
export async function countdown(end, show, relay) {
  const clock = await theClock(relay);
  let timer;
  const tick = () => {
    const left = end.getTime() - Number(clock.nowNs() / 1000n) / 1000;
    const whole = Math.max(0, Math.round(left / 1000));
    show(whole);
    // Not each 1000 ms: the next edge by the clock that all agree on.
    if (whole > 0) timer = setTimeout(tick, left - (whole - 1) * 1000);
  };
  const left = end.getTime() - Number(clock.nowNs() / 1000n) / 1000;
  timer = setTimeout(tick, left > 0 ? left % 1000 : 0);
  return () => clearTimeout(timer);
}
