// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who agrees: majorities, liars and the lack of a majority, against a search of every point. RFC 5905 §11.2.1, without its
 * rule about midpoints; the bound told is all that any majority contains.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, MAX_I64, MIN_I64, anyI64 } from "../../tests/support/core.ts";

const { core, exports } = new Bench();
const START = core.constant("CANDIDATES");
const SIZE = core.constant("CANDIDATE_SIZE");
const [MID, DISTANCE, TRUECHIMER] = ["MID", "DISTANCE", "TRUECHIMER"].map((name) => core.constant(`CANDIDATE_${name}`)) as [number, number, number];

type Interval = readonly [mid: bigint | number, distance: bigint | number];

function intersect(intervals: readonly Interval[]) {
  intervals.forEach(([mid, distance], index) => {
    core.setI64(START + index * SIZE + MID, BigInt(mid));
    core.setI64(START + index * SIZE + DISTANCE, BigInt(distance));
    core.view.setInt32(START + index * SIZE + TRUECHIMER, 99, true);
  });
  const count = exports.intersect(intervals.length);
  const true_ = intervals.map((_, index) => core.view.getInt32(START + index * SIZE + TRUECHIMER, true));
  return { count, true_, low: exports.intersectionLow(), high: exports.intersectionHigh() };
}

/** The definition, point by point: for small whole numbers only. */
function search(intervals: readonly (readonly [number, number])[]) {
  const heldBy = (needed: number) => {
    const points: number[] = [];
    for (let point = -60; point <= 60; point++) {
      if (intervals.filter(([mid, distance]) => Math.abs(point - mid) <= distance).length >= needed) points.push(point);
    }
    return points.length === 0 ? undefined : ([Math.min(...points), Math.max(...points)] as const);
  };
  for (let falsetickers = 0; falsetickers < intervals.length / 2; falsetickers++) {
    const agreed = heldBy(intervals.length - falsetickers);
    if (agreed === undefined) continue;
    const true_ = intervals.map(([mid, distance]) => (mid + distance >= agreed[0] && mid - distance <= agreed[1] ? 1 : 0));
    const [low, high] = heldBy(Math.floor(intervals.length / 2) + 1)!;
    return { count: true_.filter(Boolean).length, true_, low: BigInt(low), high: BigInt(high) };
  }
  return { count: 0, true_: intervals.map(() => 0), low: 0n, high: 0n };
}

describe("a majority", () => {
  it("of one is the one", () => {
    expect(intersect([[7, 3]])).toEqual({ count: 1, true_: [1], low: 4n, high: 10n });
    expect(intersect([[7, 0]])).toEqual({ count: 1, true_: [1], low: 7n, high: 7n });
  });

  it("of none is none", () => {
    expect(intersect([])).toMatchObject({ count: 0, low: 0n, high: 0n });
  });

  it("of two has their common part", () => {
    expect(intersect([[0, 10], [4, 10]])).toEqual({ count: 2, true_: [1, 1], low: -6n, high: 10n });
  });

  it("of three is bounded by what any two contain, not only by what all do", () => {
    expect(intersect([[0, 10], [4, 10], [-2, 10]])).toEqual({ count: 3, true_: [1, 1, 1], low: -10n, high: 10n });
  });

  it("of three outvotes one liar of four", () => {
    expect(intersect([[0, 10], [1000, 10], [2, 10], [-1, 10]])).toEqual({ count: 3, true_: [1, 0, 1, 1], low: -8n, high: 9n });
  });

  it.each([["together", [[0, 10], [1000, 10], [2, 10], [1001, 10], [-1, 10]]], ["apart", [[0, 10], [1000, 10], [2, 10], [-1000, 10], [-1, 10]]]] as const)(
    "of three outvotes two liars of five who lie %s", (_how, intervals) => {
      expect(intersect(intervals)).toEqual({ count: 3, true_: [1, 0, 1, 0, 1], low: -8n, high: 9n });
    });

  it("does not depend on the order", () => {
    const intervals: Interval[] = [[0, 10], [1000, 10], [2, 10], [-1000, 10], [-1, 10]];
    fc.assert(fc.property(fc.shuffledSubarray(intervals, { minLength: 5 }), (shuffled) => {
      expect(intersect(shuffled)).toMatchObject({ count: 3, low: -8n, high: 9n });
    }), { numRuns: 60 });
  });

  it("counts ends that only touch", () => {
    expect(intersect([[5, 0], [0, 5], [5, 0]])).toEqual({ count: 3, true_: [1, 1, 1], low: 5n, high: 5n });
    expect(intersect([[5, 0], [0, 4], [5, 0]])).toEqual({ count: 2, true_: [1, 0, 1], low: 5n, high: 5n });
  });

  it("asks for a common point, not for midpoints: honest sources may overlap where none of them lies", () => {
    expect(intersect([[0, 5], [10, 5]])).toEqual({ count: 2, true_: [1, 1], low: 5n, high: 5n });
    expect(intersect([[0, 5], [5, 0], [10, 5]])).toEqual({ count: 3, true_: [1, 1, 1], low: 5n, high: 5n });
    expect(intersect([[0, 4], [10, 5]])).toMatchObject({ count: 0 });
  });
});

