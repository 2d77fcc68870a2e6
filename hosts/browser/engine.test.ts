// SPDX-License-Identifier: MIT OR Apache-2.0
/** The page's clock on a timer and a wall clock of the test's: agreement, sleep, silence, a page that is shown again. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PageEngine } from "./engine.ts";
import { PageCore } from "./pagecore.ts";
import { packetOf } from "./httptime.ts";
import { monotonicNs } from "./timer.ts";
import type { TimeSource } from "./timesource.ts";

const module = new WebAssembly.Module(readFileSync("dist/browser/page.wasm"));

/** How far this computer's wall clock is behind the truth, s. */
const BEHIND = 12.5;
let silent = false;
let asked = 0;
/** The truth goes on while the timer sleeps: `Date` of the test is the computer's clock, and right but for BEHIND. */
const truth = () => Date.now() / 1000 + (performance.now() % 1) / 1000 + BEHIND;

/** What each answer of a row is held back on the way out, ms. */
let held = [0, 0, 0, 0];

const source: TimeSource = {
  async ask(request, stamp) {
    asked += 1;
    if (silent) throw new Error("silence");
    const sent = stamp();
    await new Promise((resolve) => setTimeout(resolve, 10 + held[asked % 4]!));
    const packet = packetOf(truth(), 0.001, request);
    await new Promise((resolve) => setTimeout(resolve, 10));
    return { packet, sent, came: stamp() };
  },
  close() {},
};

const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
let engine: PageEngine;
beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval", "Date", "performance"] });
  vi.stubGlobal("document", page);
  silent = false;
  asked = 0;
  held = [0, 0, 0, 0];
  const host = { now: () => BigInt(Date.now()) * 1_000_000n, monotonic: monotonicNs, precision: 1e-4, description: "test" };
  engine = new PageEngine(new PageCore(module), host, [["test", source]], { minPoll: 4, maxPoll: 6, changed: () => {} });
});
afterEach(() => {
  engine.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const error = () => Number(engine.clock.now()) / 1e9 - truth();

describe("a page's clock", () => {
  test("agrees after four answers, and is right within its bound", async () => {
    await vi.advanceTimersByTimeAsync(1000);
    expect(engine.state().synchronised).toBe(false);
    await vi.advanceTimersByTimeAsync(8000);
    expect(engine.state()).toMatchObject({ synchronised: true, survivors: 1, stratum: 3 });
    expect(Math.abs(error())).toBeLessThan(engine.state().uncertainty);
    expect(engine.state().systemOffset).toBeCloseTo(BEHIND, 1);
  });

  test("is right again after the computer slept an hour, and does not pretend meanwhile", async () => {
    await vi.advanceTimersByTimeAsync(60_000);
    const before = asked;
    // The timer stood still, the wall clock did not.
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(engine.state().uncertainty).toBe(Infinity);
    await vi.advanceTimersByTimeAsync(12_000);
    expect(asked).toBeGreaterThan(before);
    expect(engine.state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(engine.state().uncertainty);
  });

  test("sees a clock set in the moment after its own first step, too, before it looked again", async () => {
    while (!engine.state().synchronised) await vi.advanceTimersByTimeAsync(1);
    expect(Math.abs(error())).toBeLessThan(engine.state().uncertainty);
    silent = true;
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(1100);
    expect(engine.state().uncertainty).toBe(Infinity);
  });

  test("grows less certain while nobody answers, and says why", async () => {
    await vi.advanceTimersByTimeAsync(60_000);
    const { uncertainty } = engine.state();
    silent = true;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(engine.state().uncertainty).toBeGreaterThan(uncertainty);
    expect(engine.state().sources[0]).toMatchObject({ lastError: "silence" });
  });

  test("asks when the page is shown again, but not twice within two seconds, nor while it is hidden", async () => {
    await vi.advanceTimersByTimeAsync(60_000);
    // A while after some question, and before the next.
    for (const last = asked; asked === last; ) await vi.advanceTimersByTimeAsync(100);
    await vi.advanceTimersByTimeAsync(5000);
    const before = asked;
    page.visibilityState = "hidden";
    page.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toBe(before);
    page.visibilityState = "visible";
    for (let i = 0; i < 20; i++) page.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(1500);
    // One row.
    expect(asked - before).toBe(4);
  });

  test.each([["one is quick, it is right", [60, 60, 60, 0], 0, 0.003], ["all are slow, off by half of that", [60, 60, 60, 60], 0.027, 0.033]])(
    "of questions in a row takes the shortest way: where %s", async (_, row, least, most) => {
      held = row;
      await vi.advanceTimersByTimeAsync(600_000);
      expect(Math.abs(error())).toBeGreaterThanOrEqual(least);
      expect(Math.abs(error())).toBeLessThan(most);
      expect(Math.abs(error())).toBeLessThan(engine.state().uncertainty);
    });

  test("asks no row over a long way", async () => {
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toBe(4);
    held = [300, 300, 300, 300];
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked).toBe(5);
    await vi.advanceTimersByTimeAsync(7000);
    expect(engine.state().synchronised).toBe(true);
  });

  test("takes an answer of a row whose others were lost", async () => {
    await vi.advanceTimersByTimeAsync(60_000);
    const { ask } = source;
    source.ask = async (...all) => (asked % 4 === 0 ? ask(...all) : Promise.reject(new Error(`lost ${asked++}`)));
    const { used } = engine.state().sources[0]!;
    await vi.advanceTimersByTimeAsync(60_000);
    source.ask = ask;
    expect(engine.state().sources[0]!.used).toBeGreaterThan(used);
    expect(engine.state().sources[0]!.lastError).toMatch(/^lost/);
  });

  test("is silent once closed", async () => {
    await vi.advanceTimersByTimeAsync(10_000);
    engine.close();
    const before = asked;
    page.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked).toBe(before);
  });
});
