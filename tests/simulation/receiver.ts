// SPDX-License-Identifier: MIT OR Apache-2.0
// A computer with a GPS receiver: sentences, pulses or both, into the real core. Test: refclock.test.ts.

import { Core } from "../../hosts/common/core/core.ts";
import { CoreEvents } from "../../hosts/common/client/events.ts";
import { RefclockCore, type SampleVerdict } from "../../hosts/common/client/refclock-core.ts";
import { SimulatedClock } from "./node.ts";
import { Random } from "./rng.ts";
import { World, type Process } from "./world.ts";

const UNITS = 4294967296;
const EPOCH = 1_900_000_000; // 2030-03-17
const NS = 1e9;

export interface ReceiverOptions {
  readonly seed?: number;
  /** Which clocks there are. */
  readonly sentences?: boolean;
  readonly pulses?: boolean;
  /** Sentences number the pulses and have no say. */
  readonly noselect?: boolean;
  readonly lock?: boolean;
  /** s by which a sentence comes after its second, its jitter (uniform), and what we are told of it. */
  readonly late?: number;
  readonly wobble?: number;
  readonly offset?: number;
  /** sd of a pulse's stamp, s. */
  readonly pulseJitter?: number;
  readonly poll?: number;
  readonly holdover?: number;
  readonly initialOffset?: number;
  readonly initialFrequency?: number;
  readonly wander?: number;
  readonly local?: number;
  /** What a sentence says wrong, s; undefined: it does not come. */
  readonly sentenceError?: (second: number) => number | undefined;
  /** Whether a pulse comes. */
  readonly pulse?: (second: number) => boolean;
}

const SENTENCES = 0;
const PULSES = 1;

export class Receiver implements Process {
  deadline = Infinity;
  readonly clock = new SimulatedClock();
  readonly world: World;
  readonly core = new Core();
  readonly refclocks = new RefclockCore(new CoreEvents(this.core));
  readonly verdicts: Record<SampleVerdict, number> = { taken: 0, unfit: 0, unnumbered: 0, ambiguous: 0, disputed: 0 };
  /** Errors of the wall clock at each second, s. */
  readonly errors: number[] = [];
  /** The bound and the stratum then. */
  readonly bounds: number[] = [];
  readonly strata: number[] = [];
  readonly #options: Required<Omit<ReceiverOptions, "local">>;
  readonly #next = new Map<number, number>();
  #until = Infinity;
  readonly #random: Random;
  readonly #wander: Random;

