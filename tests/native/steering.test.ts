// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { isActuator, openSystemClock } from "../../hosts/native/steer.ts";
import { FakeLinux } from "./steering-fake-linux.ts";
import { FakeMacos } from "./steering-fake-macos.ts";
import { FakeWindows } from "./steering-fake-windows.ts";

describe("the system clock", () => {
  it.each([
    ["linux", "x64", new FakeLinux().ffi, "clock_adjtime (koffi)", 0.1, 500e-6],
    ["darwin", "arm64", new FakeMacos().ffi, "ntp_adjtime (koffi)", 1000e-6, 500e-6],
    ["win32", "x64", new FakeWindows().ffi, "SetSystemTimeAdjustmentPrecise (koffi)", 1000e-6, 1000e-6],
  ])("of %s on %s is steered by that system's calls", (platform, arch, ffi, description, slew, frequency) => {
    const clock = openSystemClock(ffi, { platform, arch });
    if (!isActuator(clock)) throw new Error(clock.reason);
    expect(clock).toMatchObject({ description, maximumSlew: slew, maximumFrequency: frequency });
    clock.setRate(12.5e-6);
    expect(clock.rate()).toBeCloseTo(12.5e-6, 7);
    clock.restore();
    expect(clock.rate()).toBe(0);
  });

  it.each([
    [undefined, "linux", "x64", /no FFI.*koffi.*--allow-ffi/],
    [new FakeLinux().ffi, "freebsd", "x64", /freebsd/],
    [new FakeLinux().ffi, "linux", "arm", /linux on arm/],
    [new FakeLinux().ffi, "linux", "s390x", /s390x/],
    [new FakeMacos().ffi, "linux", "x64", /clock_adjtime/],
    [new FakeLinux().ffi, "win32", "x64", /advapi32/],
  ])("is refused with a reason, never thrown (%#)", (ffi, platform, arch, reason) => {
    expect(openSystemClock(ffi, { platform, arch })).toMatchObject({ code: "UNSUPPORTED", reason: expect.stringMatching(reason) });
  });
});
