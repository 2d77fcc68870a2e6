// SPDX-License-Identifier: MIT OR Apache-2.0
/** How long a client waits before it establishes keys again. RFC 8915 §4.2. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.ts";

const FIVE_DAYS = 432_000;
const waits = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.attempted());

describe("the wait", () => {
  it("begins with 10 s, grows by half each time, and ends at five days", () => {
    const all = waits(new Backoff(() => 0), 40);
    expect(all.slice(0, 4)).toEqual([10, 15, 22.5, 33.75]);
    expect(all[26]).toBeLessThan(FIVE_DAYS);
    expect(all.slice(27)).toEqual(new Array(13).fill(FIVE_DAYS));
  });

  it("is never shorter than the RFC's, and at most a quarter longer", () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 0.999999, noNaN: true }), fc.integer({ min: 1, max: 80 }), (random, count) => {
      const least = Math.min(10 * 1.5 ** (count - 1), FIVE_DAYS);
      const wait = waits(new Backoff(() => random), count).at(-1)!;
      expect(wait).toBeGreaterThanOrEqual(least);
      expect(wait).toBeLessThanOrEqual(1.25 * least);
    }), { numRuns: 300 });
  });

  it("begins anew once keys have worked", () => {
    const backoff = new Backoff(() => 0);
    waits(backoff, 12);
    backoff.worked();
    expect(backoff.attempted()).toBe(10);
  });

  it("goes on growing while keys are got that do not work: establishing them resets nothing", () => {
    const backoff = new Backoff(() => 0);
    const all = waits(backoff, 20);
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(backoff.attempts).toBe(20);
  });

  it("stays a number for ever", () => {
    expect(waits(new Backoff(), 5000).at(-1)).toBeLessThanOrEqual(1.25 * FIVE_DAYS);
  });
});
