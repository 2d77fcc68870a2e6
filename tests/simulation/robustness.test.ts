// SPDX-License-Identifier: MIT OR Apache-2.0
// The core as such: no imports, no growth, the same bits every time, and no input that traps it.

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Algorithm, Core } from "./core.ts";
import { instantiate, Window } from "./core.ts";
import { Random } from "./rng.ts";
import { run } from "./run.ts";
import { DEFAULTS, HOUR, scenario } from "./scenario.ts";

const SECOND = 1n << 32n;
const BOTH: readonly Algorithm[] = ["estimator", "pll-fll"];

function start(algorithm: Algorithm): { core: Core; window: Window } {
  const core = instantiate();
  core.disciplineAlgorithm(algorithm === "estimator" ? 1 : 0);
  core.disciplineReset(0, 0);
  core.disciplineLimits(0.1, 500e-6, 4, 10);
  for (let index = 0; index < 64; index++) core.disciplineAddSource(index);
  return { core, window: new Window(core) };
}

/** 64 bits that look like anything, extremes more often than not. */
function anything(random: Random): bigint {
  const extremes = [0n, 1n, -1n, 1n << 63n, (1n << 63n) - 1n, SECOND, -SECOND, 1000n * SECOND];
  const choice = Math.floor(random.uniform() * (extremes.length + 4));
  const extreme = extremes[choice];
  if (extreme !== undefined) return BigInt.asIntN(64, extreme);
  return BigInt.asIntN(64, BigInt(Math.floor(random.uniform() * 2 ** 53)) * BigInt(Math.floor(random.uniform() * 2 ** 53)));
}

describe.each(BOTH)("the discipline, %s", (algorithm) => {
  it("gives the same bits for the same seed", () => {
    const once = (): Float64Array => run(scenario("", { duration: 4 * HOUR }), { algorithm, seed: 5 }).trace;
    expect(once()).toEqual(once());
  });

  it("survives any input, keeps its rate within the limits, and finds the time again", () => {
    const { core, window } = start(algorithm);
    const random = new Random(1, algorithm);
    for (let round = 0; round < 5000; round++) {
      const index = Math.floor(random.uniform() * 100) - 10;
      window.write({ when: BigInt.asUintN(64, anything(random)), offset: anything(random), delay: anything(random), dispersion: anything(random) }, 1);
      core.disciplineSample(index);
      if (round % 7 === 0) core.disciplineTimer(BigInt.asUintN(64, anything(random)));
      if (round % 31 === 0) core.disciplineStepped(anything(random), BigInt.asUintN(64, anything(random)));
      if (round % 97 === 0) core.disciplineForget(BigInt.asUintN(64, anything(random)));
      const { rate } = window.read();
      expect(Math.abs(rate)).toBeLessThanOrEqual(0.1006);
    }
  });

  it("does not grow its memory, however much it is used", () => {
    const { core, window } = start(algorithm);
    const before = core.memory.buffer.byteLength;
    for (let round = 0; round < 20000; round++) {
      window.write({ when: BigInt(round) * SECOND, offset: 1000n, delay: 100000n, dispersion: 4n }, 1);
      core.disciplineSample(round % 64);
    }
    expect(core.memory.buffer.byteLength).toBe(before);
  });
});

describe("after garbage", () => {
  it("a source that tells the time again is believed again", () => {
    const { core, window } = start("estimator");
    for (let index = 1; index < 64; index++) core.disciplineRemoveSource(index);
    const random = new Random(2, "garbage");
    for (let round = 0; round < 200; round++) {
      window.write({ when: BigInt(round) * SECOND, offset: anything(random), delay: anything(random), dispersion: 4n }, 1);
      core.disciplineSample(0);
    }
    let offset = 0.02;
    let now = 300n * SECOND;
    for (let round = 0; round < 200; round++) {
      const delay = 0.002 + 0.0002 * random.exponential();
      const units = (seconds: number): bigint => BigInt(Math.round(seconds * 2 ** 32));
      window.write({ when: now, offset: units(offset), delay: units(delay), dispersion: 4n }, 1);
      core.disciplineSample(0);
      // The host obeys for 64 s, with one timer at the end of the slew.
      const { rate, until } = window.read();
      const end = now + 64n * SECOND;
      const ends = until !== 0n && until < end ? until : end;
      offset -= rate * Number(ends - now) / 2 ** 32;
      if (until !== 0n) core.disciplineTimer(ends);
      offset -= window.read().rate * Number(end - ends) / 2 ** 32;
      now = end;
    }
    expect(Math.abs(offset)).toBeLessThan(1e-4);
  });

  it("an offset beyond the panic threshold is refused and said so", () => {
    const { core, window } = start("estimator");
    core.disciplineStepLimits(1000, 1000, 0);
    for (let round = 1; round < 10; round++) {
      window.write({ when: BigInt(round) * 2n * SECOND, offset: 2000n * SECOND, delay: SECOND / 1000n, dispersion: 4n }, 1);
      core.disciplineSample(0);
    }
    const { rate, flags, synchronised } = window.read();
    expect([rate, flags & 1, synchronised]).toEqual([0, 1, false]);
  });
});