describe("no majority", () => {
  it("is found between two who contradict each other: neither is taken alone", () => {
    expect(intersect([[0, 10], [1000, 10]])).toEqual({ count: 0, true_: [0, 0], low: 0n, high: 0n });
  });

  it("is found between equal halves", () => {
    expect(intersect([[0, 10], [1000, 10], [1, 10], [1001, 10]])).toMatchObject({ count: 0, true_: [0, 0, 0, 0] });
  });

  it("is found when everyone says something else", () => {
    expect(intersect([[0, 10], [100, 10], [200, 10], [300, 10], [400, 10]])).toMatchObject({ count: 0 });
  });

  it("leaves nothing of the intersection before", () => {
    expect(intersect([[500, 10]]).low).toBe(490n);
    expect(intersect([[0, 10], [1000, 10]])).toMatchObject({ low: 0n, high: 0n });
  });
});

describe("a huge interval", () => {
  it("around the others is imprecise, not wrong", () => {
    expect(intersect([[0, 1_000_000], [100, 10], [105, 10]])).toMatchObject({ count: 3, true_: [1, 1, 1] });
  });

  it("with others like it keeps its bound, whatever one precise source says", () => {
    expect(intersect([[0, 1000], [1, 1000], [-1, 1000], [900, 1]])).toMatchObject({ low: -999n, high: 999n, count: 4 });
  });

  it("that holds both of two who contradict each other cannot tell who is right, and bounds both", () => {
    expect(intersect([[0, 10], [1000, 10], [500, 1_000_000]])).toMatchObject({ count: 3, low: -10n, high: 1010n });
    expect(intersect([[0, 10], [1000, 10], [500, 100]])).toMatchObject({ count: 0 });
  });

  it("of nested intervals is bounded by the third of four", () => {
    expect(intersect([[0, 1000], [0, 100], [0, 10], [0, 1]])).toEqual({ count: 4, true_: [1, 1, 1, 1], low: -10n, high: 10n });
  });
});

