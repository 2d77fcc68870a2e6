// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NtpError } from "../../hosts/common/errors.ts";
import type { SystemActuator } from "../../hosts/common/steering.ts";
import { isActuator } from "../../hosts/native/steer.ts";
import { joinRate, openLinuxActuator, splitRate } from "../../hosts/native/steer-linux.ts";
import { FakeLinux } from "./steering-fake-linux.ts";

const PLL = 0x01, PPSFREQ = 0x02, FLL = 0x08, INS = 0x10, DEL = 0x20, UNSYNC = 0x40, NANO = 0x2000;
const GOOD = { synchronised: true, estimatedError: 1e-4, maximumError: 0.01, leap: 0 } as const;

function open(kernel: FakeLinux): SystemActuator {
  const opened = openLinuxActuator(kernel.ffi);
  if (!isActuator(opened)) throw new Error(opened.reason);
  return opened;
}

/** What another program can see, the time aside. */
function visible({ status, freq, tick, constant, maxerror, esterror, offsetNs, adjtimeUs }: FakeLinux): object {
  return { status, freq, tick, constant, maxerror, esterror, offsetNs, adjtimeUs };
}

describe("a rate in the kernel's terms", () => {
  it("is all frequency up to 500 ppm, tick and a rest beyond", () => {
    expect(splitRate(0)).toEqual({ tick: 10_000, freq: 0 });
    expect(splitRate(500e-6)).toEqual({ tick: 10_000, freq: 500 * 65536 });
    expect(splitRate(-20e-6)).toEqual({ tick: 10_000, freq: -20 * 65536 });
    expect(splitRate(1030e-6)).toEqual({ tick: 10_010, freq: 30 * 65536 });
    expect(splitRate(-0.083)).toEqual({ tick: 9170, freq: 0 });
  });

  it("is clamped to what the kernel takes, and a NaN never reaches it", () => {
    expect(splitRate(3)).toEqual({ tick: 11_000, freq: 0 });
    expect(splitRate(-Infinity)).toEqual({ tick: 9000, freq: 0 });
    expect(() => splitRate(NaN)).toThrow(NtpError);
  });

  it("loses less than 2^-17 ppm on the way, at any rate", () => {
    const half = 2 ** -17 * 1e-6;
    fc.assert(
      fc.property(fc.double({ min: -0.1, max: 0.1, noNaN: true }), (rate) => {
        const split = splitRate(rate);
        expect(Math.abs(joinRate(split) - rate)).toBeLessThanOrEqual(half * (1 + 1e-9) + 1e-16);
        expect(Math.abs(split.freq)).toBeLessThanOrEqual(500 * 65536);
        expect(split.tick >= 9000 && split.tick <= 11_000).toBe(true);
      }),
    );
  });
});

describe("opening the Linux clock", () => {
  it("changes nothing, whatever state it finds", () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: PLL | FLL, freq: -777, tick: 10_003, offsetNs: 5e6, adjtimeUs: -1000 });
    const before = visible(kernel);
    const clock = open(kernel);
    expect(clock.rate()).toBeCloseTo(300e-6 - 777 / 65536e6, 12);
    clock.restore();
    expect(visible(kernel)).toEqual(before);
  });

  it("is refused without CAP_SYS_TIME, and the refusal names it", () => {
    const kernel = new FakeLinux();
    kernel.privileged = false;
    const before = visible(kernel);
    const opened = openLinuxActuator(kernel.ffi);
    expect(opened).toMatchObject({ code: "CLOCK", reason: expect.stringContaining("CAP_SYS_TIME") });
    expect(opened.read?.()).toMatchObject({ ratePpm: 0, synchronised: false });
    expect(visible(kernel)).toEqual(before);
  });

  it("is refused, not thrown, where the C library lacks the call", () => {
    const ffi = { ...new FakeLinux().ffi, open: () => { throw new Error("undefined symbol: clock_adjtime"); } };
    expect(openLinuxActuator(ffi)).toMatchObject({ code: "UNSUPPORTED", reason: expect.stringContaining("undefined symbol") });
  });
});

