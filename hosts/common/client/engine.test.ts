// SPDX-License-Identifier: MIT OR Apache-2.0
/** The engine and its runners over a host in memory: sources that lie, fall silent and come back, clocks that jump. Time is virtual. @module */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { errorOf, kisses, refuses, silent, unroutable, type Answering, type Behaviour } from "../../../tests/support/fake-host.ts";
import { World, letPass, promisesSettle, type ServerScript } from "../../../tests/support/world-additions.ts";
import { steeredSystem, steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import type { ClockActuator } from "../steering.ts";
import { NtpError } from "../errors.ts";
import { Engine, type EngineEvent, type EngineOptions } from "./engine.ts";

const MINUTE = 60;
const HOUR = 3600;

let world: World;
let clock: SteeredClock;
let engine: Engine | undefined;
let events: EngineEvent[];

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  events = [];
  engine = undefined;
});

/** Whatever a test did: a closed engine leaves nothing open. */
afterEach(async () => {
  engine?.close();
  await promisesSettle();
  const open = world.openSockets.length;
  // What servers and slow sockets still have under way ends by itself.
  for (let timers = 0; timers < 50 && vi.getTimerCount() > 0; timers++) vi.advanceTimersToNextTimer();
  await promisesSettle();
  const left = { open, late: world.openSockets.length, timers: vi.getTimerCount() };
  vi.useRealTimers();
  expect(left).toEqual({ open: 0, late: 0, timers: 0 });
});

const address = (index: number) => `192.0.2.${index + 1}`;

/** An engine that follows a server for each of the options. */
async function follow(servers: readonly Answering[], options: Partial<EngineOptions> = {}): Promise<ServerScript[]> {
  const scripts = servers.map((server, index) => world.server(address(index), server));
  await startEngine({ sources: servers.map((_, index) => ({ source: address(index) })), ...options });
  return scripts;
}

async function startEngine(options: EngineOptions): Promise<void> {
  clock ??= steeredVirtual(world.clock);
  engine = new Engine(world, clock, options);
  engine.listen((event) => events.push(event));
  await engine.start();
}

beforeEach(() => {
  clock = undefined as unknown as SteeredClock;
});

/** How far the clock is ahead of the truth, s. */
const error = () => Number(clock.now() - world.truth()) / 1e9;
const state = () => engine!.tracking();
const kinds = () => events.map(({ kind }) => kind).filter((kind) => kind !== "updated");
const sourceStates = () => engine!.sources();

/** At every timer: the bound holds. Returns the greatest error seen. */
async function passWithinBound(seconds: number): Promise<number> {
  let worst = 0;
  await letPass(seconds, () => {
    const wrong = Math.abs(error());
    worst = Math.max(worst, wrong);
    const { uncertainty } = state();
    if (!(wrong <= uncertainty)) throw new Error(`${wrong} s wrong, but said to be within ${uncertainty} s after ${performance.now() / 1000} s`);
  });
  return worst;
}

