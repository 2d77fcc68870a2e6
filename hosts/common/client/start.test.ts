// SPDX-License-Identifier: MIT OR Apache-2.0
/** `startClock()`: when it resolves, when it fails, and the caller's signal. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { errorOf, inVirtualTime, kisses, silent } from "../../../tests/support/fake-host.ts";
import { MINUTE, address, staged } from "../../../tests/support/following.ts";
import { ClockStage, sources } from "../../../tests/support/starting.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { NtpError } from "../errors.ts";
import { watch } from "./start.ts";

const stage = staged(new ClockStage());
const { errorNow, readOn, servers, start, started } = stage;

describe("startClock", () => {
  it("resolves when the sources agree, after six seconds, with the time", async () => {
    stage.begin({ clockError: -7200 });
    servers({}, {}, {});
    const { ms } = await start({ sources: sources(3) });
    expect(ms).toBeGreaterThan(5000);
    expect(ms).toBeLessThan(8000);
    expect(Math.abs(errorNow())).toBeLessThan(0.01);
    expect(stage.clock).toMatchObject({ synchronised: true });
    expect(stage.clock!.uncertainty).toBeLessThan(0.1);
    expect(Math.abs(stage.clock!.now().getTime() - Number(stage.world.truth() / 1_000_000n))).toBeLessThan(10);
  });

  it("is done before it resolves with what the host's clock was wrong by, forward or back, however much", async () => {
    for (const clockError of [0.5, 40, -40, 400 * 86_400, -400 * 86_400]) {
      stage.begin({ clockError });
      servers({});
      await started({ sources: sources(1) });
      expect(Math.abs(errorNow())).toBeLessThan(0.01);
      await readOn(MINUTE);
      stage.clock!.close();
    }
  });

  it("does not wait with a timeout of 0, and says that nothing is known", async () => {
    stage.begin({ clockError: 5 });
    servers({});
    const { ms } = await start({ sources: sources(1), timeout: 0 });
    expect(ms).toBe(0);
    expect(stage.clock).toMatchObject({ synchronised: false, uncertainty: Infinity });
    expect(errorNow()).toBeCloseTo(5, 3);
    await letPass(10);
    expect(stage.clock!.synchronised).toBe(true);
  });

  it("waits for ever with a timeout of Infinity: setTimeout would fire at once", async () => {
    const [server] = servers({});
    server!.away = true;
    setTimeout(() => (server!.away = false), 5 * MINUTE * 1000);
    const { ms } = await start({ sources: sources(1), timeout: Infinity });
    expect(ms).toBeGreaterThan(5 * MINUTE * 1000);
    expect(stage.clock!.synchronised).toBe(true);
  });

  it.each([NaN, -1])("refuses a timeout of %d", async (timeout) => {
    const { error } = await start({ sources: sources(1), timeout });
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("says NO_AGREEMENT after its timeout, and of each source what it did and why that is not enough", async () => {
    stage.world.at(address(0), silent).at(address(1), kisses("DENY"));
    stage.world.server(address(2), { leap: 3 });
    stage.world.server(address(3), { offset: 50 });
    stage.world.server(address(4), {});
    stage.world.name("gone.example", errorOf("ENOTFOUND"));
    const { error, ms } = await start({ sources: [...sources(5), "gone.example"], timeout: 20 });
    expect(ms).toBe(20_000);
    expect(error).toBeInstanceOf(NtpError);
    const { code, message } = error as NtpError;
    expect(code).toBe("NO_AGREEMENT");
    expect(message).toMatch(/within 20 s/);
    expect(message).toMatch(/192\.0\.2\.1: 0\/\d+ answers/);
    expect(message).toMatch(/192\.0\.2\.2: 0\/1 answers, unreachable, DENY/);
    expect(message).toMatch(/192\.0\.2\.3: 0\/\d+ answers, undecided, INIT: the server has not/);
    expect(message).toMatch(/192\.0\.2\.4: [1-9]\d*\/\d+ answers, undecided/);
    expect(message).toMatch(/192\.0\.2\.5: [1-9]\d*\/\d+ answers, undecided/);
    expect(message).toMatch(/gone\.example: .*ENOTFOUND/);
  });

  it("is not deceived by one liar of three, nor does two of two agreeing on nothing count", async () => {
    servers({}, { offset: 100 }, {});
    await started({ sources: sources(3) });
    expect(Math.abs(errorNow())).toBeLessThan(0.01);
  });

  it.each(["startClock", "watch"])("ends %s with the reason when its port cannot be bound, at once", async (which) => {
    vi.spyOn(stage.world, "openUdp").mockRejectedValue(errorOf("EADDRINUSE"));
    const options = { sources: sources(1), peering: { allow: ["192.0.2.9"] } };
    const { error, ms } = which === "watch" ? await inVirtualTime(() => watch(stage.world, options).next()) : await start(options);
    expect(error).toMatchObject({ message: expect.stringContaining("EADDRINUSE") });
    expect(ms).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("refuses a source that cannot be read, and leaves nothing", async () => {
    expect((await start({ sources: ["http://x"] })).error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((await start({ sources: [] })).error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("the caller's signal", () => {
  it("that fired before asks nobody", async () => {
    servers({});
    const { error } = await start({ sources: sources(1), signal: AbortSignal.abort("no more") });
    expect(error).toMatchObject({ code: "ABORTED", cause: "no more" });
    expect(stage.world.asked).toEqual([]);
  });

  it.each([0, 1, 2500, 5000])("that fires after %i ms of the start ends it, and nothing stays", async (ms) => {
    servers({}, {});
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    const ending = await start({ sources: sources(2), signal: controller.signal });
    expect(ending).toMatchObject({ error: { code: "ABORTED" }, ms });
    await letPass(MINUTE);
    expect(stage.world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("that fires later closes the clock, which runs on", async () => {
    servers({}, {});
    const controller = new AbortController();
    await started({ sources: sources(2), signal: controller.signal });
    controller.abort();
    const asked = stage.world.asked.length;
    await readOn(10 * MINUTE);
    expect(stage.world.asked.length).toBe(asked);
  });

  it("is not held on to by a clock that is closed", async () => {
    servers({});
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, "removeEventListener");
    const add = vi.spyOn(controller.signal, "addEventListener");
    (await started({ sources: sources(1), signal: controller.signal })).close();
    expect(remove.mock.calls.length).toBeGreaterThanOrEqual(add.mock.calls.length);
  });
});
