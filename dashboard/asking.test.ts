// SPDX-License-Identifier: MIT OR Apache-2.0
/** How often the daemon is asked: each second while somebody looks, seldom while it is silent. Time is virtual. @module */

import process from "node:process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Asking } from "./asking.ts";

let at: number[];
let answers: boolean;
let looked: boolean;
let told: number[];
let asking: Asking<number>;

beforeEach(() => {
  vi.useFakeTimers();
  at = [];
  told = [];
  answers = looked = true;
  const began = performance.now();
  asking = new Asking({
    ask: () => {
      at.push((performance.now() - began) / 1000);
      return answers ? Promise.resolve(1) : Promise.reject(new Error("no"));
    },
    heard: () => told.splice(0),
    silent: (seconds) => told.push(Math.round(seconds)),
    visible: () => looked,
  });
  asking.now();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the daemon", () => {
  it("is asked each second", async () => {
    await vi.advanceTimersByTimeAsync(4500);
    expect(at).toEqual([0, 1, 2, 3, 4]);
  });

  it("is asked more and more seldom while it is silent, who looks is told each second since when, and then as before", async () => {
    await vi.advanceTimersByTimeAsync(500);
    answers = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(at).toEqual([0, 1, 2, 4, 8, 16, 31, 46]);
    expect(told.at(-1)).toBe(60);
    expect(new Set(told).size).toBeGreaterThan(50);
    answers = true;
    await vi.advanceTimersByTimeAsync(2000);
    expect(at.slice(-2)).toEqual([61, 62]);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(told).toEqual([]);
  });

  it("is asked on when what it told could not be shown, which is not its fault", async () => {
    const wrong: unknown[] = [];
    const heed = (error: unknown) => wrong.push(error);
    process.on("unhandledRejection", heed);
    const silent = vi.fn();
    let count = 0;
    const other = new Asking({ ask: () => Promise.resolve((count += 1)), heard: () => { throw new Error("not shown"); }, silent, visible: () => true });
    other.now();
    await vi.advanceTimersByTimeAsync(1500);
    vi.useRealTimers();
    await expect.poll(() => wrong.length).toBe(2);
    process.off("unhandledRejection", heed);
    expect([count, silent.mock.calls]).toEqual([2, []]);
  });

  it("is left alone while nobody looks, and asked at once when somebody does", async () => {
    looked = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(at).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
    looked = true;
    asking.now();
    await vi.advanceTimersByTimeAsync(1500);
    expect(at).toEqual([0, 60, 61]);
  });
});
