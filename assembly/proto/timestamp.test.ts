// SPDX-License-Identifier: MIT OR Apache-2.0
/** Times and their formats against exact BigInt arithmetic, over all bit patterns. Answers RFC 5905 §6. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unsigned } from "../../hosts/common/core/core.ts";
import {
  Bench, MAX_I64, MAX_U64, MIN_I64, NS_PER_SECOND, UNIX_EPOCH,
  anyI64, anyU32, anyU64, clamp, floorDiv, roundDiv,
} from "../../tests/support/core.ts";

const bench = new Bench();
const { exports: core, scratch } = bench;
const RUNS = { numRuns: 2000 };
const SECOND = 2n ** 32n;
const ERA_SECONDS = 2n ** 32n;
/** 68 years, less a second for the fractions. */
const REACH_NS = (2n ** 31n - 1n) * NS_PER_SECOND;

const toTimestamp = (ns: bigint) => unsigned(core.timestampFromUnixNs(ns));
const unixNs = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;

describe("elapsed", () => {
  it("is the wrapping difference for every pair of timestamps", () => {
    fc.assert(fc.property(anyU64, anyU64, (from, to) => core.elapsed(from, to) === BigInt.asIntN(64, to - from)), RUNS);
  });

  it("counts on across the end of the era", () => {
    expect(core.elapsed(MAX_U64, 0n)).toBe(1n);
    expect(core.elapsed(0n, MAX_U64)).toBe(-1n);
  });
});

describe("timestamp and Unix time", () => {
  it("gives the nearest 2^-32 s of any ns there is", () => {
    fc.assert(fc.property(anyI64, (ns) => {
      const exact = roundDiv((ns + UNIX_EPOCH * NS_PER_SECOND) * SECOND, NS_PER_SECOND);
      expect(toTimestamp(ns)).toBe(BigInt.asUintN(64, exact));
    }), RUNS);
  });

  it("reads any timestamp in the era nearest to any pivot", () => {
    fc.assert(fc.property(anyU64, anyI64, (timestamp, pivotNs) => {
      const pivot = floorDiv(pivotNs, NS_PER_SECOND) + UNIX_EPOCH;
      // The one second of the right phase that lies less than half an era from the pivot.
      const lowest = pivot - ERA_SECONDS / 2n;
      const second = lowest + BigInt.asUintN(32, (timestamp >> 32n) - lowest);
      const exact = (second - UNIX_EPOCH) * NS_PER_SECOND + roundDiv(BigInt.asUintN(32, timestamp) * NS_PER_SECOND, SECOND);
      expect(core.timestampToUnixNs(timestamp, pivotNs)).toBe(BigInt.asIntN(64, exact));
    }), RUNS);
  });

  it("brings every ns back unchanged, in any era, when the pivot is within 68 years", () => {
    const far = fc.bigInt({ min: -REACH_NS, max: REACH_NS });
    fc.assert(fc.property(anyI64, far, (ns, distance) => {
      const pivot = clamp(ns + distance);
      expect(core.timestampToUnixNs(core.timestampFromUnixNs(ns), pivot)).toBe(ns);
    }), RUNS);
  });

  it("lands an era away when the pivot is more than 68 years off", () => {
    const ns = unixNs("2026-11-22T00:00:00Z");
    const era = ERA_SECONDS * NS_PER_SECOND;
    expect(core.timestampToUnixNs(core.timestampFromUnixNs(ns), ns + REACH_NS + 2n * NS_PER_SECOND)).toBe(ns + era);
    expect(core.timestampToUnixNs(core.timestampFromUnixNs(ns), ns - REACH_NS - 2n * NS_PER_SECOND)).toBe(ns - era);
  });

  it("reaches from exactly 2^31 s before the pivot's second to just before 2^31 s after it", () => {
    for (const pivotNs of [0n, -1n, -NS_PER_SECOND, 1n, unixNs("2036-02-07T06:28:16Z") - 1n]) {
      const second = floorDiv(pivotNs, NS_PER_SECOND);
      for (const distance of [-(2n ** 31n), 2n ** 31n - 1n]) {
        const timestamp = BigInt.asUintN(32, second + UNIX_EPOCH + distance) << 32n;
        expect(core.timestampToUnixNs(timestamp, pivotNs), `${distance} s from ${pivotNs}`).toBe((second + distance) * NS_PER_SECOND);
      }
    }
  });

  it("begins era 1 at 2036-02-07T06:28:16Z exactly", () => {
    const boundary = unixNs("2036-02-07T06:28:16Z");
    expect(toTimestamp(boundary)).toBe(0n);
    expect(toTimestamp(boundary - 1n)).toBe(MAX_U64 - 3n); // 1 ns is 4.29 units
    expect(toTimestamp(boundary + 1n)).toBe(4n);
    expect(toTimestamp(boundary - NS_PER_SECOND)).toBe(0xffffffffn << 32n);
  });

  it.each([["before", -1n], ["after", 1n]])("reads both sides of 2036 with a pivot in the era %s", (_side, sign) => {
    const boundary = unixNs("2036-02-07T06:28:16Z");
    const pivot = boundary + sign * unixNs("1980-01-01T00:00:00Z");
    for (const ns of [-NS_PER_SECOND, -1n, 0n, 1n, NS_PER_SECOND]) {
      expect(core.timestampToUnixNs(core.timestampFromUnixNs(boundary + ns), pivot)).toBe(boundary + ns);
    }
  });

  it.each([
    ["1900-01-01T00:00:00Z", 0x00000000n],
    ["1958-01-01T00:00:00Z", 0x6d182000n],
    ["1969-12-31T23:59:59Z", 0x83aa7e7fn],
    ["1970-01-01T00:00:00Z", 0x83aa7e80n],
    ["2000-01-01T00:00:00Z", 0xbc17c200n],
    ["2036-02-07T06:28:15Z", 0xffffffffn],
    ["2036-02-07T06:28:16Z", 0x00000000n],
    ["2106-02-07T06:28:16Z", 0x83aa7e80n],
  ])("puts %s where RFC 5905's table and a calendar put it", (date, second) => {
    const ns = unixNs(date);
    expect(toTimestamp(ns)).toBe(second << 32n);
    expect(core.timestampToUnixNs(second << 32n, ns)).toBe(ns);
  });

  it("keeps the ns of times before 1970", () => {
    const start = unixNs("1958-01-01T00:00:00Z");
    fc.assert(fc.property(fc.bigInt({ min: start, max: -1n }), (ns) => {
      expect(core.timestampToUnixNs(core.timestampFromUnixNs(ns), 0n)).toBe(ns);
    }), RUNS);
    expect(toTimestamp(-1n) >> 32n).toBe(UNIX_EPOCH - 1n);
  });
});

