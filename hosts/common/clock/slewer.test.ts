// SPDX-License-Identifier: MIT OR Apache-2.0
/** Slews on the clocks of three fake kernels: they end where they should, however late the timers are. Time is virtual. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSystemClock, gained, lateTimers, trueSeconds } from "../../../tests/support/fake-system-clock.ts";
import { FakeLinux } from "../../../tests/native/steering-fake-linux.ts";
import { FakeMacos } from "../../../tests/native/steering-fake-macos.ts";
import { FakeWindows } from "../../../tests/native/steering-fake-windows.ts";
import type { SystemActuator } from "../steering.ts";
import { Slewer } from "./slewer.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

interface SetUp {
  readonly system: FakeSystemClock;
  readonly actuator: SystemActuator;
  readonly slewer: Slewer;
}

function setUp(kernel: FakeLinux | FakeMacos | FakeWindows, lateness = () => 0): SetUp {
  const system = new FakeSystemClock(kernel);
  lateTimers(system, lateness);
  const opened = system.lent.open();
  if ("reason" in opened) throw new Error(opened.reason);
  return { system, actuator: opened, slewer: new Slewer(opened, () => system.clock.monotonic(), opened.rate()) };
}

/** Lets a slew end; what it says that it did, what the clock gained beyond its frequency, and how long it took, s. */
async function outcome({ system, slewer }: SetUp, offset: number, limit: number): Promise<{ told: number; gained: number; took: number }> {
  const [from, at] = [system.now(), trueSeconds()];
  let told: number | undefined;
  void slewer.slew(offset, limit).finished.then((done) => (told = done));
  for (let timers = 0; told === undefined && timers < 500; timers++) await vi.advanceTimersToNextTimerAsync();
  const took = trueSeconds() - at;
  return { told: told!, gained: gained(from, system.now(), took) - slewer.frequency * took, took };
}

/** ms, as on a busy machine. */
const LATE = () => 13;

