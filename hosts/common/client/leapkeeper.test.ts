// SPDX-License-Identifier: MIT OR Apache-2.0
/** A leap second at the end of 2026, over a host in memory and virtual time: servers and clock make it together. */

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { trueNs } from "../../../tests/support/fake-host.ts";
import { World, letPass, promisesSettle, type ServerScript } from "../../../tests/support/world-additions.ts";
import { steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import { DisciplineCore } from "./discipline.ts";
import { Engine, type EngineEvent } from "./engine.ts";

/** When a test begins, and the midnight after. */
const START_MS = Date.parse("2026-12-31T23:50:00Z");
const MIDNIGHT_MS = Date.parse("2027-01-01T00:00:00Z");
const SERVERS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

let world: World;
let clock: SteeredClock;
let engine: Engine;
let events: EngineEvent[];
let servers: ServerScript[];
/** What the fake world's own date is short of the date wanted, s: everybody's clock in it is ahead by that. */
let shift: number;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(async () => {
  engine.close();
  await promisesSettle();
  vi.useRealTimers();
});

/** Follow three servers that announce `leap`, over midnight. They and their clocks leap at true midnight if `theirs` says so. */
async function overMidnight(leap: 0 | 1 | 2, theirs: 0 | 1 | 2 = leap): Promise<void> {
  shift = START_MS / 1000 - Number(trueNs()) / 1e9;
  world = new World({ clockError: shift });
  events = [];
  servers = SERVERS.map((address) => world.server(address, { leap, offset: shift }));
  clock = steeredVirtual(world.clock);
  engine = new Engine(world, clock, { sources: SERVERS.map((source) => ({ source })), minPoll: 4, maxPoll: 4 });
  engine.listen((event) => events.push(event));
  await engine.start();
  let leapt = false;
  await letPass(1200, () => {
    if (leapt || utcMs() < MIDNIGHT_MS) return;
    leapt = true;
    const offset = theirs === 1 ? -1 : theirs === 2 ? 1 : 0;
    for (const server of servers) server.options = { leap: 0, offset: shift + offset };
  });
}

const utcMs = () => Number(world.truth() / 1000n) / 1000 + shift * 1000;
/** How far the clock is ahead of UTC, whose leaps are `seconds` in all, s. */
const errorAfter = (seconds: number) => Number(clock.now() - world.truth()) / 1e9 - shift - seconds;
const steps = () => events.filter(({ kind }) => kind === "stepped" || kind === "disturbed");

it("is inserted together with the servers, and nothing is left to correct", async () => {
  await overMidnight(1);
  expect(events.filter(({ kind }) => kind === "leapt")).toHaveLength(1);
  expect(steps()).toEqual([]);
  expect(Math.abs(errorAfter(-1))).toBeLessThan(1e-3);
});

it("is deleted together with the servers", async () => {
  await overMidnight(2);
  expect(events.filter(({ kind }) => kind === "leapt")).toHaveLength(1);
  expect(steps()).toEqual([]);
  expect(Math.abs(errorAfter(1))).toBeLessThan(1e-3);
});

it("does not happen when nobody announces it", async () => {
  await overMidnight(0);
  expect(events.map(({ kind }) => kind)).not.toContain("leapt");
  expect(Math.abs(errorAfter(0))).toBeLessThan(1e-3);
});

it("that was announced and did not happen is corrected like any other error", async () => {
  await overMidnight(1, 0);
  expect(events.filter(({ kind }) => kind === "leapt")).toHaveLength(1);
  expect(Math.abs(errorAfter(0))).toBeLessThan(0.01);
});

it("that a kernel inserts by itself is told from a step by somebody else", async () => {
  await overMidnight(0);
  const NS = 1_000_000_000n;
  const midnight = BigInt(MIDNIGHT_MS) * 1_000_000n;
  const core = () => {
    const fresh = new DisciplineCore();
    fresh.reset({ algorithm: "estimator", frequency: 0, skew: 0, precision: 1e-6 });
    fresh.watchClock(midnight - NS, 100n * NS);
    return fresh;
  };
  const expecting = core();
  expecting.expectLeap(1, midnight);
  // A second and a half later on the timer, half a second later on the wall.
  expect(expecting.watchClock(midnight - NS / 2n, 101n * NS + NS / 2n)).toBe(3);
  // Only once, only then, and only by a second.
  expect(expecting.watchClock(midnight - NS, 102n * NS)).toBe(1);
  expect(core().watchClock(midnight - NS / 2n, 101n * NS + NS / 2n)).toBe(1);
  const early = core();
  early.expectLeap(1, midnight + 60n * NS);
  expect(early.watchClock(midnight - NS / 2n, 101n * NS + NS / 2n)).toBe(1);
  const larger = core();
  larger.expectLeap(1, midnight);
  expect(larger.watchClock(midnight - 2n * NS, 101n * NS)).toBe(1);
});