describe("any candidates", () => {
  const small = fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: 0, max: 30 }));

  it("agree as a search of every point says", () => {
    fc.assert(fc.property(fc.array(small, { maxLength: 9 }), (intervals) => {
      expect(intersect(intervals)).toEqual(search(intervals));
    }), { numRuns: 3000 });
  });

  it("agree likewise when there are 64 of them", () => {
    fc.assert(fc.property(fc.array(small, { minLength: 60, maxLength: 64 }), (intervals) => {
      expect(intersect(intervals)).toEqual(search(intervals));
    }), { numRuns: 60 });
  });

  it("hold the truth in their bound as long as most of them do, whatever the others say", () => {
    const honest = fc.array(small.map(([mid, more]) => [mid, Math.abs(mid) + more] as const), { minLength: 3, maxLength: 6 });
    const wrong = fc.tuple(anyI64, anyI64);
    fc.assert(fc.property(honest, fc.array(wrong, { maxLength: 5 }), (right, others) => {
      const { count, low, high } = intersect([...others.slice(0, right.length - 1), ...right]);
      expect(count).toBeGreaterThan(0);
      expect(low <= 0n && high >= 0n).toBe(true);
    }), { numRuns: 1000 });
  });

  it("beyond the sixty-fourth are not looked at", () => {
    const many = Array.from({ length: 64 }, (): Interval => [5, 1]);
    expect(intersect(many)).toMatchObject({ count: 64, low: 4n, high: 6n });
    expect(exports.intersect(1000)).toBe(64);
  });

  it("may lie years from zero and saturate instead of wrapping", () => {
    expect(intersect([[MAX_I64, MAX_I64], [MAX_I64 - 5n, MAX_I64], [0, 0]])).toMatchObject({ count: 3, low: 0n });
    expect(intersect([[MAX_I64, 10], [MAX_I64 - 5n, 10], [MIN_I64, 10]])).toEqual({ count: 2, true_: [1, 1, 0], low: MAX_I64 - 10n, high: MAX_I64 });
    expect(intersect([[MIN_I64, 10], [MIN_I64, 0], [MAX_I64, 10]])).toEqual({ count: 2, true_: [1, 1, 0], low: MIN_I64, high: MIN_I64 });
    expect(intersect([[MAX_I64, 0]])).toEqual({ count: 1, true_: [1], low: MAX_I64, high: MAX_I64 });
    expect(intersect([[MIN_I64, MAX_I64]])).toEqual({ count: 1, true_: [1], low: MIN_I64, high: -1n });
  });

  it("with a negative distance are points", () => {
    expect(intersect([[5, -3], [5, MIN_I64]])).toEqual({ count: 2, true_: [1, 1], low: 5n, high: 5n });
  });
});

describe("the average", () => {
  it("of one is its midpoint", () => {
    fc.assert(fc.property(anyI64, fc.bigInt({ min: 1n, max: 2n ** 40n }), (mid, distance) => {
      fc.pre(mid - distance >= MIN_I64 && mid + distance <= MAX_I64);
      expect(intersect([[mid, distance]]).count).toBe(1);
      expect(exports.intersectionOffset(1)).toBe(mid);
    }), { numRuns: 500 });
  });

  it("weighs each by one over its distance", () => {
    expect(intersect([[0, 100], [90, 200]]).count).toBe(2);
    expect(exports.intersectionOffset(2)).toBe(30n);
    expect(intersect([[0, 0], [0, 100]]).count).toBe(2); // a distance of zero weighs as one unit
    expect(exports.intersectionOffset(2)).toBe(0n);
  });

  it("leaves falsetickers out", () => {
    expect(intersect([[10, 10], [1000, 10], [10, 10], [10, 10]]).count).toBe(3);
    expect(exports.intersectionOffset(4)).toBe(10n);
  });

  it("is exact years away from zero", () => {
    const far = 2n ** 62n;
    expect(intersect([[far, 100], [far + 90n, 200]]).count).toBe(2);
    expect(exports.intersectionOffset(2)).toBe(far + 30n);
  });

  it("stays within the intersection, whatever the candidates", () => {
    const any = fc.oneof(fc.tuple(anyI64, anyI64), small());
    fc.assert(fc.property(fc.array(any, { minLength: 1, maxLength: 6 }), (intervals) => {
      const { count, low, high } = intersect(intervals);
      fc.pre(count > 0);
      const offset = exports.intersectionOffset(intervals.length);
      expect(offset >= low && offset <= high).toBe(true);
    }), { numRuns: 2000 });
  });

  function small() {
    return fc.tuple(fc.bigInt({ min: -50n, max: 50n }), fc.bigInt({ min: 0n, max: 100n }));
  }
});