describe("the error bound", () => {
  it("holds at every second, of every seed tried", () => {
    const outside = [1, 2, 3].map((seed) => {
      const outcome = run({ ...DEFAULTS, duration: 6 * HOUR }, { algorithm: "estimator", seed });
      return outcome.beyondBound;
    });
    expect(outside).toEqual([0, 0, 0]);
  });

  it("holds when the route gets longer, and all of the jitter is on one leg: 1 ms more looks like waiting", () => {
    const path = { base: 0.3e-3, jitter: 0.3e-3, asymmetry: 0.97, routeChange: { at: 3 * HOUR, extra: 1e-3 } };
    const outcome = run(scenario("", { path, wander: 1e-8, duration: 5 * HOUR, statisticsFrom: HOUR }), { algorithm: "estimator", seed: 1 });
    expect(outcome.beyondBound).toBe(0);
  });

  it("is not what the nearest says when the nearest may be the one that is wrong", () => {
    // The third is 15 ms off, and near; the others are right, and far enough to agree with it.
    const servers = [(): number => 0, (): number => 0, (): number => 15e-3];
    const paths = [{ base: 20e-3 }, { base: 20e-3 }, { base: 1e-3 }];
    const outcome = run(scenario("", { servers, paths, duration: 6 * HOUR }), { algorithm: "estimator", seed: 1 });
    expect(outcome.beyondBound).toBe(0);
  });
});

/** A host in small: one server without error, and a client whose clocks, both, show whole ticks. Seconds; the oscillator is 20 ppm fast. */
interface Coarse {
  readonly seed: number;
  readonly tick: number;
  /** The dispersion that the core is told; 0: the tick. */
  readonly told?: number;
  readonly leg: (random: Random) => number;
  /** sd of what a drift file says of the frequency; 0: there is none. */
  readonly doubt: number;
  /** After an hour without an answer the host asks in a burst, as after a sleep; else it just goes on. */
  readonly burst?: boolean;
  /** By how much the server's clock jumps in the middle. */
  readonly jump?: number;
}

interface Life {
  /** Greatest frequency errors, ppm: ever before the middle, from 20 min on, and after the middle. */
  readonly early: number;
  readonly settled: number;
  readonly comeback: number;
  /** Greatest time error after the middle, s; moments beyond the bound; moments without a survivor after the first. */
  readonly worst: number;
  readonly beyond: number;
  readonly alone: number;
}

const OSCILLATOR = 20e-6;
const SLOW = 6; // log2 s
const LIFE = 6 * HOUR;
const whole = (random: Random): number => (3 + Math.floor(5 * random.uniform())) * 1e-3;
const queued = (jitter: number) => (random: Random): number => 10 * jitter + jitter * random.exponential();
const units = (seconds: number): bigint => BigInt(Math.round(seconds * 2 ** 32));

class Host {
  readonly core = instantiate();
  readonly window = new Window(this.core);
  time = 0;
  private wall = 0.02;
  private monotonic = 1000;
  private steering = this.window.read();
  private readonly random: Random;
  private readonly life: Coarse;

  constructor(life: Coarse) {
    this.life = life;
    this.random = new Random(life.seed, "coarse");
    this.core.disciplineAlgorithm(1);
    this.core.disciplineReset(life.doubt > 0 ? -OSCILLATOR : 0, life.doubt);
    this.core.disciplineLimits(0.1, 500e-6, SLOW, SLOW);
    this.core.disciplineAddSource(0);
  }

  get error(): number {
    return Math.abs(this.wall);
  }
  get frequency(): number {
    return Math.abs((1 + OSCILLATOR) * (1 + this.steering.frequency) - 1) * 1e6;
  }
  get bound(): number {
    return this.core.disciplineBound(units(this.monotonic));
  }
  get survivors(): number {
    return this.steering.survivors;
  }

  pass(until: number): void {
    while (this.time < until) {
      const rate = (1 + OSCILLATOR) * (1 + this.steering.rate);
      const { until: due } = this.steering;
      const fires = due === 0n ? Infinity : this.time + Math.max(0, (Number(due) / 2 ** 32 - this.monotonic) / rate);
      const end = Math.min(until, fires);
      this.monotonic += (end - this.time) * rate;
      this.wall += (end - this.time) * (rate - 1);
      this.time = end;
      if (fires <= until) this.core.disciplineTimer(BigInt(Math.ceil(this.monotonic * 2 ** 32)));
      this.steering = this.window.read();
    }
  }

