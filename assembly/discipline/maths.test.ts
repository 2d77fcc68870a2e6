// SPDX-License-Identifier: MIT OR Apache-2.0
/** exp and log of the core against the engine's, which are good to an ulp. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";

const { exponential, logarithm } = new Core().exports;
/** How far two doubles are apart, in units of the last place; for those of one sign. */
function ulps(a: number, b: number): number {
  const view = new DataView(new ArrayBuffer(16));
  view.setFloat64(0, a);
  view.setFloat64(8, b);
  const apart = view.getBigInt64(0) - view.getBigInt64(8);
  return Number(apart < 0n ? -apart : apart);
}

describe("the core's exp", () => {
  test("is within 4 ulps", () => {
    fc.assert(fc.property(fc.double({ min: -708, max: 709, noNaN: true }), (x) => ulps(exponential(x), Math.exp(x)) <= 4), { numRuns: 20_000 });
  });

  test("is 1 at 0, and keeps to its ends", () => {
    expect([exponential(0), exponential(-0), exponential(710), exponential(-746), exponential(Infinity), exponential(-Infinity), exponential(NaN)]).toEqual([1, 1, Infinity, 0, Infinity, 0, NaN]);
    // Subnormal results.
    fc.assert(fc.property(fc.double({ min: -745, max: -708, noNaN: true }), (x) => ulps(exponential(x), Math.exp(x)) <= 2));
  });
});

describe("the core's log", () => {
  test("is within 3 ulps", () => {
    fc.assert(fc.property(fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true }), (x) => ulps(logarithm(x), Math.log(x)) <= 3), { numRuns: 20_000 });
    fc.assert(fc.property(fc.double({ min: 0.5, max: 2, noNaN: true }), (x) => x === 1 || ulps(logarithm(x), Math.log(x)) <= 3), { numRuns: 20_000 });
  });

  test("is 0 at 1, and keeps to its ends", () => {
    expect([logarithm(1), logarithm(0), logarithm(-1), logarithm(Infinity), logarithm(NaN)]).toEqual([0, -Infinity, NaN, Infinity, NaN]);
    expect(ulps(logarithm(Number.MIN_VALUE), Math.log(Number.MIN_VALUE))).toBeLessThanOrEqual(1);
  });
});