  constructor(options: ReceiverOptions = {}) {
    const defaults = {
      seed: 1, sentences: true, pulses: true, noselect: true, lock: true, late: 0.2, wobble: 0.05, offset: 0.2, pulseJitter: 2e-6, poll: 4,
      holdover: 0, initialOffset: 0.3, initialFrequency: 20e-6, wander: 1e-9, sentenceError: () => 0, pulse: () => true,
    };
    this.#options = { ...defaults, ...options };
    this.#random = new Random(this.#options.seed, "receiver");
    this.#wander = new Random(this.#options.seed, "wander");
    this.clock.wall = this.#options.initialOffset;
    this.world = new World(this.clock);
    const { exports } = this.core;
    exports.disciplineReset(0, 0);
    exports.disciplineStepPolicy(0.1, 3);
    exports.disciplineLimits(0.1, 500e-6, this.#options.poll, 10);
    exports.systemLocal(options.local ?? 0);
    const { poll, offset, noselect, lock, holdover, sentences, pulses } = this.#options;
    if (sentences) this.refclocks.open(SENTENCES, poll, 0, { offset, noselect: noselect && pulses, holdover });
    if (pulses) this.refclocks.open(PULSES, poll, 0, { holdover });
    if (pulses && lock) this.refclocks.lock(PULSES, SENTENCES);
    this.world.run(this);
    if (sentences) this.#due(SENTENCES);
    if (pulses) this.#due(PULSES);
  }

  /** Run to `end` s. */
  run(end: number): this {
    const { initialFrequency, wander } = this.#options;
    let walk = this.clock.rawFrequency || initialFrequency;
    this.clock.rawFrequency = walk;
    this.world.until(end, (second) => {
      walk += wander * this.#wander.normal();
      this.clock.rawFrequency = walk;
      this.#second(second);
    }, (second) => {
      this.errors.push(this.clock.wall - second);
      const { bound, stratum } = this.system();
      this.bounds.push(bound);
      this.strata.push(stratum);
    });
    return this;
  }

  system(): { bound: number; stratum: number; leap: number; rootDispersion: number } {
    const { exports, view } = this.core;
    exports.systemUpdate(this.#now());
    const at = (name: string) => exports.systemOut() + this.core.constant(`SYSTEM_${name}`);
    return {
      bound: view.getFloat64(at("BOUND"), true),
      stratum: view.getInt32(at("STRATUM"), true),
      leap: view.getInt32(at("LEAP"), true),
      rootDispersion: exports.intervalToSeconds(view.getBigInt64(at("ROOT_DISPERSION"), true)),
    };
  }

  /** rms and greatest error from `from` s on, s. */
  statistics(from: number, to = this.errors.length): { rms: number; max: number } {
    const errors = this.errors.slice(from, to);
    return { rms: Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length), max: errors.reduce((most, error) => Math.max(most, Math.abs(error)), 0) };
  }

  onTimer(): void {
    const now = this.clock.monotonic;
    for (const [index, due] of this.#next) if (due <= now) this.#due(index);
    if (this.#until <= now) {
      // Not a hair before the moment that was asked for.
      this.core.exports.disciplineTimer(this.#now() + 16n);
      this.#obey();
    }
    this.#schedule();
  }

  #second(second: number): void {
    const { pulses, sentences, pulse, sentenceError, late, wobble, pulseJitter } = this.#options;
    if (pulses && pulse(second)) this.world.send(Math.abs(this.#random.normal()) * pulseJitter, () => this.#sample(PULSES, 0, true));
    const error = sentences ? sentenceError(second) : undefined;
    if (error !== undefined) this.world.send(late + wobble * (this.#random.uniform() - 0.5), () => this.#sample(SENTENCES, second + error, false));
  }

  #sample(index: number, says: number, pulse: boolean): void {
    const monotonic = BigInt(Math.round(this.clock.monotonic * NS));
    const time = BigInt(EPOCH) * BigInt(NS) + BigInt(this.clock.readWallNs());
    const timeNs = pulse ? 0n : BigInt(EPOCH + Math.round(says)) * BigInt(NS);
    const verdict = this.refclocks.sample(index, { timeNs, receivedNs: time, dispersion: 0, pulse }, { dispersion: pulse ? 1e-6 : 0.05, taken: { time, monotonic }, nowNs: monotonic });
    if (index === PULSES) this.verdicts[verdict] += 1;
  }

  #due(index: number): void {
    const { timerNs, steer } = this.refclocks.timer(index, BigInt(Math.round(this.clock.monotonic * NS)));
    this.#next.set(index, Number(timerNs) / NS);
    if (steer) this.#obey();
    this.#schedule();
  }

  #obey(): void {
    const { view, exports } = this.core;
    const at = (name: string) => exports.steeringOut() + this.core.constant(`STEERING_${name}`);
    this.clock.setRate(view.getFloat64(at("RATE"), true));
    const until = view.getBigUint64(at("UNTIL"), true);
    this.#until = until === 0n ? Infinity : Number(exports.timestampToUnixNs(until, 0n)) / NS;
    const step = view.getBigInt64(at("STEP"), true);
    if (step === 0n) return;
    this.clock.step(Number(step) / UNITS);
    exports.associationsDrop();
  }

  #now(): bigint {
    return this.core.exports.timestampFromUnixNs(BigInt(Math.ceil(this.clock.monotonic * NS)));
  }

  #schedule(): void {
    this.deadline = Math.min(this.#until, ...this.#next.values());
  }
}