  exchange(serverError: number): void {
    const { tick, told = tick, leg } = this.life;
    const shown = (seconds: number): number => (tick > 0 ? Math.floor(seconds / tick) * tick : seconds);
    const t1 = shown(this.time + this.wall);
    this.pass(this.time + leg(this.random));
    const t2 = this.time + serverError;
    this.pass(this.time + leg(this.random));
    const t4 = shown(this.time + this.wall);
    const sample = { when: units(shown(this.monotonic)), offset: units(t2 - (t1 + t4) / 2), delay: units(t4 - t1), dispersion: units(told) };
    this.window.write(sample, 1);
    this.core.disciplineSample(0);
    this.steering = this.window.read();
  }

  wake(): void {
    this.core.disciplineForget(units(this.monotonic));
    this.steering = this.window.read();
  }
}

function live(life: Coarse): Life {
  const host = new Host(life);
  const most = { early: 0, settled: 0, comeback: 0, worst: 0, beyond: 0, alone: 0 };
  const middle = LIFE / 2;
  let attempt = 0;
  let began = false;
  for (let next = 1; next < LIFE; next += 2 ** host.core.disciplinePoll(attempt)) {
    if (life.jump === undefined && attempt > 0 && host.time < middle && next >= middle) {
      host.pass((next += HOUR));
      if (life.burst) host.wake();
      if (life.burst) attempt = 0;
    }
    for (let moments = 8; moments > 0; moments--) {
      host.pass(host.time + (next - host.time) / moments);
      began ||= host.survivors > 0;
      if (!began) continue;
      const late = host.time >= middle;
      if (late) most.worst = Math.max(most.worst, host.error);
      if (late) most.comeback = Math.max(most.comeback, host.frequency);
      else most.early = Math.max(most.early, host.frequency);
      if (!late && host.time > 1200) most.settled = Math.max(most.settled, host.frequency);
      if (life.jump === undefined && host.error > host.bound) most.beyond++;
      if (host.survivors === 0) most.alone++;
    }
    attempt++;
    host.exchange(host.time >= middle ? (life.jump ?? 0) : 0);
  }
  return most;
}

/** The worst of ten lives. */
function lives(life: Omit<Coarse, "seed">): Life {
  const all = Array.from({ length: 10 }, (_, index) => live({ ...life, seed: index + 1 }));
  const most = (pick: (life: Life) => number): number => Math.max(...all.map(pick));
  return { early: most((l) => l.early), settled: most((l) => l.settled), comeback: most((l) => l.comeback), worst: most((l) => l.worst), beyond: most((l) => l.beyond), alone: most((l) => l.alone) };
}

/** Without a drift file ±300 ppm are possible, and a burst of 6 s over whole milliseconds tells little. */
const PATHS: readonly [string, Omit<Coarse, "seed" | "doubt">][] = [
  ["clocks of 1 ms, delays within a tick", { tick: 1e-3, leg: queued(10e-6) }],
  ["clocks of 1 ms, delays of many ticks", { tick: 1e-3, leg: queued(2e-3) }],
  ["clocks of 100 µs, delays within a tick", { tick: 1e-4, leg: queued(10e-6) }],
  ["clocks of 100 µs, delays of many ticks", { tick: 1e-4, leg: queued(0.3e-3) }],
  ["clocks of 5 µs, delays of some ticks", { tick: 5e-6, leg: queued(10e-6) }],
  ["clocks of 5 µs, delays of many ticks", { tick: 5e-6, leg: queued(2e-3) }],
  ["exact clocks, delays of whole milliseconds", { tick: 0, told: 1e-6, leg: whole }],
];

describe.each(PATHS)("%s", (_, path) => {
  describe.each([true, false])("after an hour's outage: a burst is %s", (burst) => {
    it("the frequency that a drift file knows is never lost by more than 5 ppm, and the bound holds", () => {
      const { early, comeback, worst, beyond, alone } = lives({ ...path, burst, doubt: 1e-7 });
      expect(early).toBeLessThan(5);
      expect(comeback).toBeLessThan(5);
      expect(worst).toBeLessThan(5e-3);
      expect({ beyond, alone: burst ? 0 : alone }).toEqual({ beyond: 0, alone: 0 });
    });

    it("without a drift file it is found within 3 ppm in 20 minutes, never lost by more than 5, and the bound holds", () => {
      const { early, settled, comeback, worst, beyond, alone } = lives({ ...path, burst, doubt: 0 });
      expect(early).toBeLessThan(300);
      expect(settled).toBeLessThan(3);
      expect(comeback).toBeLessThan(5);
      expect(worst).toBeLessThan(5e-3);
      expect({ beyond, alone: burst ? 0 : alone }).toEqual({ beyond: 0, alone: 0 });
    });
  });
});

