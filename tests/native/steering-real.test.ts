// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { isActuator, openSystemClock } from "../../hosts/native/steer.ts";
import { nudge, readKernel, settings } from "./steering-real.ts";

const ffi = process.platform === "linux" ? await load() : undefined;
if (ffi === undefined) console.warn("SKIPPED: the real clock is looked at only on Linux with koffi");

describe.skipIf(ffi === undefined)("the real clock of Linux", () => {
  it("is read, and opening it changes nothing", () => {
    const before = readKernel(ffi!);
    expect(before.tick).toBeGreaterThanOrEqual(9000);
    expect(Math.abs(before.seconds - Date.now() / 1000)).toBeLessThan(2);
    openSystemClock(ffi);
    expect(settings(readKernel(ffi!))).toEqual(settings(before));
  });

  it("takes 1 ppm and gives it back; or is refused for CAP_SYS_TIME", () => {
    const clock = openSystemClock(ffi);
    if (!isActuator(clock)) {
      expect(clock.reason).toContain("CAP_SYS_TIME");
      return;
    }
    const { before, during, after, asked, told } = nudge(ffi!, clock);
    expect(Math.abs(told - asked)).toBeLessThan(8e-12);
    expect(during.tick).toBe(before.tick);
    expect(Math.abs(Math.abs(during.freq - before.freq) - 65536)).toBeLessThanOrEqual(1);
    expect(settings(after)).toEqual(settings(before));
  });
});