describe("steering the Linux clock", () => {
  it.each([20e-6, -480e-6, 0.05, -0.1, 1e-9])("gains the rate that was set: %d", (rate) => {
    const kernel = new FakeLinux();
    const clock = open(kernel);
    clock.setRate(rate);
    const start = kernel.nowNs;
    kernel.pass(100);
    const gained = Number(kernel.nowNs - start - 100_000_000_000n);
    expect(Math.abs(gained - rate * 100e9)).toBeLessThan(0.77 * 100); // 2^-17 ppm and the model's whole ns
    expect(Math.abs(clock.rate() - rate)).toBeLessThan(8e-12);
  });

  it("ends the kernel's own loop, its remaining offset and adjtime, so that nothing else slews", () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: PLL | FLL | PPSFREQ, offsetNs: 80e6, adjtimeUs: 90_000, freq: 1234 });
    open(kernel).setRate(0);
    expect(kernel).toMatchObject({ offsetNs: 0, adjtimeUs: 0, freq: 0, status: NANO });
    const start = kernel.nowNs;
    kernel.pass(10);
    expect(kernel.nowNs - start).toBe(10_000_000_000n);
  });

  it("would go on slewing if STA_PLL were merely cleared", () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: 0, offsetNs: 80e6 });
    const start = kernel.nowNs;
    kernel.pass(10);
    expect(kernel.nowNs - start).toBeGreaterThan(10_035_000_000n);
  });

  const steps = [1n, -1n, 999_999_999n, -1_000_000_000n, -1_000_000_001n, 86_400_000_000_123n];
  it.each(steps)("steps by %d ns exactly", (offset) => {
    const kernel = new FakeLinux();
    const clock = open(kernel);
    clock.setRate(33e-6);
    const start = kernel.nowNs;
    clock.step(offset);
    expect(kernel.nowNs - start).toBe(offset);
    expect(Math.abs(clock.rate() - 33e-6)).toBeLessThan(8e-12);
  });

  it("says what failed when a step leads nowhere", () => {
    const clock = open(new FakeLinux());
    const step = () => clock.step(-2_000_000_000_000_000_000n);
    expect(step).toThrow(NtpError);
    expect(step).toThrow(/clock_adjtime.*EINVAL/);
  });

  it("says what failed when the privilege is lost", () => {
    const kernel = new FakeLinux();
    const clock = open(kernel);
    kernel.privileged = false;
    expect(() => clock.setRate(1e-6)).toThrow(/EPERM/);
  });
});

describe("the status told to Linux", () => {
  it("is in µs, rounded up, and clears every other flag", () => {
    const kernel = new FakeLinux();
    kernel.status = PLL | FLL | PPSFREQ | UNSYNC;
    const clock = open(kernel);
    clock.setStatus({ ...GOOD, estimatedError: 0.000_123_4 });
    expect(kernel).toMatchObject({ status: NANO, esterror: 124, maxerror: 10_000 });
    clock.setStatus({ ...GOOD, synchronised: false, maximumError: Infinity });
    expect(kernel).toMatchObject({ status: NANO | UNSYNC, maxerror: 16_000_000 });
    clock.setStatus({ ...GOOD, maximumError: NaN });
    expect(kernel.maxerror).toBe(16_000_000);
  });

  it("is forgotten by the kernel unless renewed", () => {
    const kernel = new FakeLinux();
    open(kernel).setStatus({ ...GOOD, maximumError: 15.9 });
    kernel.pass(201);
    expect(kernel.status & UNSYNC).toBe(UNSYNC);
  });

  it.each([
    [1, "inserted", -1n],
    [2, "deleted", 1n],
  ] as const)("leap %i: one second %s at the day's end, once", (leap, _word, change) => {
    const kernel = new FakeLinux();
    const clock = open(kernel);
    clock.setStatus({ ...GOOD, leap });
    expect(kernel.status & (INS | DEL)).toBe(leap === 1 ? INS : DEL);
    const left = 86_400 - Number((kernel.nowNs / 1_000_000_000n) % 86_400n);
    const start = kernel.nowNs;
    kernel.pass(left + 90_000);
    expect(kernel.leaps).toBe(1);
    expect(kernel.nowNs - start).toBe((BigInt(left) + 90_000n + change) * 1_000_000_000n);
  });

  it("arms a leap second again after a step, which makes the kernel forget it", () => {
    const kernel = new FakeLinux();
    const clock = open(kernel);
    clock.setStatus({ ...GOOD, leap: 1 });
    kernel.pass(2);
    expect(kernel.state).toBe("INS");
    clock.step(5_000_000n);
    expect(kernel.status & INS).toBe(0);
    clock.setStatus({ ...GOOD, leap: 1 });
    kernel.pass(86_400);
    expect(kernel.leaps).toBe(1);
  });
});

