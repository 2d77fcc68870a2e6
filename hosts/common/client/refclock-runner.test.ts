// SPDX-License-Identifier: MIT OR Apache-2.0
/** Reference clocks in the engine, over a host in memory: of one's own, that fail, that lie, preferred, and beside servers. Time is virtual. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { World, letPass, promisesSettle } from "../../../tests/support/world-additions.ts";
import { steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import { SampleQueue, type RefClock, type RefClockHealth, type RefClockSample } from "../refclock/refclock.ts";
import { Engine, type EngineOptions } from "./engine.ts";

let world: World;
let clock: SteeredClock;
let engine: Engine | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  clock = steeredVirtual(world.clock);
  engine = undefined;
});

afterEach(async () => {
  engine?.close();
  await promisesSettle();
  for (let timers = 0; timers < 50 && vi.getTimerCount() > 0; timers++) vi.advanceTimersToNextTimer();
  const left = vi.getTimerCount();
  vi.useRealTimers();
  expect(left).toBe(0);
});

async function start(options: EngineOptions, host = world): Promise<void> {
  engine = new Engine(host, clock, options);
  await engine.start();
}

const error = () => Math.abs(Number(clock.now() - world.truth())) / 1e9;
const address = (index: number) => `192.0.2.${index + 1}`;

/** A radio that tells the true time each second, plus `wrong` s. */
class Radio implements RefClock {
  readonly refid = "DCF";
  readonly stratum = 0;
  readonly poll = 4;
  readonly precision = 1e-6;
  readonly description = "a radio";
  health: RefClockHealth = { state: "good", message: "" };
  closed = 0;
  readonly queue = new SampleQueue();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(wrong = 0, more: Partial<RefClockSample> = {}, spoken: () => boolean = () => true) {
    const sample = () => ({ timeNs: world.truth() + BigInt(Math.round(wrong * 1e9)), receivedNs: world.clock.now(), dispersion: 1e-4, ...more });
    this.#timer = setInterval(() => spoken() && this.queue.push(sample()), 1000);
  }
  [Symbol.asyncIterator](): AsyncIterator<RefClockSample> {
    return this.queue;
  }
  close(): void {
    this.closed += 1;
    clearInterval(this.#timer);
    this.queue.close();
  }
}

const radio = (own: RefClock, tuning = {}) => ({ mode: "refclock" as const, source: "radio", clock: own, tuning });

describe("a reference clock of one's own", () => {
  it("makes us stratum 1 in seconds, by its identifier, within its bound", async () => {
    const own = new Radio();
    await start({ sources: [radio(own)] });
    await letPass(10);
    expect(engine!.tracking()).toMatchObject({ synchronised: true, stratum: 1, refid: "DCF", leap: 0, local: false });
    await letPass(600);
    expect(error()).toBeLessThan(1e-4);
    expect(error()).toBeLessThan(engine!.tracking().uncertainty);
    expect(engine!.sources()[0]).toMatchObject({ source: "radio", address: undefined, isPeer: true, reach: 255, poll: 4, stratum: 0, unfit: 0, selection: "survivor" });
    engine!.close();
    expect(own.closed).toBe(1);
  });

  it("needs no network", async () => {
    const { openUdp: _, ...without } = world;
    const host = Object.assign(Object.create(world) as World, without, { openUdp: undefined, random: (bytes: Uint8Array<ArrayBuffer>) => world.random(bytes) });
    await start({ sources: [radio(new Radio())] }, host);
    await letPass(10);
    expect(engine!.tracking().stratum).toBe(1);
  });

  it("is known by the name and offset that it was given", async () => {
    await start({ sources: [radio(new Radio(-0.25), { refid: "WWVB", offset: 0.25 })] });
    await letPass(60);
    expect(engine!.tracking().refid).toBe("WWVB");
    expect(error()).toBeLessThan(1e-3);
  });

  it("is a way with a delay where it was given one: half of it is doubt, and clients are told", async () => {
    await start({ sources: [radio(new Radio(), { delay: 0.04 })] });
    await letPass(60);
    const { rootDelay, uncertainty } = engine!.tracking();
    expect(rootDelay).toBeCloseTo(0.04, 6);
    expect(uncertainty).toBeGreaterThan(0.02);
    expect(uncertainty).toBeLessThan(0.022);
    expect(engine!.sources()[0]!.delay).toBeCloseTo(0.04, 6);
  });

  it.each([
    ["its driver's precision and doubt", {}, 1.01e-4],
    ["the precision that it was given", { precision: 0.03 }, 0.0301],
    ["the doubt that it was given", { dispersion: 0.05 }, 0.050001],
    ["both", { precision: 0, dispersion: 0 }, 0],
  ] as const)("is as exact as %s says, and no more", async (_, tuning, doubt) => {
    await start({ sources: [radio(new Radio(), tuning)] });
    await letPass(600);
    const { rootDispersion, uncertainty } = engine!.tracking();
    expect(engine!.sources()[0]!.rootDispersion).toBeCloseTo(doubt, 7);
    for (const told of [rootDispersion, uncertainty]) {
      expect(told).toBeGreaterThanOrEqual(doubt);
      expect(told).toBeLessThan(doubt + 2e-3);
    }
  });

  it("is measured as often, and of the stratum, that it was given", async () => {
    await start({ sources: [radio(new Radio(), { poll: 2, stratum: 3 })] });
    await letPass(60);
    expect(engine!.sources()[0]).toMatchObject({ poll: 2, stratum: 3 });
    expect(engine!.tracking().stratum).toBe(4);
  });

  it("has its pulses numbered by the one that it is locked to, by name", async () => {
    const pulses = new Radio();
    const own = new SampleQueue();
    const timer = setInterval(() => own.push({ timeNs: 0n, receivedNs: world.clock.now() - (world.truth() % 1_000_000_000n), dispersion: 1e-6, pulse: true }), 1000);
    pulses[Symbol.asyncIterator] = () => own;
    await start({ sources: [radio(new Radio(-0.2), { name: "Sentences", noselect: true, offset: 0.1 }), radio(pulses, { lock: "sentences", refid: "PPS" })] });
    await letPass(120);
    // The sentences are still 0.1 s off; the pulses are not.
    expect(engine!.tracking()).toMatchObject({ stratum: 1, refid: "PPS" });
    expect(error()).toBeLessThan(1e-4);
    clearInterval(timer);
    own.close();
  });

  it("that does not vouch for the time is counted and not used", async () => {
    await start({ sources: [radio(new Radio(0, { health: "bad" }))] });
    await letPass(60);
    expect(engine!.tracking().synchronised).toBe(false);
    expect(engine!.sources()[0]).toMatchObject({ used: 0, lastError: expect.stringContaining("not synchronised") });
    expect(engine!.sources()[0]!.unfit).toBeGreaterThan(50);
  });

  it("announces leap seconds", async () => {
    await start({ sources: [radio(new Radio(0, { leap: 1 }))] });
    await letPass(60);
    expect(engine!.tracking().leap).toBe(1);
  });

  it("whose driver fails is told of, and nothing else is harmed", async () => {
    const own = new Radio();
    own[Symbol.asyncIterator] = () => ({ next: () => Promise.reject(new Error("the valve is broken")) }) as unknown as SampleQueue;
    world.server(address(0), {});
    await start({ sources: [radio(own), { source: address(0) }], minPoll: 3, maxPoll: 4 });
    await letPass(60);
    expect(engine!.sources()[0]!.lastError).toContain("the valve is broken");
    expect(engine!.tracking().stratum).toBe(2);
  });

  it("that falls silent is held over, then not followed, and followed again", async () => {
    let speaks = true;
    await start({ sources: [radio(new Radio(0, {}, () => speaks))] });
    await letPass(120);
    speaks = false;
    const before = engine!.tracking().uncertainty;
    await letPass(100);
    expect(engine!.tracking().stratum).toBe(1);
    expect(engine!.tracking().uncertainty).toBeGreaterThan(before + 80 * 15e-6);
    await letPass(60);
    expect(engine!.tracking()).toMatchObject({ synchronised: false, stratum: 16, refid: "" });
    speaks = true;
    await letPass(40);
    expect(engine!.tracking().stratum).toBe(1);
  });
});

describe("what is told of a reference clock", () => {
  const news = () => {
    const told: string[] = [];
    engine!.listen((event) => event.kind === "reference" && told.push(`${event.name}: ${event.message}`));
    return told;
  };

  it("is why it is not heard, once for as long as that lasts, and that it is again", async () => {
    const own = new Radio(0, {}, () => false);
    own.health = { state: "bad", message: "no fix" };
    engine = new Engine(world, clock, { sources: [radio(own)] });
    const told = news();
    await engine.start();
    await letPass(9);
    expect(told).toEqual([]);
    await letPass(300);
    expect(told).toEqual(["DCF: no fix"]);
    own.health = { state: "good", message: "" };
    await letPass(2);
    expect(told).toEqual(["DCF: no fix", "DCF: undefined"]);
    own.health = { state: "bad", message: "no fix" };
    await letPass(5);
    expect(told.length).toBe(2);
    await letPass(10);
    expect(told.at(-1)).toBe("DCF: no fix");
  });

  it("is told though it was heard in between for less than that would be told of", async () => {
    const own = new Radio(0, {}, () => false);
    own.health = { state: "bad", message: "no fix" };
    engine = new Engine(world, clock, { sources: [radio(own)] });
    const told = news();
    await engine.start();
    await letPass(15);
    own.health = { state: "good", message: "" };
    await letPass(2);
    own.health = { state: "bad", message: "unplugged" };
    await letPass(12);
    expect(told).toEqual(["DCF: no fix", "DCF: unplugged"]);
  });

  it("is told once a minute where it is another each second", async () => {
    const own = new Radio();
    let seconds = 0;
    const timer = setInterval(() => (own.health = { state: "bad", message: `${++seconds} s old` }), 1000);
    engine = new Engine(world, clock, { sources: [radio(own)] });
    const told = news();
    await engine.start();
    await letPass(200);
    expect(told.length).toBeLessThanOrEqual(4);
    expect(told.length).toBeGreaterThanOrEqual(3);
    clearInterval(timer);
  });

  it("is nothing where all is well", async () => {
    await start({ sources: [radio(new Radio())] });
    const told = news();
    await letPass(300);
    expect(told).toEqual([]);
  });
});

describe("beside servers", () => {
  const servers = (count: number) => Array.from({ length: count }, (_, index) => (world.server(address(index), { there: 5, back: 9 }), { source: address(index) }));

  it("a right one is the system peer, being nearest", async () => {
    await start({ sources: [...servers(3), radio(new Radio())], minPoll: 3, maxPoll: 4 });
    await letPass(120);
    expect(engine!.tracking()).toMatchObject({ stratum: 1, refid: "DCF", survivors: 4 });
  });

  it("one that falls silent leaves them the clock, of their higher stratum, and is nobody's reason to be off", async () => {
    let speaks = true;
    await start({ sources: [...servers(3), radio(new Radio(0, {}, () => speaks))], minPoll: 3, maxPoll: 4 });
    await letPass(120);
    expect(engine!.tracking()).toMatchObject({ stratum: 1, refid: "DCF" });
    speaks = false;
    await letPass(200);
    expect(engine!.tracking()).toMatchObject({ synchronised: true, stratum: 2, survivors: 3 });
    expect(error()).toBeLessThan(engine!.tracking().uncertainty);
  });

  it.each(["estimator", "pll-fll"] as const)("a preferred one alone steers: %s", async (algorithm) => {
    await start({ sources: [...servers(3), radio(new Radio(), { prefer: true })], minPoll: 3, maxPoll: 4, algorithm });
    await letPass(300);
    expect(engine!.sources().map(({ selection }) => selection)).toEqual(["selectable", "selectable", "selectable", "survivor"]);
    expect(error()).toBeLessThan(algorithm === "estimator" ? 1e-4 : 1e-3);
  });

  it("one that lies is outvoted, preferred or not", async () => {
    await start({ sources: [...servers(3), radio(new Radio(0.2), { prefer: true })], minPoll: 3, maxPoll: 4 });
    await letPass(300);
    expect(engine!.sources()[3]!.selection).toBe("falseticker");
    expect(engine!.tracking()).toMatchObject({ stratum: 2, survivors: 3 });
    expect(error()).toBeLessThan(0.01);
  });

  it("one that only numbers has no say", async () => {
    await start({ sources: [...servers(1), radio(new Radio(0.2), { noselect: true })], minPoll: 3, maxPoll: 4 });
    await letPass(120);
    expect(engine!.tracking().stratum).toBe(2);
    expect(error()).toBeLessThan(0.01);
    expect(engine!.sources()[1]).toMatchObject({ selection: "undecided", reach: 255 });
  });

  it("shows how late the one that only numbers is, so that its offset can be found", async () => {
    const late = new Radio(-0.14, {}, () => world.truth() > since);
    const since = world.truth() + 20_000_000_000n;
    await start({ sources: [...servers(3), radio(late, { noselect: true, name: "sentences", delay: 0.02 })], minPoll: 3, maxPoll: 4 });
    await letPass(10);
    expect(engine!.sources()[3]).toMatchObject({ name: "sentences", samples: 0, lastSample: undefined });
    expect(engine!.sources()[3]!.watched).toBeUndefined();
    await letPass(200);
    const { watched, lastSample } = engine!.sources()[3]!;
    // The servers' way back is longer by 4 ms, and our clock off by half of that.
    expect(watched!.offset).toBeCloseTo(-0.14 + 0.002, 4);
    expect(watched!.bound).toBeGreaterThan(0.01);
    expect(watched!.bound).toBeLessThan(0.02);
    expect(lastSample).toBeLessThan(17);
    expect(engine!.sources()[0]!.name).toBeUndefined();
  });

  it("pulses are numbered by our own clock, once the servers have set it", async () => {
    const pulses = new Radio();
    const own = new SampleQueue();
    const timer = setInterval(() => {
      // The true second, as a pulse: what our host's clock read then.
      const within = world.truth() % 1_000_000_000n;
      own.push({ timeNs: 0n, receivedNs: world.clock.now() - within, dispersion: 1e-6, pulse: true });
    }, 1000);
    pulses[Symbol.asyncIterator] = () => own;
    await start({ sources: [...servers(3), radio(pulses, { prefer: true })], minPoll: 3, maxPoll: 4 });
    await letPass(3);
    expect(engine!.sources()[3]!.lastError).toContain("nobody tells which second");
    await letPass(300);
    expect(engine!.tracking()).toMatchObject({ stratum: 1 });
    expect(error()).toBeLessThan(1e-4);
    clearInterval(timer);
    own.close();
  });

  it("our own clock of the stratum that was asked for stands in when there is nobody", async () => {
    await start({ sources: [{ source: "192.0.2.99" }, { source: "refclock:local?stratum=11" }] });
    await letPass(5);
    expect(engine!.tracking()).toMatchObject({ synchronised: false, local: true, stratum: 11, leap: 0, refid: "LOCL", rootDispersion: expect.closeTo(0.01, 6) });
  });
});

describe("what cannot be followed", () => {
  it("is said at once: text that is none, and too many", async () => {
    expect(() => new Engine(world, clock, { sources: [{ source: "refclock:loran:/dev/x" }] })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    const radios = Array.from({ length: 17 }, () => radio(new Radio()));
    engine = new Engine(world, clock, { sources: radios });
    await expect(engine.start()).rejects.toThrow("at most 16 reference clocks");
    radios.forEach(({ clock: own }) => own.close());
  });

  it("is a lock to a clock that is not there", async () => {
    engine = new Engine(world, clock, { sources: [radio(new Radio(), { lock: "GPS" })] });
    await expect(engine.start()).rejects.toThrow('called "GPS"');
  });
});
