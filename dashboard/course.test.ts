// SPDX-License-Identifier: MIT OR Apache-2.0
/** The columns of the charts: the daemon's past, what the page saw since, now. @module */

import { beforeEach, describe, expect, it } from "vitest";
import type { DashboardState } from "../daemon/dashboard.ts";
import { Past } from "../daemon/past.ts";
import { Course } from "./course.ts";

let course: Course;
const state = (time: number, answered: number | null = null, offset: number | null = time) =>
  ({ time: String(BigInt(time) * 1_000_000_000n), tracking: { offset, uncertainty: 1, frequencyPpm: 2, skewPpm: 3 }, serverstats: answered === null ? null : { stats: { answered } } }) as unknown as DashboardState;

beforeEach(() => {
  course = new Course();
  const past = new Past(4);
  for (const time of [100, 110, 120]) past.note({ time, offset: time, uncertainty: 1, frequencyPpm: 2, skewPpm: 3, answered: time * 10 });
  course.begin(past.report());
});

describe("the course of the last hours", () => {
  it("goes on from what the daemon told, with now at its end", () => {
    course.add(state(123, 1260));
    course.add(state(124, 1280));
    expect(course.columns()).toEqual({ time: [100, 110, 120, 124], offset: [100, 110, 120, 124], uncertainty: [1, 1, 1, 1], frequencyPpm: [2, 2, 2, 2], skewPpm: [3, 3, 3, 3], rate: [null, 10, 10, 20] });
  });

  it("has a point of its own every ten seconds, and no more than the daemon keeps", () => {
    for (let time = 121; time <= 145; time++) course.add(state(time, time * 10));
    expect(course.columns().time).toEqual([110, 120, 130, 140, 145]);
  });

  it("has a gap where nothing was known, and no rate over a start of the daemon", () => {
    course.add(state(130, 5, null));
    expect(course.columns()).toMatchObject({ offset: [100, 110, 120, null], rate: [null, 10, 10, null] });
  });

  it("forgets what comes after now, when the clock was stepped back", () => {
    course.add(state(112, 1111));
    expect(course.columns().time).toEqual([100, 110, 112]);
  });
});
