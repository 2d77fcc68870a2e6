// SPDX-License-Identifier: MIT OR Apache-2.0
/** The system's clock as programs have it, over fake kernels: what is asked for, what is refused, what is left behind. Time is virtual. @module */

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLinux } from "../../../tests/native/steering-fake-linux.ts";
import { FakeMacos } from "../../../tests/native/steering-fake-macos.ts";
import { FakeWindows } from "../../../tests/native/steering-fake-windows.ts";
import { FakeHost, answers, inVirtualTime, trueNs } from "../../../tests/support/fake-host.ts";
import { FakeSystemClock, gained, lateTimers, trueSeconds } from "../../../tests/support/fake-system-clock.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { startClock } from "../client/start.ts";
import type { HostClock } from "../host.ts";
import { openSystemClock, type SystemClock, type SystemClockOptions } from "./system.ts";

const PLL = 0x01, INS = 0x10, UNSYNC = 0x40, NANO = 0x2000;
const GOOD = { synchronised: true, estimatedError: 1e-4, maximumError: 0.01, leap: 0 } as const;

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function open(kernel: FakeLinux | FakeMacos | FakeWindows, options?: SystemClockOptions): Promise<{ system: FakeSystemClock; clock: SystemClock }> {
  const system = new FakeSystemClock(kernel);
  lateTimers(system, () => 7);
  return { system, clock: await openSystemClock(system.host, options) };
}

