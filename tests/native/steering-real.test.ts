// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { openSystemClock as openPublic } from "../../hosts/node/index.ts";
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

  it("is read by programs as the kernel has it", async () => {
    const clock = await openPublic({ readOnly: true });
    const { freq, tick, tai } = readKernel(ffi!);
    const { ratePpm, taiOffset, synchronised, maximumError } = clock.status();
    expect([ratePpm, taiOffset, typeof synchronised]).toEqual([(tick - 10_000) * 100 + freq / 65536, tai, "boolean"]);
    expect(maximumError).toBeGreaterThan(0);
    clock.close();
    const after = readKernel(ffi!);
    expect([after.freq, after.tick]).toEqual([freq, tick]);
  });

  it("takes 1 ppm from programs, too, and is put back; or they are told what they need", async () => {
    const before = readKernel(ffi!);
    const opening = openPublic();
    if (!isActuator(openSystemClock(ffi))) {
      console.warn("SKIPPED: the real clock's frequency is not changed without CAP_SYS_TIME");
      await expect(opening).rejects.toMatchObject({ code: "CLOCK", message: expect.stringContaining("CAP_SYS_TIME") });
      return;
    }
    const clock = await opening;
    try {
      clock.setFrequencyPpm(clock.frequencyPpm + (clock.frequencyPpm > 0 ? -1 : 1));
      expect(Math.abs(Math.abs(readKernel(ffi!).freq - before.freq) - 65536)).toBeLessThanOrEqual(1);
    } finally {
      clock.close();
    }
    expect(settings(readKernel(ffi!))).toEqual(settings(before));
  });
});
