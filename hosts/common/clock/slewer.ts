// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Slews by hand: an offset worked off by running faster or slower for as long as it takes, on top of a lasting frequency.
 *
 * Timers come late, and some systems round a rate. So what a stretch has brought is worked out of the rate that the system says
 * is in force and of the time that passed, and what is then left or was too much is worked off in a further, gentler stretch,
 * until it is {@link TOLERANCE}. The clock is never set back: it runs slower, and no slower than its limit.
 *
 * Tested in slewer.test.ts, over fake kernels.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { SystemActuator } from "../steering.ts";

/** What may stay undone, s: less is lost in timers. */
const TOLERANCE = 10e-9;
/** A stretch takes at least this long, s: late by a millisecond, a timer then spoils a hundredth of it. */
const SHORTEST = 0.1;
/** And at most so long: timers and macOS's adjtime know no longer ones, and a rate that somebody else has changed is noticed. */
const LONGEST = 600;
/** A timer that was late by this much gets a stretch four times as long; with as much to do it would overshoot for ever. */
const LATENESS = 4;
/** Rates closer than this are one, relative: half a unit of Linux's is 8e-12. */
const SAME_RATE = 1e-10;

/** A stretch at one rate. */
interface Stretch {
  /** The monotonic clock at its start, ns. */
  readonly from: bigint;
  /** When it is to end, ns. */
  readonly until: bigint;
  /** What it adds to the frequency, and both together, relative, as they are in force. */
  readonly rate: number;
  readonly total: number;
}

interface Slew {
  /** What was to be done when the stretch began, s. */
  remaining: number;
  /** The fastest that it may be, relative. */
  readonly limit: number;
  shortest: number;
  stretch: Stretch | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  settle(error: unknown): void;
}

export class Slewer {
  readonly #actuator: SystemActuator;
  /** ns; slewed along with the clock where {@link SystemActuator.slewsMonotonic}. */
  readonly #monotonic: () => bigint;
  #frequency: number;
  #slew: Slew | undefined;

  constructor(actuator: SystemActuator, monotonic: () => bigint, frequency: number) {
    this.#actuator = actuator;
    this.#monotonic = monotonic;
    this.#frequency = frequency;
  }

  /** The lasting frequency, relative: what was found, or what the system made of what was set. */
  get frequency(): number {
    return this.#frequency;
  }

  /** What the slew in progress has still to do, s. */
  get remaining(): number {
    return this.#slew === undefined ? 0 : this.#slew.remaining - this.#gained(this.#slew.stretch, this.#monotonic());
  }

  /** How fast a slew in the direction of `sign` can be, relative. */
  room(sign: number): number {
    return this.#actuator.maximumSlew - sign * this.#frequency;
  }