describe("interval", () => {
  it("becomes the nearest ns", () => {
    fc.assert(fc.property(anyI64, (interval) => core.intervalToNs(interval) === roundDiv(interval * NS_PER_SECOND, SECOND)), RUNS);
  });

  it("comes from any ns, rounded to the nearest and saturating at 68 years", () => {
    const limit = 2n ** 31n * NS_PER_SECOND;
    const ns = fc.oneof(anyI64, fc.bigInt({ min: -limit - 2n, max: limit + 2n }), fc.constantFrom(limit, limit - 1n, -limit, -limit - 1n));
    fc.assert(fc.property(ns, (value) => core.intervalFromNs(value) === clamp(roundDiv(value * SECOND, NS_PER_SECOND))), RUNS);
    expect(core.intervalFromNs(limit)).toBe(MAX_I64);
    expect(core.intervalFromNs(-limit)).toBe(MIN_I64);
    expect(core.intervalFromNs(limit - 1n)).toBeLessThan(MAX_I64);
  });

  it("brings every ns within 68 years back unchanged", () => {
    fc.assert(fc.property(fc.bigInt({ min: -REACH_NS, max: REACH_NS }), (ns) => core.intervalToNs(core.intervalFromNs(ns)) === ns), RUNS);
  });

  it("becomes seconds rounded once", () => {
    fc.assert(fc.property(anyI64, (interval) => core.intervalToSeconds(interval) === Number(interval) / 2 ** 32), RUNS);
    expect(core.intervalToSeconds(-SECOND / 2n)).toBe(-0.5);
  });

  it("comes from any double, halves to even, saturating, and zero from what is no number", () => {
    const exact = (value: number) => {
      const scaled = value * 2 ** 32;
      if (Math.abs(scaled) >= 2 ** 63) return scaled > 0 ? MAX_I64 : MIN_I64;
      const floor = BigInt(Math.floor(scaled));
      const rest = scaled - Math.floor(scaled);
      return floor + (rest > 0.5 || (rest === 0.5 && floor % 2n !== 0n) ? 1n : 0n);
    };
    const halves = fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n }).map((value) => (Number(value) + 0.5) / 2 ** 32);
    const double = fc.oneof(fc.double({ noNaN: true }), fc.double({ noNaN: true, min: -(2 ** 31), max: 2 ** 31 }), halves);
    fc.assert(fc.property(double, (value) => core.intervalFromSeconds(value) === exact(value)), RUNS);
    expect(core.intervalFromSeconds(NaN)).toBe(0n);
    expect(core.intervalFromSeconds(Infinity)).toBe(MAX_I64);
    expect(core.intervalFromSeconds(-Infinity)).toBe(MIN_I64);
    expect(core.intervalFromSeconds(2 ** 31)).toBe(MAX_I64);
    expect(core.intervalFromSeconds(-(2 ** 31))).toBe(MIN_I64);
  });
});

