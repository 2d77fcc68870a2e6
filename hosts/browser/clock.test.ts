// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a page's timer can tell, for timers of every kind in use. */
import { describe, expect, test } from "vitest";
import { runtimeClock } from "./clock.ts";
import { timerStep } from "./timer.ts";

/** A timer that shows multiples of `step` ms, each reading of which takes `cost` ms. */
function coarse(step: number, cost = 0.0001): { now(): number } {
  let time = 12.3;
  return { now: () => Math.floor((time += cost) / step) * step };
}

describe("the page's timer", () => {
  test.each([[0.1, 100e-6], [0.005, 5e-6], [1, 1e-3], [16, 16e-3]])("of %f ms is known for it", (step, expected) => {
    expect(timerStep(coarse(step))).toBeCloseTo(expected, 7);
  });

  test("finer than its readings tells what a reading takes", () => {
    expect(timerStep(coarse(0.000001, 0.002))).toBeCloseTo(2e-6, 8);
  });

  test("that stands still does not hold anybody up", () => {
    expect(timerStep({ now: () => 5 })).toBe(1e-3);
  });

  test("and the wall clock make a clock that is near Date.now()", () => {
    const clock = runtimeClock();
    const before = Date.now();
    const told = Number(clock.now()) / 1e6;
    expect(told).toBeGreaterThan(before - 5);
    expect(told).toBeLessThan(Date.now() + 5);
    expect(clock.precision).toBeGreaterThan(0);
  });
});