  /** A slew in progress goes on. @throws {NtpError} `CLOCK` */
  setFrequency(rate: number): void {
    this.#turnTo(rate);
    this.#frequency = this.#actuator.rate();
    if (this.#slew) this.#proceed(this.#slew);
  }

  /**
   * Take the place of the slew in progress. `finished` resolves to what was slewed by, s: less than asked for when another one, or
   * {@link end}, took its place. `end` ends it and makes it reject.
   */
  slew(offset: number, limit: number): { finished: Promise<number>; end: (error: unknown) => void } {
    this.end();
    let slew: Slew | undefined;
    const finished = new Promise<number>((resolve, reject) => {
      const settle = (error: unknown) => (error === undefined ? resolve(offset - begun.remaining) : reject(error));
      const begun: Slew = { remaining: offset, limit, shortest: SHORTEST, stretch: undefined, timer: undefined, settle };
      this.#slew = slew = begun;
      this.#proceed(begun);
    });
    return { finished, end: (error) => void (this.#slew === slew && this.end(error)) };
  }

  /** End the slew in progress, if any: the clock goes on at its frequency. Its promise resolves, or rejects with `error`. */
  end(error?: unknown): void {
    const slew = this.#slew;
    if (!slew) return;
    try {
      this.#turnTo(this.#frequency);
      this.#settle(slew, error);
    } catch (failure) {
      this.#settle(slew, failure);
    }
  }

  #settle(slew: Slew, error?: unknown): void {
    clearTimeout(slew.timer);
    if (this.#slew === slew) this.#slew = undefined;
    slew.settle(error);
  }

  /** The next stretch, or the end. */
  #proceed(slew: Slew): void {
    clearTimeout(slew.timer);
    try {
      this.#lookForOthers(slew);
      const { rate, span } = this.#plan(slew);
      const from = this.#turnTo(this.#frequency + rate);
      const total = rate === 0 ? this.#frequency : this.#actuator.rate();
      const added = total - this.#frequency;
      // Too little for this system to tell from nothing, or no room for it.
      if (Math.abs(added) < SAME_RATE) return this.#settle(slew);
      const monotonicSpan = span * this.#monotonicRate(total);
      slew.stretch = { from, until: from + BigInt(Math.round(monotonicSpan * 1e9)), rate: added, total };
      slew.timer = setTimeout(() => this.#proceed(slew), monotonicSpan * 1000);
    } catch (error) {
      this.#settle(slew, error);
    }
  }

  /** Rate and length, s, of the next stretch. */
  #plan(slew: Slew): { rate: number; span: number } {
    const now = this.#monotonic();
    const left = slew.remaining - this.#gained(slew.stretch, now);
    if (slew.stretch && now > slew.stretch.until) slew.shortest = Math.min(LONGEST, Math.max(SHORTEST, (Number(now - slew.stretch.until) / 1e9) * LATENESS));
    const limit = Math.min(slew.limit, this.room(Math.sign(left)));
    if (Math.abs(left) <= TOLERANCE || limit <= 0) return { rate: 0, span: 0 };
    const span = Math.max(slew.shortest, Math.abs(left) / limit);
    if (span > LONGEST) return { rate: Math.sign(left) * limit, span: LONGEST };
    const { rateInterval } = this.#actuator;
    const whole = rateInterval === 0 ? span : Math.ceil(span / rateInterval - 1e-9) * rateInterval;
    return { rate: left / whole, span: whole };
  }

  /** Set the rate and take stock of the stretch that it ends. Returns when that was, by the monotonic clock. */
  #turnTo(rate: number): bigint {
    const before = this.#monotonic();
    this.#actuator.setRate(rate);
    const at = (before + this.#monotonic()) / 2n;
    const slew = this.#slew;
    if (slew) {
      slew.remaining -= this.#gained(slew.stretch, at);
      slew.stretch = undefined;
    }
    return at;
  }

  /** What a stretch has brought by `now`, s. */
  #gained(stretch: Stretch | undefined, now: bigint): number {
    if (!stretch) return 0;
    const { from, rate, total } = stretch;
    const passed = Number(now - from) / 1e9 / this.#monotonicRate(total);
    const { rateInterval } = this.#actuator;
    return rate * (rateInterval === 0 ? passed : Math.round(passed / rateInterval) * rateInterval);
  }

  /** How fast the monotonic clock, and timers, run against the oscillator. */
  #monotonicRate(total: number): number {
    return this.#actuator.slewsMonotonic ? 1 + total : 1;
  }

  /** @throws {NtpError} `CLOCK` when somebody else has set the rate meanwhile: nobody knows what was slewed by */
  #lookForOthers({ stretch }: Slew): void {
    if (!stretch) return;
    const rate = this.#actuator.rate();
    if (Math.abs(rate - stretch.total) < SAME_RATE) return;
    const [set, found] = [stretch.total, rate].map((one) => (one * 1e6).toFixed(3));
    throw new NtpError("CLOCK", `expected nobody else to steer the system clock, its rate was set to ${set} ppm and is ${found} ppm: stop the other program (chronyd, ntpd, systemd-timesyncd, W32Time)`);
  }
}
