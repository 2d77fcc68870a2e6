// SPDX-License-Identifier: MIT OR Apache-2.0
/** The engine's clock when it is stepped by others, sleeps, refuses or stands still, over a host in memory. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { EngineStage, HOUR, MINUTE, address, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { steeredSystem, steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import { NtpError } from "../errors.ts";
import type { ClockActuator } from "../steering.ts";

const stage = staged(new EngineStage());
const { error, follow, kinds, passWithinBound, state } = stage;

/** The host's own clock, steered like a kernel's: it slews the timer along with it. */
class Kernel implements ClockActuator {
  readonly description = "kernel";
  readonly maximumSlew = 0.1;
  readonly maximumFrequency = 500e-6;
  readonly insertsLeapSeconds: boolean = true;
  readonly #virtual = steeredVirtual(stage.world.clock);

  rate(): number {
    return this.#virtual.actuator.rate();
  }
  setRate(rate: number, monotonicNs?: bigint): void {
    this.#virtual.actuator.setRate(rate, monotonicNs);
  }
  step(offsetNs: bigint): void {
    this.#virtual.actuator.step(offsetNs);
  }
  setStatus(): void {}
  restore(): void {}

  /** Stamps are readings of this clock: the fake host's own are carried over. */
  steered(): SteeredClock {
    const { now, monotonic, carry } = this.#virtual;
    return { ...steeredSystem({ ...stage.world.clock, now, monotonic }, this), carry };
  }
}

describe("a clock that refuses to be steered", () => {
  it("is told of once, and followed again when it obeys", async () => {
    const { actuator } = stage.clock;
    const setRate = actuator.setRate.bind(actuator);
    let refusing = false;
    actuator.setRate = (rate, at) => {
      if (refusing) throw new NtpError("CLOCK", "expected clock_adjtime to be obeyed");
      setRate(rate, at);
    };
    await follow([{}, {}, {}]);
    await letPass(5 * MINUTE);
    refusing = true;
    await letPass(20 * MINUTE);
    expect(stage.events.filter(({ kind }) => kind === "clock-refused")).toHaveLength(1);
    refusing = false;
    await letPass(20 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(1e-3);
  });
});

describe("somebody else steps the system clock", () => {
  it.each([[0.3, "stepped ahead or slept"], [-0.3, "stepped back"], [5, "stepped ahead or slept"], [-5, "stepped back"]] as const)(
    "by %d s: noticed within a second and repaired",
    async (by, how) => {
      const kernel = new Kernel();
      stage.clock = kernel.steered();
      await follow([{}, {}, {}], { makeStep: { least: 0.1, count: -1 } });
      await letPass(30 * MINUTE);
      kernel.step(BigInt(Math.round(by * 1e9)));
      await letPass(1.001);
      expect(stage.events).toContainEqual({ kind: "disturbed", how });
      await passWithinBound(9);
      expect(Math.abs(error())).toBeLessThan(0.005);
      expect(await passWithinBound(20 * MINUTE)).toBeLessThan(0.005);
    },
  );

  it("again and again: the servers are not asked more often than a burst allows", async () => {
    const kernel = new Kernel();
    stage.clock = kernel.steered();
    await follow([{}]);
    await letPass(5 * MINUTE);
    const before = stage.world.asked.length;
    for (let second = 0; second < 60; second++) {
      kernel.step(second % 2 ? 200_000_000n : -200_000_000n);
      await letPass(1);
    }
    expect(stage.world.asked.length - before).toBeLessThanOrEqual(31);
    const times = stage.world.times(address(0));
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThan(1900);
  });

  it("by a third of 50 ms is not reported, only corrected", async () => {
    const kernel = new Kernel();
    stage.clock = kernel.steered();
    await follow([{}], { maxPoll: 6 });
    await letPass(30 * MINUTE);
    kernel.step(15_000_000n);
    await letPass(10 * MINUTE);
    expect(kinds()).not.toContain("disturbed");
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});

describe("the virtual clock over a host", () => {
  it("is not moved when somebody steps the host's wall clock back, nor when that is set right again", async () => {
    await follow([{}, {}, {}]);
    await letPass(30 * MINUTE);
    stage.world.stepWall(-3600);
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    stage.world.stepWall(3600);
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    expect(kinds()).toEqual(["synchronised"]);
  });

  it("that slept in the moment after our own first step does not claim to be sure", async () => {
    stage.begin({ clockError: 2 });
    await follow([{}, {}, {}]);
    for (let looks = 0; looks < 20_000 && !kinds().includes("stepped"); looks++) await letPass(0.001);
    expect(kinds()).toContain("stepped");
    stage.world.sleep(HOUR, 0);
    await letPass(1.001);
    expect(stage.events).toContainEqual({ kind: "disturbed", how: "stepped ahead or slept" });
  });

  it.each([[8 * HOUR, 0.4], [30, -0.02], [5 * MINUTE, 0]])("that slept for %i s and woke %d s wrong is right after seconds, and unsure until then", async (slept, wallError) => {
    await follow([{}, {}, {}]);
    await letPass(30 * MINUTE);
    stage.world.sleep(slept, wallError);
    await letPass(1.001);
    expect(stage.events).toContainEqual({ kind: "disturbed", how: "stepped ahead or slept" });
    expect(state()).toMatchObject({ synchronised: false, uncertainty: Infinity });
    await passWithinBound(15);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(await passWithinBound(20 * MINUTE)).toBeLessThan(0.01);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});

describe("a stall of the event loop", () => {
  it("of a minute, in the middle of an exchange and of a slew, is survived", async () => {
    stage.begin({ clockError: 0.5, ppm: 20 });
    await follow([{}, {}, {}], { makeStep: { least: 0.1, count: 0 } });
    await letPass(6.5);
    // All timers of this minute fire together, late.
    const stalled = performance.now();
    vi.setSystemTime(Date.now() + 60_000);
    await letPass(0.001);
    expect(performance.now() - stalled).toBeGreaterThanOrEqual(1);
    await letPass(5 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});
