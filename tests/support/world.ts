// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A core in a small world: true time, our oscillator and clock that obey the core's steering, and datagrams that take their time.
 * Everything is exact to picoseconds, so that a test can say what a measurement must be.
 *
 * For tests of associations; tests/simulation has the world with jitter and wander.
 */
import { Bench } from "./core.ts";

const UNIT = 2 ** 32;
/** 2027, in 32.32 s. */
const BASE = 0xed000000_00000000n;

/** Relative seconds to an interval. */
export const units = (seconds: number): bigint => BigInt(Math.round(seconds * UNIT));
/** Seconds since the world began to a timestamp. */
export const stamp = (seconds: number): bigint => BigInt.asUintN(64, BASE + units(seconds));

interface Event {
  readonly at: number;
  readonly act: () => void;
}

export class World {
  readonly bench = new Bench();
  /** True time, s. */
  now = 0;
  /** Our clock and the monotonic one at the last change of the rate. */
  #changed = 0;
  #local: number;
  #monotonic = 1000;
  /** The oscillator's own error, and the correction in force. */
  readonly drift: number;
  rate = 0;
  #events: Event[] = [];
  #timers = new Map<string, { due: bigint; act: () => void }>();

  constructor({ offset = 0, drift = 0 } = {}) {
    this.#local = offset;
    this.drift = drift;
  }

  #speed(rate = this.rate): number {
    return (1 + this.drift) * (1 + rate);
  }

  /** What our clock reads, s. */
  local(at = this.now): number {
    return this.#local + (at - this.#changed) * this.#speed();
  }

  monotonic(at = this.now): bigint {
    return units(this.#monotonic + (at - this.#changed) * this.#speed());
  }

  /** What our clock would have read at `then`, had it always run at its present frequency without slews. */
  asIfAlways(then: number, frequency: number): number {
    return this.local() - (this.now - then) * this.#speed(frequency);
  }

  setRate(rate: number): void {
    const [local, monotonic] = [this.local(), this.#monotonic + (this.now - this.#changed) * this.#speed()];
    this.#local = local;
    this.#monotonic = monotonic;
    this.#changed = this.now;
    this.rate = rate;
  }

  step(by: number): void {
    this.#local += by;
  }

  /** Do `act` after so many true seconds. */
  after(seconds: number, act: () => void): void {
    this.#events.push({ at: this.now + seconds, act });
  }

  /** Do `act` when the monotonic clock reads `due`; replaces the timer of this name. */
  timer(name: string, due: bigint, act: () => void): void {
    this.#timers.set(name, { due, act });
  }

  /** Let true time pass. */
  run(seconds: number): void {
    for (const end = this.now + seconds; ; ) {
      const timers = [...this.#timers].map(([name, { due, act }]) => {
        const at = this.now + Math.max(0, Number(due - this.monotonic()) / UNIT / this.#speed());
        return { at, act: () => (this.#timers.delete(name), act()) };
      });
      const next = [...this.#events, ...timers].reduce<Event | undefined>((a, b) => (a && a.at <= b.at ? a : b), undefined);
      if (!next || next.at > end) return void (this.now = end);
      this.now = Math.max(this.now, next.at);
      this.#events = this.#events.filter((event) => event !== next);
      next.act();
    }
  }

  /** Obey the core: rate, step, and its timer. */
  steer(): void {
    const { core, exports } = this.bench;
    const at = (name: string) => exports.steeringOut() + core.constant(`STEERING_${name}`);
    const step = core.i64(at("STEP"));
    if (step !== 0n) {
      this.step(Number(step) / UNIT);
      exports.associationsDrop();
    }
    this.setRate(core.view.getFloat64(at("RATE"), true));
    const until = core.u64(at("UNTIL"));
    if (until === 0n) this.#timers.delete("steering");
    else this.timer("steering", until, () => {
      exports.disciplineTimer(this.monotonic());
      this.steer();
    });
  }

  /** The lasting frequency correction. */
  get frequency(): number {
    const { core, exports } = this.bench;
    return core.view.getFloat64(exports.steeringOut() + core.constant("STEERING_FREQUENCY"), true);
  }
}
