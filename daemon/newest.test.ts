// SPDX-License-Identifier: MIT OR Apache-2.0
/** Snapshots on demand: fresh ones, and no more than one a second is asked for. Time is virtual. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Newest } from "./newest.ts";
import type { Snapshot } from "./report.ts";

let asked: number;
let once: boolean[];
let newest: Newest;
const snapshot = (mark: number) => ({ sources: [mark] }) as unknown as Snapshot;

beforeEach(() => {
  vi.useFakeTimers();
  asked = 0;
  once = [];
  newest = new Newest((alone) => {
    asked += 1;
    once.push(alone);
  });
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("the newest snapshot", () => {
  it("is asked for once by a hundred observers, and all of them are told", async () => {
    const waiting = Array.from({ length: 100 }, () => newest.fresh());
    expect(asked).toBe(1);
    newest.take(snapshot(1));
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([snapshot(1)]));
  });

  it("is asked for by itself for who will not ask again soon, and as one of many for all others", () => {
    newest.want({ once: true });
    newest.want();
    vi.advanceTimersByTime(1000);
    newest.want();
    expect(once).toEqual([true, false]);
  });

  it("is told at once while it is fresh, and not when it is old", async () => {
    newest.take(snapshot(1));
    expect(await newest.fresh()).toEqual(snapshot(1));
    vi.advanceTimersByTime(1600);
    const later = newest.fresh();
    newest.take(snapshot(2));
    expect(await later).toEqual(snapshot(2));
    expect(newest.age).toBe(0);
    vi.advanceTimersByTime(1250);
    expect(newest.age).toBe(1.25);
    expect(asked).toBe(2);
  });

  it("is the latest there is when the sampling thread is busy, and nothing when there was never one", async () => {
    const none = newest.fresh();
    vi.advanceTimersByTime(2000);
    expect(await none).toBeUndefined();
    newest.take(snapshot(1));
    vi.advanceTimersByTime(5000);
    const old = newest.fresh();
    vi.advanceTimersByTime(2000);
    expect(await old).toEqual(snapshot(1));
  });
});