describe("what Linux says of its clock", () => {
  it("is read in our units, and reading changes nothing", () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: PLL | INS | NANO, freq: -12.5 * 65536, tick: 10_001, offsetNs: -1500, maxerror: 2500, esterror: 40, tai: 37 });
    const before = visible(kernel);
    const told = { ratePpm: 87.5, synchronised: true, estimatedError: 40e-6, maximumError: 0.0025, remaining: -1.5e-6, leap: 1, taiOffset: 37 };
    expect(open(kernel).read()).toEqual({ ...told, flags: ["STA_PLL", "STA_INS", "STA_NANO"] });
    expect(visible(kernel)).toEqual(before);
    kernel.status = PLL | DEL;
    expect(open(kernel).read()).toMatchObject({ leap: 2, remaining: -1e-6, flags: ["STA_PLL", "STA_DEL"] });
  });

  it("is not synchronised while pulses that it is to follow do not come, though STA_UNSYNC is not set", () => {
    const kernel = new FakeLinux();
    kernel.status = PPSFREQ;
    expect(open(kernel).read()).toMatchObject({ synchronised: false, flags: ["STA_PPSFREQ"] });
  });
});

describe("restoring the Linux clock", () => {
  it("puts frequency, tick, status and units back, once, and can be steered again after", () => {
    const kernel = new FakeLinux();
    Object.assign(kernel, { status: PLL, freq: -4321, tick: 9999, maxerror: 700, esterror: 9 });
    const clock = open(kernel);
    clock.setRate(0.09);
    clock.step(123n);
    clock.setStatus(GOOD);
    clock.restore();
    expect(kernel).toMatchObject({ status: PLL, freq: -4321, tick: 9999, esterror: 9 });
    expect(kernel.maxerror).toBeGreaterThanOrEqual(700);
    const calls = kernel.calls.length;
    clock.restore();
    expect(kernel.calls.length).toBe(calls);
    clock.setRate(1e-6);
    expect(kernel.freq).toBe(65536);
    clock.restore();
    expect(kernel).toMatchObject({ status: PLL, freq: -4321, tick: 9999 });
  });

  it("does not put back the slew of a process that died in it", () => {
    const kernel = new FakeLinux();
    kernel.tick = 11_000;
    const clock = open(kernel);
    clock.setRate(0);
    clock.restore();
    expect(kernel.tick).toBe(10_000);
  });

  it("does not arm again a leap second of an earlier day", () => {
    const kernel = new FakeLinux();
    kernel.status = INS;
    const clock = open(kernel);
    clock.setStatus({ ...GOOD, leap: 1 });
    kernel.pass(90_000);
    clock.restore();
    kernel.pass(90_000);
    expect(kernel.leaps).toBe(1);
    expect(kernel.status & INS).toBe(0);
  });
});
