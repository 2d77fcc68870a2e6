// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a reply measures, against exact BigInt arithmetic over arbitrary times. RFC 5905 §8, §11.1. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_I64, MAX_U64, anyI8, anyU32, anyU64, clamp, floorDiv, seconds } from "../../tests/support/core.ts";
import { ACCEPT, MS, RUNS, T1, core, exports, judge, measured, of, reply } from "../../tests/support/judging.ts";

describe("what is measured", () => {
  const short = fc.oneof(anyU32, fc.integer({ min: 0, max: 0x10000 }));

  it("is exact for arbitrary times", () => {
    const precision = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 34n }), fc.constantFrom(0n, 1n, MAX_I64));
    fc.assert(fc.property(fc.tuple(anyU64, anyU64, anyU64, anyU64), anyI8, precision, short, short, ([t1, t2, t3, t4], log2, own, delayShort, dispersionShort) => {
      const [verdict] = judge(
        reply({ receiveTime: t2, transmitTime: t3, precision: log2, rootDelayShort: delayShort, rootDispersionShort: dispersionShort }),
        { t1, t4, precision: own },
      );
      expect(verdict).toBe(ACCEPT);
      const signed = (value: bigint) => BigInt.asIntN(64, value);
      const span = signed(t4 - t1);
      const delay = signed(t4 - t1 - (t3 - t2));
      const theirs = log2 >= 31 ? MAX_I64 : log2 <= -32 ? 1n : 2n ** BigInt(32 + log2);
      const drift = span > 0n ? -floorDiv(-15n * span, 1_000_000n) : 0n;
      const dispersion = clamp(clamp(theirs + own) + drift);
      const [rootDelay, rootDispersion] = [BigInt(delayShort) << 16n, BigInt(dispersionShort) << 16n];
      const roundTrips = clamp(rootDelay + (delay > own ? delay : own));
      expect(measured()).toEqual({
        offset: floorDiv(signed(t2 - t1) + signed(t3 - t4), 2n),
        delay,
        dispersion,
        rootDelay,
        rootDispersion,
        rootDistance: clamp(floorDiv(roundTrips + 1n, 2n) + clamp(rootDispersion + dispersion)),
      });
      expect([core.u64(of.T1), core.u64(of.T2), core.u64(of.T3), core.u64(of.T4)]).toEqual([t1, t2, t3, t4]);
    }), RUNS);
  });

  it("is the true offset, give or take half the asymmetry, wherever in time the two clocks stand", () => {
    const path = fc.bigInt({ min: 0n, max: seconds(100) });
    const ahead = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
    fc.assert(fc.property(anyU64, ahead, path, path, path, (t1, theta, there, stay, back) => {
      const wrap = (value: bigint) => BigInt.asUintN(64, value);
      const t2 = wrap(t1 + there + theta);
      const t3 = wrap(t2 + stay);
      const t4 = wrap(t1 + there + stay + back);
      expect(exports.offsetOf(t1, t2, t3, t4)).toBe(floorDiv(2n * theta + there - back, 2n));
      expect(exports.delayOf(t1, t2, t3, t4)).toBe(there + back);
    }), RUNS);
  });

  it("is right when the era ends between leaving and coming back", () => {
    // It left 5 ms before the end, was there 5 ms after it by a clock that is right, and came back as late again.
    const exchange = { t1: MAX_U64 - 5n * MS + 1n, t4: 16n * MS };
    expect(judge(reply({ receiveTime: 5n * MS, transmitTime: 6n * MS, referenceTime: MAX_U64 }), exchange)).toEqual([ACCEPT, 0]);
    expect(measured()).toMatchObject({ delay: 20n * MS, offset: 0n });
  });

  it("does not overflow when the clocks are 68 years apart", () => {
    const far = 2n ** 63n - 1n;
    expect(exports.offsetOf(0n, far, far, 0n)).toBe(far);
    expect(exports.offsetOf(0n, far - 1n, far, 1n)).toBe(far - 1n);
    expect(exports.offsetOf(far, 0n, 0n, far)).toBe(-far);
    expect(exports.offsetOf(0n, 2n ** 63n, 2n ** 63n, 0n)).toBe(-(2n ** 63n)); // one unit further, and it turns over
  });

  it("drifts 15 ppm of the time it took, rounded up, never backwards", () => {
    fc.assert(fc.property(anyU64, (value) => {
      const span = BigInt.asIntN(64, value);
      expect(exports.driftOver(span)).toBe(span <= 0n ? 0n : -floorDiv(-15n * span, 1_000_000n));
    }), RUNS);
    expect(exports.driftOver(seconds(1000))).toBe(BigInt(Math.ceil(0.015 * 2 ** 32)));
  });

  it("bounds the error by half the round trips and all the dispersions, never by less than our own precision", () => {
    judge(reply({ receiveTime: T1, transmitTime: T1, precision: -32, rootDelayShort: 0, rootDispersionShort: 0 }), { t4: T1, precision: 1000n });
    expect(measured()).toMatchObject({ delay: 0n, dispersion: 1001n, rootDistance: 500n + 1001n });
  });
});