describe("the system's clock", () => {
  it("is found as it is, and only looking at it changes nothing", async () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: PLL, freq: 12.5 * 65536, offsetNs: 5e6, tai: 37, maxerror: 800, esterror: 20 });
    const before = { ...kernel };
    const { system, clock } = await open(kernel);
    expect(clock.frequencyPpm).toBe(12.5);
    expect(clock.limits).toEqual({ frequencyPpm: 500, slewPpm: 100_000 });
    expect(clock.status()).toMatchObject({ ratePpm: 12.5, synchronised: true, taiOffset: 37, remaining: 5000e-6, flags: ["STA_PLL"] });
    expect(clock.description).toBe("clock_adjtime (koffi)");
    await clock[Symbol.asyncDispose]();
    expect({ ...kernel, calls: [] }).toEqual({ ...before, calls: [] });
    expect(system.atExit.size).toBe(0);
  });

  it("ends where steps, slews and frequencies lead it, in any order, and is then as it was found but for the time", async () => {
    const change = fc.oneof(
      fc.record({ step: fc.double({ min: -1000, max: 1000, noNaN: true }) }),
      fc.record({ slew: fc.double({ min: -0.2, max: 0.2, noNaN: true }), ratePpm: fc.constantFrom(undefined, 300, 5000, 90_000) }),
      fc.record({ frequency: fc.double({ min: -500, max: 500, noNaN: true }) }),
    );
    const changes = fc.array(fc.tuple(change, fc.integer({ min: 0, max: 100_000 })), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        vi.restoreAllMocks();
        const kernel = Object.assign(new FakeLinux(), { status: PLL, freq: -4321, tick: 9999, maxerror: 700 });
        const { system, clock } = await open(kernel);
        const [from, at] = [system.now(), trueSeconds()];
        const slews: { asked: number; done?: number }[] = [];
        let [expected, turned] = [0, at];
        const turn = () => {
          expected += clock.frequencyPpm * 1e-6 * (trueSeconds() - turned);
          turned = trueSeconds();
        };
        for (const [one, ms] of all) {
          turn();
          if ("step" in one) clock.step(one.step);
          if ("step" in one) expected += one.step;
          if ("frequency" in one) clock.setFrequencyPpm(one.frequency);
          if ("slew" in one) {
            const slew: (typeof slews)[number] = { asked: one.slew };
            slews.push(slew);
            void clock.slew(one.slew, one.ratePpm === undefined ? {} : { ratePpm: one.ratePpm }).then((done) => (slew.done = done));
          }
          await vi.advanceTimersByTimeAsync(ms);
        }
        while (vi.getTimerCount() > 0) await vi.advanceTimersToNextTimerAsync();
        turn();
        const last = slews.at(-1);
        if (last) expect(Math.abs(last.done! - last.asked)).toBeLessThan(20e-9);
        for (const { asked, done } of slews) {
          expect(Math.abs(done!)).toBeLessThan(Math.abs(asked) * 1.01 + 2e-4);
          expected += done!;
        }
        // A whole ns for each of some hundred calls into the kernel.
        expect(Math.abs(gained(from, system.now(), trueSeconds() - at) - expected)).toBeLessThan(1e-6);
        expect(clock.status().ratePpm).toBeCloseTo(clock.frequencyPpm, 5);
        clock.close();
        expect(kernel).toMatchObject({ status: PLL, freq: -4321, tick: 9999 });
        expect(system.atExit.size).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it("is put back when the process ends in the middle of a slew, which is told what it did", async () => {
    const kernel = Object.assign(new FakeLinux(), { freq: 777 });
    const { system, clock } = await open(kernel);
    const slewing = clock.slew(1, { ratePpm: 50_000 });
    await vi.advanceTimersByTimeAsync(2000);
    expect(kernel.tick).toBe(10_500);
    expect(system.atExit.size).toBe(1);
    for (const restore of system.atExit) restore();
    expect(kernel).toMatchObject({ freq: 777, tick: 10_000 });
    expect(await slewing).toBeCloseTo(0.1, 6);
  });

  it("keeps frequency and status when that is wanted, but no slew", async () => {
    const kernel = new FakeLinux();
    const { clock } = await open(kernel, { keepFrequency: true });
    clock.setFrequencyPpm(25);
    clock.setStatus(GOOD);
    void clock.slew(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(kernel).toMatchObject({ freq: 25 * 65536, tick: 10_005 });
    expect(clock.frequencyPpm).toBe(25);
    clock.close();
    clock.close();
    expect(kernel).toMatchObject({ freq: 25 * 65536, tick: 10_000, status: NANO });
  });

  it("is told how good it is, and of a leap second where the system makes them", async () => {
    const kernel = new FakeLinux();
    const { clock } = await open(kernel);
    clock.setStatus({ ...GOOD, leap: 1 });
    expect(kernel.status).toBe(NANO | INS);
    expect(clock.status()).toMatchObject({ synchronised: true, estimatedError: 1e-4, maximumError: 0.01, leap: 1 });
    clock.setStatus({ ...GOOD, synchronised: false, estimatedError: Infinity, maximumError: Infinity });
    expect(clock.status()).toMatchObject({ synchronised: false, estimatedError: 16, maximumError: 16, leap: 0 });
    clock.close();
    expect(kernel.status).toBe(UNSYNC);
  });

  it("ends a slew when its signal fires, and leaves the one after it alone", async () => {
    const { clock } = await open(new FakeLinux());
    const controller = new AbortController();
    const first = clock.slew(1, { signal: controller.signal });
    const second = clock.slew(0.001);
    controller.abort();
    expect(await first).toBe(0);
    const other = new AbortController();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await second).toBeCloseTo(0.001, 7);
    const third = clock.slew(1, { signal: other.signal });
    other.abort("enough");
    await expect(third).rejects.toMatchObject({ code: "ABORTED", cause: "enough" });
    await expect(clock.slew(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
    expect(clock.remaining).toBe(0);
    clock.close();
  });
});

describe("what cannot be done with the system's clock", () => {
  const wrong = { code: "INVALID_ARGUMENT" };

  it.each([NaN, Infinity, -Infinity, 501, -500.001, "12" as unknown as number])("a frequency of %s ppm is refused, and nothing changed", async (ppm) => {
    const kernel = new FakeLinux();
    const { clock } = await open(kernel);
    expect(() => clock.setFrequencyPpm(ppm)).toThrow(expect.objectContaining({ ...wrong, message: expect.stringContaining("-500 to 500 ppm, got") }));
    clock.close();
    expect(kernel.calls.filter((modes) => modes !== 0 && modes !== 0x4000)).toEqual([]);
  });

  it.each([NaN, Infinity, -2e9, 1e10, 1n as unknown as number])("a step of %s s is refused", async (seconds) => {
    const { clock } = await open(new FakeLinux());
    expect(() => clock.step(seconds)).toThrow(expect.objectContaining(wrong));
    clock.close();
  });

  it("a slew that is no number, or faster than there is room for, is refused", async () => {
    const { clock } = await open(new FakeWindows());
    await expect(clock.slew(NaN)).rejects.toMatchObject(wrong);
    for (const ratePpm of [0, -1, NaN, 1001]) await expect(clock.slew(1, { ratePpm })).rejects.toMatchObject(wrong);
    clock.setFrequencyPpm(1000);
    await expect(clock.slew(1)).rejects.toMatchObject({ ...wrong, message: expect.stringContaining("room") });
    clock.close();
  });

  it("a status of no meaning is refused, and one that a system cannot keep is UNSUPPORTED", async () => {
    const { clock } = await open(new FakeMacos());
    for (const odd of [{ maximumError: NaN }, { estimatedError: -1 }, { leap: 3 }, { synchronised: 1 }]) {
      expect(() => clock.setStatus({ ...GOOD, ...(odd as object) })).toThrow(expect.objectContaining(wrong));
    }
    clock.setStatus(GOOD);
    expect(() => clock.setStatus({ ...GOOD, leap: 1 })).toThrow(expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("step the clock") }));
    clock.close();
    const { clock: other } = await open(new FakeWindows());
    expect(() => other.setStatus(GOOD)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
    expect(other.status()).toEqual({ ratePpm: 0 });
    other.close();
  });

  it("who may not steer it is told what to do, and may still read it", async () => {
    const kernel = new FakeLinux();
    kernel.privileged = false;
    const { host } = new FakeSystemClock(kernel);
    await expect(openSystemClock(host)).rejects.toMatchObject({ code: "CLOCK", message: expect.stringMatching(/CAP_SYS_TIME.*readOnly.*startClock/) });
    const clock = await openSystemClock(host, { readOnly: true });
    expect(clock).toMatchObject({ frequencyPpm: 0, description: "read only", limits: { frequencyPpm: 0, slewPpm: 0 } });
    expect(clock.status().synchronised).toBe(false);
    expect(() => clock.setFrequencyPpm(1)).toThrow(expect.objectContaining({ code: "CLOCK", message: expect.stringContaining("readOnly") }));
    await expect(clock.slew(1)).rejects.toMatchObject({ code: "CLOCK" });
    clock.close();
  });

  it("without a way to it, it is UNSUPPORTED, with the reason", async () => {
    const { host } = new FakeSystemClock(new FakeLinux());
    const none = { code: "UNSUPPORTED" as const, reason: "no FFI: install koffi" };
    const lent = { open: () => none, restoreOnExit: () => () => {} };
    const { systemClock: _, ...bare } = host;
    for (const options of [{}, { readOnly: true }]) {
      await expect(openSystemClock({ ...host, systemClock: async () => lent }, options)).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("koffi") });
      await expect(openSystemClock(bare, options)).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("node") });
    }
  });

  it("a privilege that is lost is CLOCK, and so is a clock that was closed", async () => {
    const kernel = new FakeLinux();
    const { clock } = await open(kernel);
    clock.setFrequencyPpm(1);
    kernel.privileged = false;
    expect(() => clock.step(1)).toThrow(expect.objectContaining({ code: "CLOCK", message: expect.stringContaining("EPERM") }));
    expect(() => clock.close()).toThrow(expect.objectContaining({ code: "CLOCK" }));
    expect(() => clock.setFrequencyPpm(1)).toThrow(expect.objectContaining({ code: "CLOCK", message: expect.stringContaining("closed") }));
  });
});