describe("short format", () => {
  it("becomes an interval exactly and comes back unchanged", () => {
    fc.assert(fc.property(anyU32, (short) => {
      expect(core.shortToInterval(short)).toBe(BigInt(short) << 16n);
      expect(core.shortFromInterval(core.shortToInterval(short)) >>> 0).toBe(short);
    }), RUNS);
  });

  it("is rounded, not truncated, and saturates at zero and 65536 s", () => {
    const interval = fc.oneof(anyI64, fc.bigInt({ min: -(2n ** 17n), max: 2n ** 48n + 2n ** 17n }));
    fc.assert(fc.property(interval, (value) => {
      expect(BigInt(core.shortFromInterval(value) >>> 0)).toBe(clamp(roundDiv(value, 2n ** 16n), 0n, 2n ** 32n - 1n));
    }), RUNS);
    expect(core.shortFromInterval(0x7fffn)).toBe(0);
    expect(core.shortFromInterval(0x8000n)).toBe(1);
    for (const value of [0xffffffff7fffn, 0xffffffff8000n, 2n ** 48n, MAX_I64]) expect(core.shortFromInterval(value) >>> 0).toBe(0xffffffff);
    expect(core.shortFromInterval(0xfffffffe7fffn) >>> 0).toBe(0xfffffffe);
    for (const value of [-1n, MIN_I64]) expect(core.shortFromInterval(value)).toBe(0);
  });
});

describe("log2 seconds", () => {
  it("is right for every exponent an octet can hold, never zero and never negative", () => {
    for (let exponent = -128; exponent <= 127; exponent++) {
      const exact = exponent >= 31 ? MAX_I64 : exponent <= -32 ? 1n : 2n ** BigInt(32 + exponent);
      expect(core.intervalFromLog2(exponent), `2^${exponent}`).toBe(exact);
    }
  });
});

describe("date format", () => {
  const view = bench.core.view;
  const write = (ns: bigint) => {
    core.dateWrite(scratch, ns);
    return { era: view.getInt32(scratch), offset: view.getUint32(scratch + 4), fraction: view.getBigUint64(scratch + 8) };
  };
  const put = (era: number, offset: number, fraction: bigint) => {
    view.setInt32(scratch, era);
    view.setUint32(scratch + 4, offset);
    view.setBigUint64(scratch + 8, fraction);
  };

  it("is written in network order, exact to 2^-64 s", () => {
    fc.assert(fc.property(anyI64, (ns) => {
      const since1900 = floorDiv(ns, NS_PER_SECOND) + UNIX_EPOCH;
      const era = floorDiv(since1900, ERA_SECONDS);
      const nanos = ns - floorDiv(ns, NS_PER_SECOND) * NS_PER_SECOND;
      expect(write(ns)).toEqual({
        era: Number(era),
        offset: Number(since1900 - era * ERA_SECONDS),
        fraction: (nanos * 2n ** 64n) / NS_PER_SECOND,
      });
    }), RUNS);
  });

  it.each([
    ["1899-12-31T23:59:59Z", -1, 0xffffffff],
    ["1900-01-01T00:00:00Z", 0, 0],
    ["1970-01-01T00:00:00Z", 0, 2208988800],
    ["2036-02-07T06:28:15Z", 0, 0xffffffff],
    ["2036-02-07T06:28:16Z", 1, 0],
  ])("says that %s is in era %d at %d, as RFC 5905's figure 4 does", (date, era, offset) => {
    expect(write(unixNs(date))).toEqual({ era, offset, fraction: 0n });
  });

  it("brings every ns back unchanged", () => {
    fc.assert(fc.property(fc.oneof(anyI64, fc.constantFrom(MIN_I64, MIN_I64 + 1n, MAX_I64, MAX_I64 - 854775807n)), (ns) => {
      core.dateWrite(scratch, ns);
      expect(core.dateToUnixNs(scratch)).toBe(ns);
    }), RUNS);
  });

  it("reads any 16 octets, rounding to the nearest ns and saturating on the right side", () => {
    const era = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: -3, max: 3 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1));
    fc.assert(fc.property(era, anyU32, anyU64, (era, offset, fraction) => {
      put(era, offset, fraction);
      const second = BigInt(era) * ERA_SECONDS + BigInt(offset) - UNIX_EPOCH;
      expect(core.dateToUnixNs(scratch)).toBe(clamp(second * NS_PER_SECOND + roundDiv(fraction * NS_PER_SECOND, 2n ** 64n)));
    }), RUNS);
  });

  it("saturates from the first ns on that 64 bits cannot hold, before 1677 and after 2262", () => {
    for (const [edge, outward] of [[MIN_I64, -1n], [MAX_I64, 1n]] as const) {
      for (const step of [0n, outward * -1n, outward, outward * 5n, outward * NS_PER_SECOND]) {
        const ns = edge + step;
        const second = floorDiv(ns, NS_PER_SECOND) + UNIX_EPOCH;
        const era = floorDiv(second, ERA_SECONDS);
        const nanos = ns - floorDiv(ns, NS_PER_SECOND) * NS_PER_SECOND;
        put(Number(era), Number(second - era * ERA_SECONDS), (nanos * 2n ** 64n) / NS_PER_SECOND);
        expect(core.dateToUnixNs(scratch), `${step} ns from ${edge}`).toBe(clamp(ns));
      }
    }
  });

  it("becomes the timestamp of its era, rounded down", () => {
    fc.assert(fc.property(fc.integer(), anyU32, anyU64, (era, offset, fraction) => {
      put(era, offset, fraction);
      expect(unsigned(core.dateToTimestamp(scratch))).toBe((BigInt(offset) << 32n) | (fraction >> 32n));
    }), RUNS);
  });
});
