// SPDX-License-Identifier: MIT OR Apache-2.0
/** `startClock()` and `watch()` over a host in memory: never backwards, never still, honest about what is not known. Time is virtual. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { errorOf, inVirtualTime, kisses, silent, type Answering, type Ending } from "../../../tests/support/fake-host.ts";
import { World, letPass, promisesSettle, type ServerScript } from "../../../tests/support/world-additions.ts";
import { NtpError } from "../errors.ts";
import { Clock, startClock, watch, type ClockOptions, type ClockState } from "./start.ts";

const MINUTE = 60;
const HOUR = 3600;

let world: World;
let clock: Clock | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  clock = undefined;
});

/** Whatever a test did: a closed clock leaves nothing open. */
afterEach(async () => {
  clock?.close();
  await promisesSettle();
  const open = world.openSockets.length;
  for (let timers = 0; timers < 50 && vi.getTimerCount() > 0; timers++) vi.advanceTimersToNextTimer();
  const left = { open, timers: vi.getTimerCount() };
  vi.useRealTimers();
  expect(left).toEqual({ open: 0, timers: 0 });
});

const address = (index: number) => `192.0.2.${index + 1}`;
const sources = (count: number) => Array.from({ length: count }, (_, index) => address(index));
const servers = (...options: Answering[]): ServerScript[] => options.map((option, index) => world.server(address(index), option));

async function start(options: ClockOptions): Promise<Ending<Clock>> {
  const ending = await inVirtualTime(() => startClock(world, options));
  clock = ending.value;
  return ending;
}

async function started(options: ClockOptions): Promise<Clock> {
  const { value, error } = await start(options);
  if (!value) throw error;
  return value;
}

const errorNow = () => Number(clock!.nowNs() - world.truth()) / 1e9;

/** Reads at every timer. What is read grows, at nine tenths of the speed at least, and the bound holds. */
async function readOn(seconds: number): Promise<void> {
  let before = clock!.nowNs();
  let at = world.clock.monotonic();
  await letPass(seconds, () => {
    const now = clock!.nowNs();
    const timer = world.clock.monotonic();
    if (now < before) throw new Error(`went back by ${before - now} ns`);
    // 9/10 of a clock that may itself be slewed by a tenth.
    if (timer - at > 0n && now - before < ((timer - at) * 80n) / 100n) throw new Error(`stood still: ${now - before} ns in ${timer - at} ns`);
    if (!(Math.abs(errorNow()) <= clock!.uncertainty + 1e-9)) throw new Error(`${errorNow()} s wrong, bound ${clock!.uncertainty} s`);
    before = now;
    at = timer;
  });
}

