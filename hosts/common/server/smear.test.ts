// SPDX-License-Identifier: MIT OR Apache-2.0
/** Which leap second the server goes by, and that a smear once begun is finished. */

import { describe, expect, it } from "vitest";
import { LeapPlanner, checkedSmear, endOfMonth, type SmearOptions } from "./smear.ts";

const at = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;
const LEAP = at("2027-01-01T00:00:00Z");
const DAY = { shape: "cosine", seconds: 86_400 } as const;

describe("without smear", () => {
  it("what is announced is told, with its moment where that is known", () => {
    const planner = new LeapPlanner(undefined);
    expect(planner.plan(1, undefined, at("2026-12-31"))).toEqual({ leap: 1, shape: 0, seconds: 0 });
    expect(planner.plan(2, LEAP, at("2026-12-31"))).toEqual({ leap: 2, atNs: LEAP, shape: 0, seconds: 0 });
    expect(planner.plan(0, LEAP, at("2026-12-31"))).toEqual({ leap: 0, shape: 0, seconds: 0 });
  });
});

describe("with smear", () => {
  it("a leap second without its moment is that of the end of the month", () => {
    expect(new LeapPlanner(DAY).plan(1, undefined, at("2026-12-05T12:00:00Z"))).toEqual({ leap: 1, atNs: LEAP, shape: 2, seconds: 86_400 });
    expect(endOfMonth(at("2027-06-30T23:59:59Z"))).toBe(at("2027-07-01T00:00:00Z"));
  });

  it("is finished once begun, though upstream falls silent at the leap, or for a while before", () => {
    const planner = new LeapPlanner(DAY);
    expect(planner.plan(1, undefined, at("2026-12-31T12:00:00Z")).leap).toBe(1);
    for (const later of ["2026-12-31T13:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T11:59:59Z"]) {
      expect(planner.plan(0, undefined, at(later))).toMatchObject({ leap: 1, atNs: LEAP });
    }
    // A server that forgets to stop announcing means the next month's end: not now.
    expect(planner.plan(1, undefined, at("2027-01-01T11:00:00Z"))).toMatchObject({ leap: 1, atNs: LEAP });
    expect(planner.plan(0, undefined, at("2027-01-01T12:00:00Z"))).toEqual({ leap: 0, shape: 2, seconds: 86_400 });
  });

  it("not yet begun is dropped when it is no longer announced", () => {
    const planner = new LeapPlanner(DAY);
    planner.plan(1, undefined, at("2026-12-31T11:00:00Z"));
    expect(planner.plan(0, undefined, at("2026-12-31T12:30:00Z")).leap).toBe(0);
  });
});

describe("options", () => {
  it.each<[SmearOptions | boolean | undefined, unknown]>([
    [undefined, undefined], [false, undefined], [true, DAY], [{ shape: "linear" }, { shape: "linear", seconds: 86_400 }], [{ seconds: 60 }, { shape: "cosine", seconds: 60 }],
  ])("%j mean %j", (options, expected) => expect(checkedSmear(options)).toEqual(expected));

  it.each([[{ seconds: 59 }], [{ seconds: 172_801 }], [{ seconds: NaN }], [{ shape: "square" as "linear" }]])("%j is refused", (options) => {
    expect(() => checkedSmear(options)).toThrow(/^expected (a )?smear\./);
  });
});
