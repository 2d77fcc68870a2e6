// SPDX-License-Identifier: MIT OR Apache-2.0
/** What an engine steers, virtual and system clock alike: readings, stamps and the actuator belong together. @module */

import { beforeEach, describe, expect, it } from "vitest";
import type { HostClock } from "../host.ts";
import type { ClockActuator } from "../steering.ts";
import { steeredSystem, steeredVirtual, type SteeredClock } from "./steered.ts";

const SECOND = 1_000_000_000n;
const MS = 1_000_000n;
const BEGINNING = 1_900_000_000n * SECOND;

let wall: bigint;
let timer: bigint;

const host: HostClock = { now: () => wall, monotonic: () => timer, precision: 1e-9, description: "hands" };
/** Steps the host's own clock, as a system's does. */
const system: ClockActuator = {
  description: "hands",
  maximumSlew: 0.1,
  maximumFrequency: 500e-6,
  insertsLeapSeconds: true,
  rate: () => 0,
  setRate: () => {},
  step: (offsetNs) => void (wall += offsetNs),
  setStatus: () => {},
  restore: () => {},
};

function pass(ns: bigint): void {
  wall += ns;
  timer += ns;
}

beforeEach(() => {
  wall = BEGINNING;
  timer = 77n * SECOND;
});

describe.each<[string, () => SteeredClock]>([
  ["virtual", () => steeredVirtual(host)],
  ["system", () => steeredSystem(host, system)],
])("the %s clock", (_, make) => {
  it("runs with the timer on both scales", () => {
    const clock = make();
    const [time, monotonic] = [clock.now(), clock.monotonic()];
    pass(SECOND);
    expect(clock.now() - time).toBe(SECOND);
    expect(clock.monotonic() - monotonic).toBe(SECOND);
  });

  it("is stepped by its actuator, its monotonic scale is not", () => {
    const clock = make();
    const monotonic = clock.monotonic();
    clock.actuator.step(-5n * SECOND);
    expect(clock.now()).toBe(BEGINNING - 5n * SECOND);
    expect(clock.monotonic()).toBe(monotonic);
  });

  it("carries a fresh stamp over to what it read itself", () => {
    const clock = make();
    pass(SECOND);
    const stamp = wall;
    const read = { time: clock.now(), monotonic: clock.monotonic() };
    pass(3n * MS);
    expect(clock.carry(stamp)).toEqual(read);
  });

  it("never puts a stamp into the future of its monotonic scale, though the host's clock was stepped back since", () => {
    const clock = make();
    const stamp = wall;
    pass(MS);
    wall -= 3600n * SECOND;
    expect(clock.carry(stamp).monotonic).toBe(clock.monotonic());
  });
});

describe("the system clock", () => {
  it("takes stamps as its own readings, and has no other clock to follow", () => {
    const clock = steeredSystem(host, system);
    pass(SECOND);
    expect(clock.carry(BEGINNING).time).toBe(BEGINNING);
    expect(clock.followHost).toBeUndefined();
  });
});

describe("the virtual clock", () => {
  it("does not move the host's", () => {
    const clock = steeredVirtual(host);
    clock.actuator.step(SECOND);
    clock.actuator.setRate(0.1);
    expect(wall).toBe(BEGINNING);
  });

  it("follows the host's over a sleep", () => {
    const clock = steeredVirtual(host);
    wall += 60n * SECOND;
    clock.followHost?.();
    expect(clock.now()).toBe(BEGINNING + 60n * SECOND);
  });
});