describe("startClock", () => {
  it("resolves when the sources agree, after six seconds, with the time", async () => {
    world = new World({ clockError: -7200 });
    servers({}, {}, {});
    const { ms } = await start({ sources: sources(3) });
    expect(ms).toBeGreaterThan(5000);
    expect(ms).toBeLessThan(8000);
    expect(Math.abs(errorNow())).toBeLessThan(0.01);
    expect(clock).toMatchObject({ synchronised: true });
    expect(clock!.uncertainty).toBeLessThan(0.1);
    expect(Math.abs(clock!.now().getTime() - Number(world.truth() / 1_000_000n))).toBeLessThan(10);
  });

  it("is done before it resolves with what the host's clock was wrong by, forward or back, however much", async () => {
    for (const clockError of [0.5, 40, -40, 400 * 86_400, -400 * 86_400]) {
      world = new World({ clockError });
      servers({});
      await started({ sources: sources(1) });
      expect(Math.abs(errorNow())).toBeLessThan(0.01);
      await readOn(MINUTE);
      clock!.close();
    }
  });

  it("does not wait with a timeout of 0, and says that nothing is known", async () => {
    world = new World({ clockError: 5 });
    servers({});
    const { ms } = await start({ sources: sources(1), timeout: 0 });
    expect(ms).toBe(0);
    expect(clock).toMatchObject({ synchronised: false, uncertainty: Infinity });
    expect(errorNow()).toBeCloseTo(5, 3);
    await letPass(10);
    expect(clock!.synchronised).toBe(true);
  });

  it("waits for ever with a timeout of Infinity: setTimeout would fire at once", async () => {
    const [server] = servers({});
    server!.away = true;
    setTimeout(() => (server!.away = false), 5 * MINUTE * 1000);
    const { ms } = await start({ sources: sources(1), timeout: Infinity });
    expect(ms).toBeGreaterThan(5 * MINUTE * 1000);
    expect(clock!.synchronised).toBe(true);
  });

  it.each([NaN, -1])("refuses a timeout of %d", async (timeout) => {
    const { error } = await start({ sources: sources(1), timeout });
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("says NO_AGREEMENT after its timeout, and of each source what it did and why that is not enough", async () => {
    world.at(address(0), silent).at(address(1), kisses("DENY"));
    world.server(address(2), { leap: 3 });
    world.server(address(3), { offset: 50 });
    world.server(address(4), {});
    world.name("gone.example", errorOf("ENOTFOUND"));
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
    vi.spyOn(world, "openUdp").mockRejectedValue(errorOf("EADDRINUSE"));
    const options = { sources: sources(1), peering: { allow: ["192.0.2.9"] } };
    const { error, ms } = which === "watch" ? await inVirtualTime(() => watch(world, options).next()) : await start(options);
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
    expect(world.asked).toEqual([]);
  });

  it.each([0, 1, 2500, 5000])("that fires after %i ms of the start ends it, and nothing stays", async (ms) => {
    servers({}, {});
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    const ending = await start({ sources: sources(2), signal: controller.signal });
    expect(ending).toMatchObject({ error: { code: "ABORTED" }, ms });
    await letPass(MINUTE);
    expect(world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("that fires later closes the clock, which runs on", async () => {
    servers({}, {});
    const controller = new AbortController();
    await started({ sources: sources(2), signal: controller.signal });
    controller.abort();
    const asked = world.asked.length;
    await readOn(10 * MINUTE);
    expect(world.asked.length).toBe(asked);
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

describe("the clock", () => {
  it("never goes back nor stands still, and its bound holds, over paths that are not symmetric", async () => {
    world = new World({ clockError: 0.09, ppm: 90 });
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
    let before = clock!.nowNs();
    await letPass(20 * MINUTE, () => {
      const now = clock!.nowNs();
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
    clock!.addEventListener("change", (event) => events.push((event as Event & { detail: ClockState }).detail.event));
    let before = clock!.nowNs();
    let at = world.clock.monotonic();
    let slowest = 1;
    let most = 0;
    await letPass(15 * MINUTE, () => {
      const [now, timer] = [clock!.nowNs(), world.clock.monotonic()];
      expect(now).toBeGreaterThanOrEqual(before);
      if (timer > at) slowest = Math.min(slowest, Number(now - before) / Number(timer - at));
      most = Math.max(most, clock!.uncertainty);
      // What the sources say is the truth here: once the clock was stepped, what is still shown too late counts.
      if (events.includes("stepped")) expect(Math.abs(errorNow() + 20)).toBeLessThanOrEqual(clock!.uncertainty + 1e-9);
      [before, at] = [now, timer];
    });
    expect(events).toContain("stepped");
    expect(slowest).toBeGreaterThan(0.85);
    expect(most).toBeGreaterThan(15);
    expect(errorNow()).toBeCloseTo(-20, 2);
    expect(clock!.uncertainty).toBeLessThan(0.1);
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
    world = new World({ clockError: 3 });
    servers({});
    await started({ sources: sources(1), timeout: 0 });
    let before = clock!.nowNs();
    await letPass(MINUTE, () => {
      expect(clock!.nowNs()).toBeGreaterThanOrEqual(before);
      before = clock!.nowNs();
      expect(Math.abs(errorNow())).toBeLessThanOrEqual(clock!.uncertainty);
    });
    expect(Math.abs(errorNow())).toBeLessThan(0.01);
  });

  it("wakes from sleep with the right time, and says how sure it is", async () => {
    servers({}, {}, {});
    await started({ sources: sources(3) });
    await readOn(10 * MINUTE);
    world.sleep(9 * HOUR, 0.3);
    await letPass(1.001);
    expect(Math.abs(errorNow())).toBeLessThan(0.5);
    expect(clock!.uncertainty).toBe(Infinity);
    await letPass(10, () => expect(Math.abs(errorNow())).toBeLessThanOrEqual(clock!.uncertainty));
    expect(Math.abs(errorNow())).toBeLessThan(0.05);
    expect(clock!.uncertainty).toBeLessThan(0.4);
    await readOn(10 * MINUTE);
  });

  it("has a bound that grows while the sources are silent, never shrinks meanwhile, and stays finite", async () => {
    world = new World({ ppm: -70 });
    const all = servers({}, {});
    await started({ sources: sources(2), maxPoll: 6 });
    await readOn(HOUR);
    for (const server of all) server.away = true;
    await readOn(5 * MINUTE);
    let before = clock!.uncertainty;
    for (let minute = 0; minute < 60; minute++) {
      await readOn(MINUTE);
      const { uncertainty } = clock!;
      expect(uncertainty).toBeGreaterThan(before);
      before = uncertainty;
    }
    expect(before).toBeLessThan(1);
    expect(clock!.synchronised).toBe(false);
  });

  it("is closed by `await using`", async () => {
    servers({});
    {
      await using mine = await started({ sources: sources(1) });
      expect(mine.synchronised).toBe(true);
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(world.openSockets).toEqual([]);
  });

  it("has a state that names each source", async () => {
    servers({}, {});
    await started({ sources: sources(2) });
    const { state } = clock!;
    expect(state).toMatchObject({ synchronised: true, stratum: 2, leap: 0, survivors: 2, event: "updated" });
    expect(state.sources.map(({ source, selection }) => [source, selection])).toEqual(sources(2).map((name) => [name, "survivor"]));
    expect(state.sources.filter(({ isPeer }) => isPeer)).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(state, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)))).toBeTypeOf("object");
  });
});

describe("watch", () => {
  /** Everything that is yielded until the loop ends. */
  function collect(options: ClockOptions, leave: (state: ClockState, count: number) => boolean) {
    const states: ClockState[] = [];
    const ended = (async () => {
      for await (const state of watch(world, options)) if (leave(state, states.push(state))) break;
    })();
    return { states, ended };
  }

  it("yields states from the first answer on, and the first agreement among them", async () => {
    servers({}, {});
    const { states, ended } = collect({ sources: sources(2) }, ({ event }) => event === "synchronised");
    await inVirtualTime(() => ended);
    expect(states.length).toBeGreaterThan(1);
    expect(states[0]).toMatchObject({ synchronised: false, uncertainty: Infinity });
    expect(states.at(-1)).toMatchObject({ event: "synchronised", synchronised: true });
    expect(states.at(-1)!.uncertainty).toBeLessThan(0.1);
  });

  it("left by break leaves nothing open", async () => {
    servers({});
    const { ended } = collect({ sources: sources(1) }, () => true);
    await inVirtualTime(() => ended);
    expect(world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("left by an error of the loop's body leaves nothing open", async () => {
    servers({});
    const { ended } = collect({ sources: sources(1) }, () => {
      throw new Error("the body's own");
    });
    expect((await inVirtualTime(() => ended)).error).toMatchObject({ message: "the body's own" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([1, 2500, 60_000])("ends when the signal fires after %i ms, without an error", async (ms) => {
    servers({});
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    const { ended } = collect({ sources: sources(1), signal: controller.signal }, () => false);
    const ending = await inVirtualTime(() => ended);
    expect(ending.error).toBeUndefined();
    expect(ending.ms).toBe(ms);
    // What a server had under way ends by itself.
    await letPass(1);
    expect(world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("with a signal that fired before ends at once and asks nobody", async () => {
    servers({});
    const { states, ended } = collect({ sources: sources(1), signal: AbortSignal.abort() }, () => false);
    expect((await inVirtualTime(() => ended)).ms).toBe(0);
    expect(states).toEqual([]);
    expect(world.sockets).toEqual([]);
  });

  it("does nothing before it is looked at", async () => {
    servers({});
    watch(world, { sources: sources(1) });
    await letPass(10);
    expect(world.asked).toEqual([]);
  });

  it("keeps at most 256 states for one who is slow", async () => {
    servers({}, {}, {}, {});
    const iterator = watch(world, { sources: sources(4), maxPoll: 3, minPoll: 3 })[Symbol.asyncIterator]();
    const first = iterator.next();
    await letPass(HOUR);
    expect((await first).done).toBe(false);
    let waiting = 0;
    for (; waiting < 2000; waiting++) {
      const next = await Promise.race([iterator.next(), promisesSettle()]);
      if (!next) break;
    }
    expect(waiting).toBe(256);
    // The last next() waits still: what comes then ends it, and return() follows.
    const closed = iterator.return();
    await inVirtualTime(() => closed);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("says at its first step that a source cannot be read", async () => {
    const { ended } = collect({ sources: ["http://x"] }, () => false);
    expect((await inVirtualTime(() => ended)).error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
