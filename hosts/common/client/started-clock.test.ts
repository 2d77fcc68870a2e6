// SPDX-License-Identifier: MIT OR Apache-2.0
/** A clock that was started: never backwards, never still, honest about what is not known. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { HOUR, MINUTE, staged } from "../../../tests/support/following.ts";
import { ClockStage, sources } from "../../../tests/support/starting.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { type ClockState } from "./start.ts";

const stage = staged(new ClockStage());
const { errorNow, readOn, servers, started } = stage;

describe("the clock", () => {
  it("never goes back nor stands still, and its bound holds, over paths that are not symmetric", async () => {
    stage.begin({ clockError: 0.09, ppm: 90 });
    servers({ there: 30, back: 3 }, { there: 5, back: 5 }, { there: 1, back: 20 });
    await started({ sources: sources(3) });
    await readOn(HOUR);
    expect(Math.abs(errorNow())).toBeLessThan(0.02);
  });

  it("takes back a small error by a slew", async () => {
    const [server] = servers({});
    await started({ sources: sources(1), maxPoll: 6 });
    await readOn(MINUTE);
    server!.options = { offset: -0.05 };
    let before = stage.clock!.nowNs();
    await letPass(20 * MINUTE, () => {
      const now = stage.clock!.nowNs();
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    });
    expect(errorNow()).toBeCloseTo(-0.05, 3);
  });

  it("shows a step back as a slew at nine tenths of the speed, and counts what is left as uncertainty", async () => {
    const [server] = servers({});
    await started({ sources: sources(1), maxPoll: 6, makeStep: { least: 0.1, count: -1 } });
    await readOn(5 * MINUTE);
    server!.options = { offset: -20 };
    const events: string[] = [];
    stage.clock!.addEventListener("change", (event) => events.push((event as Event & { detail: ClockState }).detail.event));
    let before = stage.clock!.nowNs();
    let at = stage.world.clock.monotonic();
    let slowest = 1;
    let most = 0;
    await letPass(15 * MINUTE, () => {
      const [now, timer] = [stage.clock!.nowNs(), stage.world.clock.monotonic()];
      expect(now).toBeGreaterThanOrEqual(before);
      if (timer > at) slowest = Math.min(slowest, Number(now - before) / Number(timer - at));
      most = Math.max(most, stage.clock!.uncertainty);
      // What the sources say is the truth here: once the clock was stepped, what is still shown too late counts.
      if (events.includes("stepped")) expect(Math.abs(errorNow() + 20)).toBeLessThanOrEqual(stage.clock!.uncertainty + 1e-9);
      [before, at] = [now, timer];
    });
    expect(events).toContain("stepped");
    expect(slowest).toBeGreaterThan(0.85);
    expect(most).toBeGreaterThan(15);
    expect(errorNow()).toBeCloseTo(-20, 2);
    expect(stage.clock!.uncertainty).toBeLessThan(0.1);
  });

  it("shows a step forward at once", async () => {
    const [server] = servers({});
    await started({ sources: sources(1), maxPoll: 6, makeStep: { least: 0.1, count: -1 } });
    await letPass(5 * MINUTE);
    server!.options = { offset: 20 };
    await letPass(15 * MINUTE);
    expect(errorNow()).toBeCloseTo(20, 2);
  });

  it("read while it is set for the first time, with a timeout of 0, does not go back either", async () => {
    stage.begin({ clockError: 3 });
    servers({});
    await started({ sources: sources(1), timeout: 0 });
    let before = stage.clock!.nowNs();
    await letPass(MINUTE, () => {
      expect(stage.clock!.nowNs()).toBeGreaterThanOrEqual(before);
      before = stage.clock!.nowNs();
      expect(Math.abs(errorNow())).toBeLessThanOrEqual(stage.clock!.uncertainty);
    });
    expect(Math.abs(errorNow())).toBeLessThan(0.01);
  });

  it("wakes from sleep with the right time, and says how sure it is", async () => {
    servers({}, {}, {});
    await started({ sources: sources(3) });
    await readOn(10 * MINUTE);
    stage.world.sleep(9 * HOUR, 0.3);
    await letPass(1.001);
    expect(Math.abs(errorNow())).toBeLessThan(0.5);
    expect(stage.clock!.uncertainty).toBe(Infinity);
    await letPass(10, () => expect(Math.abs(errorNow())).toBeLessThanOrEqual(stage.clock!.uncertainty));
    expect(Math.abs(errorNow())).toBeLessThan(0.05);
    expect(stage.clock!.uncertainty).toBeLessThan(0.4);
    await readOn(10 * MINUTE);
  });

  it("has a bound that grows while the sources are silent, never shrinks meanwhile, and stays finite", async () => {
    stage.begin({ ppm: -70 });
    const all = servers({}, {});
    await started({ sources: sources(2), maxPoll: 6 });
    await readOn(HOUR);
    for (const server of all) server.away = true;
    await readOn(5 * MINUTE);
    let before = stage.clock!.uncertainty;
    for (let minute = 0; minute < 60; minute++) {
      await readOn(MINUTE);
      const { uncertainty } = stage.clock!;
      expect(uncertainty).toBeGreaterThan(before);
      before = uncertainty;
    }
    expect(before).toBeLessThan(1);
    expect(stage.clock!.synchronised).toBe(false);
  });

  it("is closed by `await using`", async () => {
    servers({});
    {
      await using mine = await started({ sources: sources(1) });
      expect(mine.synchronised).toBe(true);
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(stage.world.openSockets).toEqual([]);
  });

  it("has a state that names each source", async () => {
    servers({}, {});
    await started({ sources: sources(2) });
    const { state } = stage.clock!;
    expect(state).toMatchObject({ synchronised: true, stratum: 2, leap: 0, survivors: 2, event: "updated" });
    expect(state.sources.map(({ source, selection }) => [source, selection])).toEqual(sources(2).map((name) => [name, "survivor"]));
    expect(state.sources.filter(({ isPeer }) => isPeer)).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(state, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)))).toBeTypeOf("object");
  });
});