describe("a clock converges to the truth", () => {
  it.each([
    [1, "estimator", 0.3, 80],
    [4, "estimator", -0.05, -40],
    [5, "estimator", 5, 120],
    [1, "pll-fll", 0.3, 80],
    [4, "pll-fll", -0.05, -40],
  ] as const)("with %i sources by the %s, %d s and %d ppm off, and its bound holds all the time", async (count, algorithm, clockError, ppm) => {
    world = new World({ clockError, ppm });
    const paths = [[5, 5], [3, 3], [9, 9], [4, 4], [7, 7]] as const;
    await follow(paths.slice(0, count).map(([there, back]) => ({ there, back })), { algorithm });
    await letPass(MINUTE);
    await passWithinBound(29 * MINUTE);
    const worst = await passWithinBound(10 * MINUTE);
    expect(worst).toBeLessThan(0.001);
    expect(state()).toMatchObject({ synchronised: true, stratum: 2, leap: 0 });
    // The cluster algorithm of RFC 5905 may drop the least steady as long as three remain.
    expect(state().survivors).toBeGreaterThanOrEqual(algorithm === "pll-fll" ? Math.min(count, 3) : count);
    expect(state().frequencyPpm).toBeCloseTo(-ppm, -0.5);
    // RFC 5905's filter may speak by a sample as old as the Allan intercept, over which any clock may drift by 31 ms.
    expect(state().uncertainty).toBeLessThan(algorithm === "pll-fll" ? 0.05 : 0.02);
  });

  it("and its bound holds from the first moment on, over asymmetric paths", async () => {
    world = new World({ clockError: -0.8, ppm: 60 });
    await follow([{ there: 20, back: 2 }, { there: 1, back: 30 }, { there: 5, back: 5 }]);
    await passWithinBound(20 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });

  it("after six seconds", async () => {
    world = new World({ clockError: 2 });
    await follow([{}, {}, {}, {}]);
    await letPass(5.5);
    expect(state()).toMatchObject({ synchronised: false, uncertainty: Infinity });
    await letPass(1);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });

  it("and tells so in order: stepped, synchronised, and then only updates", async () => {
    world = new World({ clockError: 2 });
    await follow([{}]);
    await letPass(10 * MINUTE);
    expect(kinds()).toEqual(["stepped", "synchronised"]);
    const steps = events.flatMap((event) => (event.kind === "stepped" ? [Number(event.offsetNs) / 1e9] : []));
    expect(steps).toEqual([expect.closeTo(-2, 2)]);
    expect(events.findIndex(({ kind }) => kind === "updated")).toBeGreaterThanOrEqual(0);
  });

  it("without a step where the policy allows none", async () => {
    world = new World({ clockError: 2 });
    await follow([{}], { makeStep: { least: 0.1, count: 0 } });
    await letPass(MINUTE);
    expect(kinds()).toEqual(["synchronised"]);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});

describe("liars", () => {
  it("one among four never moves the clock", async () => {
    await follow([{}, {}, { offset: 10 }, {}]);
    const worst = await passWithinBound(HOUR);
    expect(worst).toBeLessThan(0.001);
    expect(sourceStates().map(({ selection }) => selection)).toEqual(["survivor", "survivor", "falseticker", "survivor"]);
  });

  it("one that begins to lie after an hour does not, either", async () => {
    const servers = await follow([{}, {}, {}, {}]);
    await letPass(HOUR);
    servers[0]!.options = { offset: 0.5 };
    expect(await passWithinBound(HOUR)).toBeLessThan(0.001);
  });

  it("two among five do not, though they agree", async () => {
    await follow([{ offset: 30 }, {}, { offset: 30 }, {}, {}]);
    expect(await passWithinBound(HOUR)).toBeLessThan(0.001);
    expect(state().survivors).toBe(3);
  });

  it("two of two leave no majority: the clock is not synchronised, and nobody steers it", async () => {
    world = new World({ clockError: 0.2 });
    await follow([{ offset: 3 }, { offset: -3 }]);
    await letPass(10 * MINUTE);
    expect(state()).toMatchObject({ synchronised: false, leap: 3, stratum: 16, uncertainty: Infinity, peer: -1 });
    expect(error()).toBeCloseTo(0.2, 6);
    expect(kinds()).toEqual([]);
    expect(sourceStates().map(({ selection }) => selection)).toEqual(["undecided", "undecided"]);
  });

  it("that break a majority leave the clock running free with a bound that grows, until there is one again", async () => {
    world = new World({ ppm: 30 });
    const servers = await follow([{}, {}, {}]);
    await letPass(HOUR);
    const known = state().uncertainty;
    servers[0]!.options = { offset: 20 };
    servers[1]!.options = { offset: -20 };
    await passWithinBound(HOUR);
    expect(state()).toMatchObject({ synchronised: false, leap: 3 });
    expect(kinds()).toEqual(["synchronised", "unsynchronised"]);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(state().uncertainty).toBeGreaterThan(known);
    servers[0]!.options = servers[1]!.options = {};
    await passWithinBound(HOUR);
    expect(state().synchronised).toBe(true);
    expect(kinds()).toEqual(["synchronised", "unsynchronised", "synchronised"]);
  });
});

describe("an outage", () => {
  it("of an hour: the bound grows while it lasts and holds, and the clock is as good as before soon after", async () => {
    world = new World({ ppm: 45 });
    const servers = await follow([{}, {}, {}]);
    await letPass(2 * HOUR);
    const known = state().uncertainty;
    for (const server of servers) server.away = true;
    await passWithinBound(20 * MINUTE);
    const then = state().uncertainty;
    await passWithinBound(60 * MINUTE);
    const late = state().uncertainty;
    expect(then).toBeGreaterThan(known);
    expect(late).toBeGreaterThan(then);
    expect(late).toBeLessThan(0.5);
    expect(Math.abs(error())).toBeLessThan(0.005);
    for (const server of servers) server.away = false;
    // It is not asked more often while it is silent, so that its return is noticed late; then it is soon as good as before.
    expect(await passWithinBound(90 * MINUTE)).toBeLessThan(0.005);
    expect(Math.abs(error())).toBeLessThan(0.001);
    expect(state().synchronised).toBe(true);
    expect(state().uncertainty).toBeLessThan(2 * known);
  });

  it("long enough says unsynchronised, and the return says synchronised again", async () => {
    const servers = await follow([{}], { maxPoll: 6 });
    await letPass(10 * MINUTE);
    servers[0]!.away = true;
    await letPass(8 * MINUTE);
    expect(kinds()).toEqual(["synchronised"]);
    await letPass(4 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "unsynchronised"]);
    servers[0]!.away = false;
    await letPass(3 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "unsynchronised", "synchronised"]);
  });

  it("of five minutes, as in a restart, is nothing", async () => {
    const [server] = await follow([{}]);
    await letPass(HOUR);
    server!.away = true;
    await letPass(5 * MINUTE);
    server!.away = false;
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    expect(kinds()).toEqual(["synchronised"]);
  });

  it("of one source among three does not even change the bound much", async () => {
    const servers = await follow([{}, {}, {}]);
    await letPass(HOUR);
    servers[1]!.away = true;
    expect(await passWithinBound(2 * HOUR)).toBeLessThan(0.001);
    expect(sourceStates()[1]).toMatchObject({ reach: 0, selection: "unreachable" });
    expect(state()).toMatchObject({ synchronised: true, survivors: 2 });
  });
});

describe("a server's clock is stepped", () => {
  it("by 0.3 s: the only one is followed, in minutes", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(30 * MINUTE);
    server!.options = { offset: 0.3 };
    await letPass(10 * MINUTE);
    expect(error()).toBeCloseTo(0.3, 3);
  });

  it("by 2000 s: that is refused and said, and the clock stays", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(30 * MINUTE);
    server!.options = { offset: 2000 };
    await letPass(20 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(events).toContainEqual({ kind: "step-limit", how: "refused" });
  });
});