/** 0 to 1, the same each time (Park and Miller's). */
function chance(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe.each([
  ["Linux", () => new FakeLinux(), 20e-9],
  // It reads its clock to 100 ns, and rounds rates to 0.1 ppm.
  ["Windows", () => Object.assign(new FakeWindows(), { readingCost: 0n }), 300e-9],
] as const)("a slew on %s", (_system, kernel, precision) => {
  it.each([0.01, -0.01, 1.5, -1e-6])("of %d s ends there, at 500 ppm, and takes no longer than it must", async (offset) => {
    const means = setUp(kernel(), LATE);
    const { told, gained: gain, took } = await outcome(means, offset, 500e-6);
    expect(Math.abs(told - offset)).toBeLessThan(precision);
    expect(Math.abs(gain - offset)).toBeLessThan(precision);
    expect(took).toBeGreaterThanOrEqual(Math.abs(offset) / 500e-6 - 0.001);
    expect(took).toBeLessThan(Math.abs(offset) / 500e-6 + 1.5);
  });

  it("ends where it should when timers are later than its last stretches are long, now and then", async () => {
    const next = chance(20361118);
    const means = setUp(kernel(), () => (next() < 0.3 ? next() * 2000 : next() * 5));
    for (const offset of [0.02, -0.003, 0.0001]) {
      const { told, gained: gain } = await outcome(means, offset, 500e-6);
      expect(Math.abs(told - offset)).toBeLessThan(precision);
      expect(Math.abs(gain - offset)).toBeLessThan(precision);
    }
  });

  it("goes on while the frequency is changed, and what it brings is told from what that brings", async () => {
    const means = setUp(kernel());
    const { system, slewer } = means;
    const from = system.now();
    let told = NaN;
    void slewer.slew(0.05, 400e-6).finished.then((done) => (told = done));
    let expected = 0;
    for (const frequency of [100e-6, -77.7e-6, 12.34e-6]) {
      slewer.setFrequency(frequency);
      expect(Math.abs(slewer.frequency - frequency)).toBeLessThan(0.06e-6);
      await vi.advanceTimersByTimeAsync(30_000);
      expected += slewer.frequency * 30;
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expected += slewer.frequency * 60;
    expect(Math.abs(told - 0.05)).toBeLessThan(precision);
    expect(Math.abs(gained(from, system.now(), 150) - expected - 0.05)).toBeLessThan(precision * 3);
  });
});

describe("a slew", () => {
  it("is as fast as Linux's tick allows, and no faster with the frequency on top", async () => {
    const means = setUp(new FakeLinux(), LATE);
    means.slewer.setFrequency(400e-6);
    expect(means.slewer.room(1)).toBeCloseTo(0.0996, 12);
    const { gained: gain, took } = await outcome(means, 10, 0.1);
    expect(Math.abs(gain - 10)).toBeLessThan(50e-9);
    expect(took).toBeLessThan(10 / 0.0996 + 2);
  });

  it("on macOS takes whole seconds, as that takes up a rate at the seconds alone", async () => {
    const kernel = new FakeMacos();
    const means = setUp(kernel);
    for (const offset of [0.001, -0.0004, 1.2]) {
      const { told, gained: gain, took } = await outcome(means, offset, 900e-6);
      expect(Math.abs(told - offset)).toBeLessThan(20e-9);
      // The kernel's rates are rounded: 2^-17 ppm at most over the time that it takes, and its adjtime to µs.
      expect(Math.abs(gain - offset)).toBeLessThan(100e-9);
      expect(took % 1).toBeCloseTo(0, 6);
    }
    expect(kernel).toMatchObject({ freq: 0, adjtimeUs: 0 });
  });

  it("says what is left of it, and gives way to the next, which resolves it to what was done", async () => {
    const { system, slewer } = setUp(new FakeLinux());
    const from = system.now();
    const first = slewer.slew(1, 1e-3).finished;
    await vi.advanceTimersByTimeAsync(250_000);
    expect(slewer.remaining).toBeCloseTo(0.75, 6);
    const second = slewer.slew(-0.1, 1e-3);
    expect(await first).toBeCloseTo(0.25, 6);
    await vi.advanceTimersByTimeAsync(50_000);
    slewer.end();
    expect(await second.finished).toBeCloseTo(-0.05, 6);
    expect(slewer.remaining).toBe(0);
    expect(gained(from, system.now(), 300)).toBeCloseTo((await first) + (await second.finished), 8);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(gained(from, system.now(), 310)).toBeCloseTo(0.2, 6);
  });

  it("of nothing, or of what no clock can tell, is done at once", async () => {
    const { slewer } = setUp(new FakeLinux());
    expect(await slewer.slew(0, 500e-6).finished).toBe(0);
    expect(await slewer.slew(5e-9, 500e-6).finished).toBe(0);
  });

  it("is ended only by its own means: those of one that was replaced do nothing", async () => {
    const { slewer } = setUp(new FakeLinux());
    const first = slewer.slew(1, 1e-3);
    const second = slewer.slew(0.01, 1e-3);
    first.end(new Error("too late"));
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await second.finished).toBeCloseTo(0.01, 7);
    const third = slewer.slew(1, 1e-3);
    third.end(new Error("enough"));
    await expect(third.finished).rejects.toThrow("enough");
  });

  it("ends with an error when somebody else sets the rate, whose rate it leaves", async () => {
    const kernel = new FakeLinux();
    const { slewer } = setUp(kernel);
    const { finished } = slewer.slew(0.01, 500e-6);
    const rejected = expect(finished).rejects.toThrow(/nobody else.*500\.000 ppm and is 33\.000 ppm.*chronyd/);
    await vi.advanceTimersByTimeAsync(5000);
    kernel.freq = 33 * 65536;
    await vi.advanceTimersByTimeAsync(30_000);
    await rejected;
    expect(kernel.freq).toBe(33 * 65536);
  });

  it("ends with the system's error when the privilege is lost", async () => {
    const kernel = new FakeLinux();
    const { slewer } = setUp(kernel);
    const { finished } = slewer.slew(0.01, 500e-6);
    const rejected = expect(finished).rejects.toMatchObject({ code: "CLOCK" });
    kernel.privileged = false;
    await vi.advanceTimersByTimeAsync(30_000);
    await rejected;
  });
});
