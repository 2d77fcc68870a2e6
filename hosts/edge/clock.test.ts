// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { workerClock } from "./clock.ts";

describe("a Worker's clock", () => {
  it("tells whole milliseconds, and never more than there were", () => {
    const clock = workerClock(() => 1_700_000_000_123.9);
    expect(clock.now()).toBe(1_700_000_000_123_000_000n);
    // What is cut off is within its precision, which enters every bound.
    expect(clock.precision).toBeGreaterThanOrEqual(0.001);
  });

  it("is monotonic where the wall clock is not", () => {
    let now = 1000;
    const clock = workerClock(() => now);
    now = 1500;
    expect(clock.monotonic()).toBe(500_000_000n);
    now = 400;
    expect(clock.monotonic()).toBe(500_000_000n);
    expect(clock.now()).toBe(400_000_000n);
  });
});