/** The host's own clock, steered like a kernel's: it slews the timer along with it. */
class Kernel implements ClockActuator {
  readonly description = "kernel";
  readonly maximumSlew = 0.1;
  readonly maximumFrequency = 500e-6;
  readonly insertsLeapSeconds: boolean = true;
  readonly #virtual = steeredVirtual(world.clock);

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
    return { ...steeredSystem({ ...world.clock, now, monotonic }, this), carry };
  }
}

describe("a clock that refuses to be steered", () => {
  it("is told of once, and followed again when it obeys", async () => {
    clock = steeredVirtual(world.clock);
    const { actuator } = clock;
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
    expect(events.filter(({ kind }) => kind === "clock-refused")).toHaveLength(1);
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
      clock = kernel.steered();
      await follow([{}, {}, {}], { makeStep: { least: 0.1, count: -1 } });
      await letPass(30 * MINUTE);
      kernel.step(BigInt(Math.round(by * 1e9)));
      await letPass(1.001);
      expect(events).toContainEqual({ kind: "disturbed", how });
      await passWithinBound(9);
      expect(Math.abs(error())).toBeLessThan(0.005);
      expect(await passWithinBound(20 * MINUTE)).toBeLessThan(0.005);
    },
  );

  it("again and again: the servers are not asked more often than a burst allows", async () => {
    const kernel = new Kernel();
    clock = kernel.steered();
    await follow([{}]);
    await letPass(5 * MINUTE);
    const before = world.asked.length;
    for (let second = 0; second < 60; second++) {
      kernel.step(second % 2 ? 200_000_000n : -200_000_000n);
      await letPass(1);
    }
    expect(world.asked.length - before).toBeLessThanOrEqual(31);
    const times = world.times(address(0));
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThan(1900);
  });

  it("by a third of 50 ms is not reported, only corrected", async () => {
    const kernel = new Kernel();
    clock = kernel.steered();
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
    world.stepWall(-3600);
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    world.stepWall(3600);
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    expect(kinds()).toEqual(["synchronised"]);
  });

  it("that slept in the moment after our own first step does not claim to be sure", async () => {
    world = new World({ clockError: 2 });
    await follow([{}, {}, {}]);
    for (let looks = 0; looks < 20_000 && !kinds().includes("stepped"); looks++) await letPass(0.001);
    expect(kinds()).toContain("stepped");
    world.sleep(HOUR, 0);
    await letPass(1.001);
    expect(events).toContainEqual({ kind: "disturbed", how: "stepped ahead or slept" });
  });

  it.each([[8 * HOUR, 0.4], [30, -0.02], [5 * MINUTE, 0]])("that slept for %i s and woke %d s wrong is right after seconds, and unsure until then", async (slept, wallError) => {
    await follow([{}, {}, {}]);
    await letPass(30 * MINUTE);
    world.sleep(slept, wallError);
    await letPass(1.001);
    expect(events).toContainEqual({ kind: "disturbed", how: "stepped ahead or slept" });
    expect(state()).toMatchObject({ synchronised: false, uncertainty: Infinity });
    await passWithinBound(15);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(await passWithinBound(20 * MINUTE)).toBeLessThan(0.01);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});

describe("kisses", () => {
  it("RATE slows the asking down and the clock is steered on", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(10 * MINUTE);
    server!.options = { kiss: "RATE" };
    await letPass(2 * MINUTE);
    server!.options = {};
    const from = world.asked.length;
    await letPass(HOUR);
    const times = world.times(address(0)).slice(from);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(128_000);
    expect(state().synchronised).toBe(true);
  });

  it("RATE is heeded by askNow, too", async () => {
    world.at(address(0), kisses("RATE"));
    await startEngine({ sources: [{ source: address(0) }] });
    await letPass(1);
    for (let second = 0; second < 60; second++) {
      engine!.askNow();
      await letPass(1);
    }
    expect(world.asked).toHaveLength(1);
  });

  it("askNow asks now, but not twice", async () => {
    await follow([{}]);
    await letPass(30 * MINUTE);
    const before = world.asked.length;
    engine!.askNow();
    engine!.askNow();
    await letPass(1);
    expect(world.asked.length - before).toBe(1);
  });

  it.each(["DENY", "RSTR"])("%s ends the asking of that server only, and says so", async (code) => {
    const servers = await follow([{}, {}, {}]);
    await letPass(10 * MINUTE);
    servers[1]!.options = { kiss: code };
    await letPass(10 * MINUTE);
    expect(events).toContainEqual({ kind: "stopped", source: address(1) });
    const before = world.times(address(1)).length;
    await letPass(HOUR);
    expect(world.times(address(1))).toHaveLength(before);
    expect(state()).toMatchObject({ synchronised: true, survivors: 2 });
    expect(sourceStates()[1]).toMatchObject({ source: address(1), selection: "unreachable", kisses: 1 });
  });

  it("DENY from all leaves the clock unsynchronised", async () => {
    const [server] = await follow([{}]);
    await letPass(10 * MINUTE);
    server!.options = { kiss: "DENY" };
    await letPass(30 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "stopped", "unsynchronised"]);
  });
});