describe("samples of equal delay and unequal offsets", () => {
  it("do not collapse the doubt of a source whose frequency is known: five whole milliseconds", () => {
    const core = instantiate();
    const window = new Window(core);
    core.disciplineReset(0, 1e-7);
    core.disciplineLimits(0.1, 500e-6, SLOW, SLOW);
    core.disciplineAddSource(0);
    const offsets = [-1.5, 0.5, -1.5, 1.5, -1.5];
    [9, 11, 11, 9, 9].forEach((delay, index) => {
      const when = BigInt(10 + 2 * index) * SECOND;
      window.write({ when, offset: units((offsets[index] as number) / 1e3), delay: units(delay / 1e3), dispersion: units(1e-6) }, 1);
      core.disciplineSample(0);
      expect(Math.abs(window.read().frequency)).toBeLessThan(0.1e-6);
    });
    // The legs differed by 3 ms: the truth lay 1.5 ms off.
    expect(core.disciplineBound(18n * SECOND)).toBeGreaterThan(1.5e-3);
  });
});

describe("a lone source whose clock jumps", () => {
  it.each([0.1, -0.02, 5])("by %d s is never without a say, and is followed", (jump) => {
    const { alone, comeback } = live({ seed: 1, tick: 0, told: 1e-6, leg: queued(0.1e-3), doubt: 0, jump });
    expect(alone).toBe(0);
    expect(comeback).toBeLessThan(5);
  });
});

describe("whatever a source says", () => {
  const few = (...values: number[]): fc.Arbitrary<number> => fc.constantFrom(...values);
  const sample = fc.record({
    after: few(0, 1e-9, 1e-3, 2, 64, 1024, -5),
    offset: fc.oneof(few(0, 1e-9, -1e-3, 1e-3, 0.5, -7e8), fc.double({ min: -1e-2, max: 1e-2, noNaN: true })),
    delay: fc.oneof(few(0, 1e-9, -1e-3, 0.01, 0.011, 16, 7e8), fc.double({ min: 0, max: 1e-2, noNaN: true })),
    dispersion: few(0, 1e-9, 1e-6, 1e-3, 16, 7e8),
  });

  it("belief, bound and steering stay numbers, and variances above zero", () => {
    const doubts = few(0, 1e-12, 1e-8, 1e-7, 0.5);
    fc.assert(
      fc.property(doubts, fc.array(sample, { minLength: 1, maxLength: 120 }), (doubt, samples) => {
        const core = instantiate();
        const window = new Window(core);
        core.disciplineReset(0, doubt);
        core.disciplineLimits(0.1, 500e-6, SLOW, SLOW);
        core.disciplineAddSource(0);
        const exports = core as unknown as Record<string, WebAssembly.Global> & { sourceOut(index: number): number };
        const view = new DataView(core.memory.buffer);
        const source = (name: string): number => view.getFloat64(exports.sourceOut(0) + (exports[name]?.value as number), true);
        let now = 1000;
        for (const { after, ...told } of samples) {
          now += after;
          window.write({ when: units(now), offset: units(told.offset), delay: units(told.delay), dispersion: units(told.dispersion) }, 1);
          core.disciplineSample(0);
          const { rate, frequency } = window.read();
          expect(Math.abs(rate)).toBeLessThanOrEqual(0.1006);
          expect(Math.abs(frequency)).toBeLessThanOrEqual(500e-6);
          expect(core.disciplineBound(units(now))).toBeGreaterThanOrEqual(0);
          for (const name of ["SOURCE_OFFSET", "SOURCE_FREQUENCY", "SOURCE_FLOOR", "SOURCE_EXCESS"]) expect([name, source(name)]).toEqual([name, expect.any(Number)]);
          for (const name of ["SOURCE_OFFSET", "SOURCE_FREQUENCY", "SOURCE_FLOOR", "SOURCE_EXCESS"]) expect(Number.isFinite(source(name))).toBe(true);
          if (view.getInt32(exports.sourceOut(0) + (exports["SOURCE_SAMPLES"]?.value as number), true) === 0) continue;
          expect(source("SOURCE_VAR_OFFSET")).toBeGreaterThan(0);
          expect(source("SOURCE_VAR_FREQUENCY")).toBeGreaterThan(0);
        }
      }),
      { numRuns: 300 },
    );
  });
});
