// SPDX-License-Identifier: MIT OR Apache-2.0
import { afterEach, describe, expect, it, vi } from "vitest";
import { NtpError } from "../../hosts/common/errors.ts";
import type { SystemActuator } from "../../hosts/common/steering.ts";
import { isActuator } from "../../hosts/native/steer.ts";
import { openMacosActuator } from "../../hosts/native/steer-macos.ts";
import { FakeMacos } from "./steering-fake-macos.ts";

const PLL = 0x01, FLL = 0x08, UNSYNC = 0x40;

function open(kernel: FakeMacos): SystemActuator {
  const opened = openMacosActuator(kernel.ffi);
  if (!isActuator(opened)) throw new Error(opened.reason);
  return opened;
}

function visible({ status, freq, maxerror, esterror, offsetNs, adjtimeUs }: FakeMacos): object {
  return { status, freq, maxerror, esterror, offsetNs, adjtimeUs };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("opening the clock of macOS", () => {
  it("changes nothing", () => {
    const kernel = new FakeMacos();
    Object.assign(kernel, { status: PLL | FLL, freq: -777, offsetNs: 5e6, adjtimeUs: -1000 });
    const before = visible(kernel);
    open(kernel).restore();
    expect(visible(kernel)).toEqual(before);
  });

  it("is refused to who is not root", () => {
    const kernel = new FakeMacos();
    kernel.root = false;
    const opened = openMacosActuator(kernel.ffi);
    expect(opened).toMatchObject({ code: "CLOCK", reason: expect.stringContaining("root") });
    expect(opened.read?.()).toMatchObject({ ratePpm: 0, synchronised: false, flags: ["STA_UNSYNC"] });
  });

  it("is refused, not thrown, before macOS 10.13", () => {
    const ffi = { ...new FakeMacos().ffi, open: () => { throw new Error("no symbol ntp_adjtime"); } };
    expect(openMacosActuator(ffi)).toMatchObject({ code: "UNSUPPORTED", reason: expect.stringContaining("10.13") });
  });

  it("reads what the system says, in our units; of leap seconds and TAI it says nothing", () => {
    const kernel = new FakeMacos();
    Object.assign(kernel, { status: PLL, freq: 20.25 * 65536, offsetNs: 3000, maxerror: 2500, esterror: 40 });
    const told = { ratePpm: 20.25, synchronised: true, estimatedError: 40e-6, maximumError: 0.0025, remaining: 3e-6, flags: ["STA_PLL"] };
    expect(open(kernel).read()).toEqual(told);
  });
});

describe("steering the clock of macOS", () => {
  it.each([20e-6, -500e-6, 700e-6, -1000e-6])("gains the rate that was set: %d", (rate) => {
    const kernel = new FakeMacos();
    const clock = open(kernel);
    clock.setRate(rate);
    const start = kernel.nowNs;
    kernel.pass(100);
    expect(Math.abs(Number(kernel.nowNs - start - 100_000_000_000n) - rate * 100e9)).toBeLessThan(100);
    expect(Math.abs(clock.rate() - rate)).toBeLessThan(8e-12);
  });

  it("is clamped to 1000 ppm", () => {
    const clock = open(new FakeMacos());
    clock.setRate(0.1);
    expect(clock.rate()).toBeCloseTo(clock.maximumSlew, 11);
    expect(() => clock.setRate(NaN)).toThrow(NtpError);
  });

  it("ends half of a fast slew by itself after 2000 s, says so, and renews it when told again", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const kernel = new FakeMacos();
    const clock = open(kernel);
    clock.setRate(900e-6);
    kernel.pass(2001);
    vi.advanceTimersByTime(2_001_000);
    const start = kernel.nowNs;
    kernel.pass(100);
    expect(Number(kernel.nowNs - start - 100_000_000_000n)).toBeCloseTo(400e-6 * 100e9, -2);
    expect(clock.rate()).toBeCloseTo(400e-6, 10);
    clock.setRate(900e-6);
    expect(clock.rate()).toBeCloseTo(900e-6, 10);
    expect(kernel.adjtimeUs).toBe(1_000_000);
  });

  it("ends adjtime when a slow rate follows a fast one", () => {
    const kernel = new FakeMacos();
    const clock = open(kernel);
    clock.setRate(-800e-6);
    clock.setRate(3e-6);
    expect(kernel.adjtimeUs).toBe(0);
    expect(clock.rate()).toBeCloseTo(3e-6, 11);
  });

  it("ends the kernel's own loop and its remaining offset", () => {
    const kernel = new FakeMacos();
    Object.assign(kernel, { status: PLL | FLL, offsetNs: 80e6, adjtimeUs: 2_000_000 });
    open(kernel).setRate(0);
    expect(kernel).toMatchObject({ offsetNs: 0, adjtimeUs: 0, freq: 0, status: 0 });
  });

  it.each([
    [1_000_000n, 1_000_000n],
    [-1_500n, -2_000n],
    [-2_123_456_789n, -2_123_457_000n],
    [400n, 0n],
  ])("steps by whole microseconds: %d ns as %d", (offset, stepped) => {
    const kernel = new FakeMacos();
    const start = kernel.nowNs;
    open(kernel).step(offset);
    expect(kernel.nowNs - start).toBe(stepped);
  });

  it("says what failed", () => {
    const kernel = new FakeMacos();
    const clock = open(kernel);
    expect(() => clock.step(-2_000_000_000_000_000_000n)).toThrow(/settimeofday.*EPERM/);
    kernel.root = false;
    expect(() => clock.setRate(1e-6)).toThrow(/EPERM/);
  });

  it("tells the status in µs", () => {
    const kernel = new FakeMacos();
    const clock = open(kernel);
    clock.setStatus({ synchronised: true, estimatedError: 1e-4, maximumError: 0.01, leap: 1 });
    expect(kernel).toMatchObject({ status: 0, esterror: 100, maxerror: 10_000 });
    clock.setStatus({ synchronised: false, estimatedError: 1, maximumError: 1, leap: 0 });
    expect(kernel.status).toBe(UNSYNC);
  });

  it("restores frequency and status and ends adjtime, once", () => {
    const kernel = new FakeMacos();
    Object.assign(kernel, { status: PLL, freq: -4321, esterror: 9, maxerror: 70 });
    const clock = open(kernel);
    clock.setRate(1e-3);
    clock.restore();
    expect(kernel).toMatchObject({ status: PLL, freq: -4321, adjtimeUs: 0, esterror: 9 });
    kernel.freq = 5;
    clock.restore();
    expect(kernel.freq).toBe(5);
  });
});