describe("names", () => {
  it("that cannot be looked up at the start are tried again with each request", async () => {
    world.name("time.example", errorOf("EAI_AGAIN")).server("192.0.2.1");
    await startEngine({ sources: [{ source: "time.example" }] });
    await letPass(5);
    expect(world.asked).toHaveLength(0);
    expect(sourceStates()[0]).toMatchObject({ address: undefined, used: 0 });
    expect(sourceStates()[0]!.lastError).toContain("EAI_AGAIN");
    world.name("time.example", ["192.0.2.1"]);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]).toMatchObject({ address: "192.0.2.1:123", lastError: undefined });
  });

  it("that take for ever to look up do not hold up the others", async () => {
    world.name("slow.example", { after: Infinity, addresses: [] });
    world.server("192.0.2.1");
    engine = new Engine(world, (clock = steeredVirtual(world.clock)), { sources: [{ source: "slow.example" }, { source: "192.0.2.1" }] });
    void engine.start();
    await letPass(10);
    expect(state().synchronised).toBe(true);
  });

  it("are asked in the resolver's order, the next address when one is silent, and then the one that answers", async () => {
    world.name("time.example", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    world.at("2001:db8::1", unroutable).at("192.0.2.1", silent).server("192.0.2.2");
    await startEngine({ sources: [{ source: "time.example" }] });
    await letPass(10 * MINUTE);
    // Families take turns.
    expect(world.order.slice(0, 5)).toEqual(["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"]);
    expect(new Set(world.order.slice(2))).toEqual(new Set(["192.0.2.2"]));
    expect(state().synchronised).toBe(true);
  });

  it("are looked up again when the server fell silent, and its new address is asked", async () => {
    world.name("time.example", ["192.0.2.1"]);
    const [old] = [world.server("192.0.2.1"), world.server("192.0.2.2")];
    await startEngine({ sources: [{ source: "time.example" }], maxPoll: 6 });
    await letPass(10 * MINUTE);
    world.name("time.example", ["192.0.2.2"]);
    await letPass(10 * MINUTE);
    expect(world.times("192.0.2.2")).toHaveLength(0);
    old!.away = true;
    await letPass(20 * MINUTE);
    expect(world.times("192.0.2.2").length).toBeGreaterThan(0);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.address).toBe("192.0.2.2:123");
  });

  it("that fail when looked up again leave the old address", async () => {
    world.name("time.example", ["192.0.2.1"]);
    const server = world.server("192.0.2.1");
    await startEngine({ sources: [{ source: "time.example" }], maxPoll: 6 });
    await letPass(10 * MINUTE);
    world.name("time.example", errorOf("ENOTFOUND"));
    server.away = true;
    await letPass(30 * MINUTE);
    expect(sourceStates()[0]!.lastError).toContain("ENOTFOUND");
    server.away = false;
    await letPass(10 * MINUTE);
    expect(state().synchronised).toBe(true);
  });

  it("of pools become as many sources as asked for, or as there are", async () => {
    world.name("pool.example", ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]).name("small.example", ["192.0.2.9"]);
    for (const index of [0, 1, 2, 3, 4, 8]) world.server(address(index));
    await startEngine({ sources: [{ source: "pool.example", pool: 4 }, { source: "small.example", pool: 3 }] });
    await letPass(MINUTE);
    expect(sourceStates().map((source) => source.address)).toEqual(["192.0.2.1:123", "192.0.2.2:123", "192.0.2.3:123", "192.0.2.4:123", "192.0.2.9:123"]);
    expect(state().survivors).toBe(5);
  });

  it("of pools that are lost are replaced by others of the pool", async () => {
    world.name("pool.example", ["192.0.2.1", "192.0.2.2"]);
    const [first] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((one) => world.server(one));
    await startEngine({ sources: [{ source: "pool.example", pool: 2 }] });
    await letPass(5 * MINUTE);
    first!.away = true;
    world.name("pool.example", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    await letPass(HOUR);
    const states = sourceStates();
    expect(states.map((source) => source.address).sort()).toEqual(["192.0.2.2:123", "192.0.2.3:123"]);
    expect(states.map(({ selection }) => selection)).toEqual(["survivor", "survivor"]);
  });

  it("of pools that cannot be looked up at the start are one source until they can", async () => {
    world.name("pool.example", errorOf("EAI_AGAIN")).server("192.0.2.1");
    await startEngine({ sources: [{ source: "pool.example", pool: 4 }] });
    world.name("pool.example", ["192.0.2.1", "192.0.2.2"]);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
  });
});

