// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { NtpError } from "../../hosts/common/errors.ts";
import type { ClockActuator } from "../../hosts/common/steering.ts";
import { isActuator } from "../../hosts/native/steer.ts";
import { openWindowsActuator } from "../../hosts/native/steer-windows.ts";
import { FakeWindows } from "./steering-fake-windows.ts";

function open(kernel: FakeWindows): ClockActuator {
  const opened = openWindowsActuator(kernel.ffi);
  if (!isActuator(opened)) throw new Error(opened.reason);
  return opened;
}

describe("opening the clock of Windows", () => {
  it("switches the privilege on, changes nothing else and leaves no handle open", () => {
    const kernel = new FakeWindows();
    const clock = open(kernel);
    expect(kernel).toMatchObject({ enabled: true, disabled: true, adjustment: 10_000_000n, openHandles: 0 });
    expect(clock.rate()).toBe(0);
  });

  it("is refused without the privilege, although AdjustTokenPrivileges succeeds", () => {
    const kernel = new FakeWindows();
    kernel.held = false;
    kernel.disabled = false;
    kernel.adjustment += 321n;
    const opened = openWindowsActuator(kernel.ffi);
    expect(opened).toMatchObject({ code: "CLOCK", reason: expect.stringContaining("administrator") });
    expect(opened.read?.()).toEqual({ ratePpm: expect.closeTo(32.1, 9) });
    expect(kernel.openHandles).toBe(0);
  });

  it("finds the functions where API sets are unknown to the loader", () => {
    expect(isActuator(openWindowsActuator(new FakeWindows("kernelbase.dll").ffi))).toBe(true);
  });

  it("is refused, not thrown, before Windows 10, and with a clock of no frequency", () => {
    expect(openWindowsActuator(new FakeWindows("other.dll").ffi)).toMatchObject({ code: "UNSUPPORTED", reason: expect.stringContaining("Windows 10") });
    const kernel = new FakeWindows();
    kernel.increment = 0n;
    expect(openWindowsActuator(kernel.ffi)).toMatchObject({ reason: expect.stringContaining("frequency is 0") });
  });
});

describe("steering the clock of Windows", () => {
  it.each([10_000_000n, 3_579_545n])("gains the rate that was set, to half a unit, at a nominal %d", (increment) => {
    const kernel = new FakeWindows();
    Object.assign(kernel, { increment, adjustment: increment });
    const clock = open(kernel);
    for (const rate of [20e-6, -300.3e-6, 1000e-6, 0]) {
      clock.setRate(rate);
      const start = kernel.now;
      kernel.pass(1000);
      const gained = Number(kernel.now - start) / 1e10 - 1;
      expect(Math.abs(gained - rate)).toBeLessThan(0.51 / Number(increment));
      expect(clock.rate()).toBeCloseTo(gained, 9);
    }
  });

  it("is clamped to 1000 ppm", () => {
    const kernel = new FakeWindows();
    const clock = open(kernel);
    clock.setRate(-0.1);
    expect(kernel.adjustment).toBe(9_990_000n);
    expect(() => clock.setRate(NaN)).toThrow(NtpError);
  });

  it.each([1_000_000n, -2_123_456_700n, 100n, -86_400_000_000_000n, 3_000_000_000_000_000_000n])(
    "steps by %d ns to the cost of a reading, though Windows takes milliseconds",
    (offset) => {
      const kernel = new FakeWindows();
      const clock = open(kernel);
      let trueNow = kernel.now;
      // Each reading costs 300 ns of the clock's time, and of true time too.
      const cost = (): bigint => {
        trueNow += 3n;
        return 3n;
      };
      Object.defineProperty(kernel, "readingCost", { get: cost });
      clock.step(offset);
      expect(Math.abs(Number(kernel.now - trueNow - offset / 100n))).toBeLessThan(6);
    },
  );

  it("gives up on a clock that stands still", () => {
    const kernel = new FakeWindows();
    kernel.readingCost = 0n;
    expect(() => open(kernel).step(1_234_567n)).toThrow(/stands still/);
  });

  it("says what failed", () => {
    const kernel = new FakeWindows();
    const clock = open(kernel);
    kernel.enabled = false;
    expect(() => clock.setRate(1e-6)).toThrow(/SetSystemTimeAdjustmentPrecise.*1314/);
    expect(() => clock.step(1_000_000n)).toThrow(/SetSystemTime.*1314/);
  });

  it("restores the adjustment it found, or its absence, once", () => {
    const kernel = new FakeWindows();
    const clock = open(kernel);
    clock.setRate(1e-4);
    expect(kernel.disabled).toBe(false);
    clock.restore();
    expect(kernel).toMatchObject({ disabled: true });

    const adjusted = new FakeWindows();
    Object.assign(adjusted, { disabled: false, adjustment: 10_000_321n });
    const other = open(adjusted);
    expect(other.rate()).toBeCloseTo(32.1e-6, 12);
    other.setRate(0);
    other.restore();
    expect(adjusted).toMatchObject({ disabled: false, adjustment: 10_000_321n });
  });

  it("has no status to tell", () => {
    const clock = open(new FakeWindows());
    expect(() => clock.setStatus({ synchronised: true, estimatedError: 0, maximumError: 0, leap: 0 })).not.toThrow();
  });
});