/** A machine whose own clock is steered, in a network that is right. */
class Machine extends FakeHost {
  override readonly clock: HostClock;
  readonly system: FakeSystemClock;

  constructor(kernel: FakeLinux, error: number) {
    super();
    kernel.nowNs = trueNs() + BigInt(Math.round(error * 1e9));
    this.system = new FakeSystemClock(kernel);
    this.clock = this.system.clock;
    for (const address of SOURCES) this.at(address, answers());
  }

  systemClock = async () => this.system.lent;

  get error(): number {
    return Number(this.system.now() - trueNs()) / 1e9;
  }
}

const SOURCES = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

describe("startClock() with the system's clock", () => {
  it("sets it right, tells the system so, allows nobody else meanwhile, and gives it back", async () => {
    const kernel = Object.assign(new FakeLinux(), { freq: -30 * 65536 });
    const machine = new Machine(kernel, 7.5);
    const steer = await openSystemClock(machine, { keepFrequency: true });
    const { value: clock } = await inVirtualTime(() => startClock(machine, { sources: SOURCES, steer }));
    expect(Math.abs(machine.error)).toBeLessThan(0.01);
    await letPass(600);
    expect(Math.abs(machine.error)).toBeLessThan(20e-6);
    expect(Math.abs(Number(clock!.nowNs() - machine.system.now()))).toBeLessThan(1e6);
    expect(steer.status()).toMatchObject({ synchronised: true, leap: 0 });
    expect(steer.status().maximumError).toBeLessThan(0.1);
    expect(() => steer.step(1)).toThrow(expect.objectContaining({ code: "CLOCK", message: expect.stringContaining("startClock()") }));
    await expect(startClock(machine, { sources: SOURCES, steer })).rejects.toMatchObject({ code: "CLOCK" });
    clock!.close();
    clock!.close();
    // The oscillator is right, so that is what was found out about it.
    expect(Math.abs(steer.frequencyPpm)).toBeLessThan(2);
    steer.step(0.25);
    expect(machine.error).toBeCloseTo(0.25, 3);
    steer.close();
    expect(kernel.freq / 65536).toBeCloseTo(steer.status().ratePpm, 5);
  });

  it("is closed with the system's clock, which is put back", async () => {
    const kernel = Object.assign(new FakeLinux(), { freq: -30 * 65536, status: UNSYNC });
    const machine = new Machine(kernel, 0.02);
    const steer = await openSystemClock(machine);
    const { value: clock } = await inVirtualTime(() => startClock(machine, { sources: SOURCES, steer }));
    await letPass(20);
    expect(kernel.freq).not.toBe(-30 * 65536);
    steer.close();
    expect(kernel).toMatchObject({ freq: -30 * 65536, tick: 10_000, status: UNSYNC });
    await letPass(20);
    expect(kernel).toMatchObject({ freq: -30 * 65536, tick: 10_000, status: UNSYNC });
    expect(machine.openSockets).toEqual([]);
    clock!.close();
  });
});