describe("sockets", () => {
  const one = (...script: Behaviour[]) => {
    world.at(address(0), ...script);
    return startEngine({ sources: [{ source: address(0) }] });
  };

  it.each<[string, Behaviour, string]>([
    ["cannot be opened", { openFails: errorOf("EMFILE") }, "EMFILE"],
    ["cannot send", unroutable, "ENETUNREACH"],
    ["are refused", refuses, "ECONNREFUSED"],
  ])("that %s are requests without an answer, and the reason is told until one comes", async (_, fault, code) => {
    const server = world.server("192.0.2.77");
    await one(fault, fault, fault);
    await letPass(1);
    expect(sourceStates()[0]!.lastError).toContain(code);
    world.at(address(0), server);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.lastError).toBeUndefined();
  });

  it("are fresh for each request, and no more than one is open", async () => {
    await follow([{}]);
    let most = 0;
    await letPass(10 * MINUTE, () => (most = Math.max(most, world.openSockets.length)));
    expect(most).toBe(1);
    expect(new Set(world.asked.map(({ localPort }) => localPort)).size).toBe(world.asked.length);
  });

  it("that open only after the next request was made are closed, and send nothing", async () => {
    const slow: Behaviour = { openTakes: 3000 };
    await one(slow);
    const server = world.server("192.0.2.77");
    let most = 0;
    await letPass(2.5);
    world.at(address(0), server);
    await letPass(MINUTE, () => (most = Math.max(most, world.openSockets.length)));
    expect(most).toBe(1);
    // The first request's socket opened at 3 s, when the second had been sent.
    expect(world.asked[0]!.at).toBeLessThan(5000);
    expect(sourceStates()[0]!.used).toBe(world.asked.length);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });

  it("whose send settles only after the next request do not lend it their time", async () => {
    // The first send settles between the second request and its answer.
    const server = world.server("192.0.2.77", { there: 200, back: 200 });
    await one({ sendTakes: 2100 }, server);
    await letPass(2.5);
    expect(sourceStates()[0]).toMatchObject({ used: 1 });
    expect(sourceStates()[0]!.offset).toBeCloseTo(0, 3);
    expect(sourceStates()[0]!.delay).toBeCloseTo(0.4, 3);
  });

  it("whose send never settles are closed at the next request", async () => {
    await one({ sendTakes: Infinity });
    let most = 0;
    await letPass(5 * MINUTE, () => (most = Math.max(most, world.openSockets.length)));
    expect(most).toBe(1);
    expect(sourceStates()[0]).toMatchObject({ used: 0, reach: 0 });
  });

  it("that get the answer before send settles use it then", async () => {
    const server = world.server("192.0.2.77", { there: 1, back: 1 });
    await one({ onRequest: (request) => server.onRequest(request), sendTakes: 50 });
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.001);
    expect(state().uncertainty).toBeLessThan(0.02);
  });

  it("that are flooded keep sixteen datagrams until send settles, and live", async () => {
    const server = world.server("192.0.2.77", { there: 20 });
    const flood: Behaviour = {
      sendTakes: 10,
      onRequest(request) {
        for (let i = 0; i < 1000; i++) request.deliver(new Uint8Array(48).fill(i), 1);
        server.onRequest(request);
      },
    };
    await one(flood);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.ignored).toBe(16 * world.asked.length);
  });

  it("hear nothing from another address or port than the one asked", async () => {
    world.server(address(0), { from: { port: 124 } });
    world.server(address(1), { from: { address: "198.51.100.1" } });
    await startEngine({ sources: [{ source: address(0) }, { source: address(1) }] });
    await letPass(MINUTE);
    expect(sourceStates().map(({ used, ignored }) => used + ignored)).toEqual([0, 0]);
  });
});

