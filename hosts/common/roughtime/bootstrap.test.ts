// SPDX-License-Identifier: MIT OR Apache-2.0
/** Where the present lies by what servers signed, on a monotonic clock alone. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RoughtimeExchange } from "./attempt.ts";
import { boundsOf, judgeValidity } from "./bootstrap.ts";

const NS = 1_000_000_000n;
const T0 = 1_900_000_000;

/** A server's answer; `at` is when it was asked on the monotonic clock (s), `took` its round trip. */
function said(server: number, midpoint: number, { radius = 3, at = 0, took = 0 } = {}): RoughtimeExchange {
  const ns = (seconds: number) => BigInt(Math.round(seconds * 1e9));
  const answer = { midpoint: BigInt(midpoint), radius };
  return { publicKey: Uint8Array.of(server), answer, askedAt: ns(at), answeredAt: ns(at + took) } as unknown as RoughtimeExchange;
}

describe("the bounds of the present", () => {
  it("are midpoint ± radius and half a second, right after one answer", () => {
    expect(boundsOf([said(1, T0)], 0n)).toEqual({ low: (T0 - 3.5) * 1000, high: (T0 + 3.5) * 1000 + 1, agreeing: 1, answered: 1 });
  });

  it("move on with the monotonic clock, and widen by its drift", () => {
    const { low, high } = boundsOf([said(1, T0)], 1000n * NS)!;
    expect([low, high]).toEqual([(T0 - 3.5 + 1000 - 0.1) * 1000, (T0 + 3.5 + 1000 + 0.1) * 1000 + 1]);
  });

  it("do not know when within the exchange it was signed", () => {
    const { low, high } = boundsOf([said(1, T0, { took: 2 })], 2n * NS)!;
    expect(low).toBe((T0 - 3.5) * 1000);
    expect(high - (T0 + 5.5) * 1000).toBeLessThan(2);
  });

  it("are narrowed by each that agrees", () => {
    expect(boundsOf([said(1, T0), said(2, T0 + 4), said(3, T0 + 2)], 0n)).toMatchObject({ low: (T0 + 0.5) * 1000, high: (T0 + 3.5) * 1000 + 1, agreeing: 3 });
  });

  it("are the majority's against one liar, and nobody's against half", () => {
    expect(boundsOf([said(1, T0), said(2, T0), said(3, T0 + 9999)], 0n)).toMatchObject({ agreeing: 2, answered: 3 });
    expect(boundsOf([said(1, T0), said(3, T0 + 9999)], 0n)).toBeUndefined();
    expect(boundsOf([said(1, T0), said(2, T0), said(3, T0 + 9999), said(4, T0 + 9999)], 0n)).toBeUndefined();
    expect(boundsOf([], 0n)).toBeUndefined();
  });

  it("give no server two votes, and one that contradicts itself none", () => {
    const twice = [said(9, T0 + 9999), said(9, T0 + 9999)];
    expect(boundsOf([...twice, said(1, T0), said(2, T0)], 0n)).toMatchObject({ agreeing: 2, answered: 3 });
    expect(boundsOf([said(9, T0), said(9, T0 + 9999), said(1, T0)], 0n)).toBeUndefined();
    expect(boundsOf([said(9, T0), said(9, T0 + 9999), said(1, T0), said(2, T0)], 0n)).toMatchObject({ agreeing: 2 });
  });

  it("hold the truth, whatever honest servers say and however long it took", () => {
    const honest = fc.record({ error: fc.integer({ min: -3, max: 3 }), at: fc.double({ min: 0, max: 500, noNaN: true }), there: fc.double({ min: 0, max: 4, noNaN: true }), back: fc.double({ min: 0, max: 4, noNaN: true }) });
    fc.assert(fc.property(fc.array(honest, { minLength: 1, maxLength: 7 }), (all) => {
      const exchanges = all.map(({ error, at, there, back }, i) => said(i, Math.round(T0 + at + there + error), { radius: 3, at, took: there + back }));
      const bounds = boundsOf(exchanges, 600n * NS)!;
      const truth = (T0 + 600) * 1000;
      expect(bounds.agreeing).toBe(all.length);
      expect(bounds.low).toBeLessThanOrEqual(truth);
      expect(bounds.high).toBeGreaterThanOrEqual(truth);
    }));
  });
});

describe("a certificate", () => {
  const now = { low: 1000, high: 1010 };
  it.each([
    [1000, 1010, "valid"], [0, 5000, "valid"],
    [1001, 5000, "unsure"], [0, 1009, "unsure"], [1002, 1003, "unsure"],
    [1011, 5000, "not yet"], [0, 999, "expired"],
  ] as const)("of %d to %d is judged %s", (notBefore, notAfter, verdict) => {
    expect(judgeValidity(now, notBefore, notAfter)).toBe(verdict);
  });
});
