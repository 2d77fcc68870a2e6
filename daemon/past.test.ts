// SPDX-License-Identifier: MIT OR Apache-2.0
/** The last hours: in order, of fixed size, honest about what was not known. @module */

import { describe, expect, it } from "vitest";
import { Past, type Point } from "./past.ts";

const point = (time: number, more: Partial<Point> = {}): Point => ({ time, offset: time / 1e6, uncertainty: 1e-3, frequencyPpm: 1, skewPpm: 0.1, answered: null, ...more });

describe("the past", () => {
  it("is empty at first", () => {
    expect(new Past().report()).toMatchObject({ every: 10, points: 720, time: [], offset: [] });
  });

  it("is told from the oldest point to the newest, and what was not known is null", () => {
    const past = new Past(5);
    past.note(point(1, { answered: 7 }));
    past.note(point(2, { offset: null, uncertainty: null }));
    expect(past.report()).toEqual({ every: 10, points: 5, time: [1, 2], offset: [1e-6, null], uncertainty: [1e-3, null], frequencyPpm: [1, 1], skewPpm: [0.1, 0.1], answered: [7, null] });
  });

  it.each([[4], [5], [6], [9], [10], [11], [1003]])("of five points has the last five after %i", (count) => {
    const past = new Past(5);
    for (let time = 1; time <= count; time++) past.note(point(time));
    const first = Math.max(1, count - 4);
    expect(past.report().time).toEqual(Array.from({ length: Math.min(count, 5) }, (_, index) => first + index));
  });

  it("survives the trip through JSON, for two hours and a day more", () => {
    const past = new Past();
    for (let time = 0; time < 720 + 8640; time++) past.note(point(time * 10, { offset: time % 2 === 0 ? null : -1e-9 }));
    const report = JSON.parse(JSON.stringify(past.report())) as ReturnType<Past["report"]>;
    expect(report.time).toHaveLength(720);
    expect(report.time.at(-1)).toBe((720 + 8640 - 1) * 10);
    expect(report.offset.slice(0, 2)).toEqual([null, -1e-9]);
    expect(JSON.stringify(report).length).toBeLessThan(60_000);
  });
});