describe("closing", () => {
  it.each<[string, Behaviour]>([
    ["opening", { openTakes: 500 }],
    ["sending", { sendTakes: 500 }],
    ["waiting for an answer", silent],
  ])("while a socket is %s leaves no socket and no timer", async (_, behaviour) => {
    world.at(address(0), behaviour);
    await startEngine({ sources: [{ source: address(0) }] });
    await letPass(0.1);
    engine!.close();
    const asked = world.asked.length;
    await letPass(10);
    expect(world.asked.length).toBe(asked);
    expect(world.openSockets).toEqual([]);
  });

  it.each([1, 4])("while a name is being looked up asks nobody afterwards, pool of %i", async (pool) => {
    world.name("slow.example", { after: 2000, addresses: ["192.0.2.1", "192.0.2.2"] });
    engine = new Engine(world, (clock = steeredVirtual(world.clock)), { sources: [{ source: "slow.example", pool }] });
    const started = engine.start();
    await letPass(1);
    engine.close();
    await letPass(10);
    await started;
    expect(world.asked).toEqual([]);
    expect(world.sockets).toEqual([]);
  });

  it("twice is closing once; asking afterwards is nothing", async () => {
    await follow([{}]);
    await letPass(MINUTE);
    const asked = world.asked.length;
    engine!.close();
    engine!.close();
    engine!.askNow();
    await letPass(10 * MINUTE);
    expect(world.asked.length).toBe(asked);
  });

  it("from within an event leaves nothing, either", async () => {
    for (const kind of ["stepped", "synchronised", "updated"] as const) {
      world = new World({ clockError: 2 });
      clock = undefined as unknown as SteeredClock;
      world.server(address(0));
      engine = new Engine(world, (clock = steeredVirtual(world.clock)), { sources: [{ source: address(0) }] });
      engine.listen((event) => event.kind === kind && engine!.close());
      await engine.start();
      await letPass(20);
      expect(world.openSockets).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it("keeps the frequency that was found, ends the slew, and what is known grows old", async () => {
    world = new World({ ppm: 50 });
    await follow([{}, {}, {}]);
    await letPass(2 * HOUR);
    const { uncertainty } = state();
    engine!.close();
    expect(clock.actuator.rate() * 1e6).toBeCloseTo(-50, 0);
    expect(state()).toMatchObject({ synchronised: false });
    expect(state().uncertainty).toBeGreaterThanOrEqual(uncertainty * 0.99);
    await passWithinBound(HOUR);
    expect(state().uncertainty).toBeGreaterThan(uncertainty + HOUR * 14e-6);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });
});

describe("a stall of the event loop", () => {
  it("of a minute, in the middle of an exchange and of a slew, is survived", async () => {
    world = new World({ clockError: 0.5, ppm: 20 });
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

describe("listeners", () => {
  it("that throw do not stop the clock, nor the other listeners, and their error is not hidden", async () => {
    const thrown: unknown[] = [];
    const microtask = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (problem) {
        thrown.push(problem);
      }
    });
    world.server(address(0));
    engine = new Engine(world, (clock = steeredVirtual(world.clock)), { sources: [{ source: address(0) }] });
    const fault = new Error("a listener's own");
    engine.listen(() => {
      throw fault;
    });
    engine.listen((event) => events.push(event));
    await engine.start();
    await letPass(MINUTE);
    microtask.mockRestore();
    expect(kinds()).toEqual(["synchronised"]);
    expect(thrown).toContain(fault);
  });

  it("are told nothing any more once they are gone", async () => {
    world.server(address(0));
    engine = new Engine(world, (clock = steeredVirtual(world.clock)), { sources: [{ source: address(0) }] });
    const stop = engine.listen((event) => events.push(event));
    stop();
    await engine.start();
    await letPass(MINUTE);
    expect(events).toEqual([]);
  });
});

describe("what cannot be followed is refused at once", () => {
  const make = (options: EngineOptions) => () => new Engine(world, steeredVirtual(world.clock), options);

  it.each<[string, EngineOptions["sources"], string]>([
    ["no source", [], "INVALID_ARGUMENT"],
    ["a source that cannot be read", [{ source: "http://x" }], "INVALID_ARGUMENT"],
    ["a scheme of a later version", [{ source: "relay:x" }], "UNSUPPORTED"],
    ["a pool of NTS servers", [{ source: "nts:x", pool: 2 }], "INVALID_ARGUMENT"],
    ["a peer with NTS", [{ source: "nts:x", mode: "symmetric" }], "INVALID_ARGUMENT"],
    ["NTS in version 3", [{ source: "nts:x", version: 3 }], "INVALID_ARGUMENT"],
    ["a key that is none", [{ source: "x", key: { id: 0, type: "MD5", secret: new Uint8Array(8) } }], "INVALID_ARGUMENT"],
    ["a pool of none", [{ source: "x", pool: 0 }], "INVALID_ARGUMENT"],
    ["a pool of half", [{ source: "x", pool: 1.5 }], "INVALID_ARGUMENT"],
    ["more than 64", [{ source: "x", pool: 60 }, { source: "y", pool: 5 }], "INVALID_ARGUMENT"],
  ])("%s", (_, sources, code) => {
    expect(make({ sources })).toThrow(expect.objectContaining({ code }));
  });

  it("a host without UDP", () => {
    const without = { ...world, clock: world.clock, runtime: "browser" as const, version: "0", random: world.random.bind(world) };
    expect(() => new Engine(without, steeredVirtual(world.clock), { sources: [{ source: "x" }] })).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  it("but 64 are followed", async () => {
    const names = Array.from({ length: 64 }, (_, index) => address(index));
    for (const name of names) world.server(name);
    await startEngine({ sources: names.map((source) => ({ source })) });
    await letPass(10);
    expect(state()).toMatchObject({ synchronised: true, survivors: 64 });
  });
});
