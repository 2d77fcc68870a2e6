// SPDX-License-Identifier: MIT OR Apache-2.0
// One simulated computer's clock: an oscillator with an error, and the kernel's ways to steer it.
// Seconds since the start; no absolute time. Tested in world.test.ts.

/** Kernel limits: adjtimex(2) clamps `freq` to ±500 ppm and refuses ticks outside 9000..11000. */
export const FREQUENCY_LIMIT_PPM = 500;
export const TICK_MIN = 9000;
export const TICK_MAX = 11000;
const NOMINAL_TICK = 10000;
const ADJTIME_PPM = 500;

export class SimulatedClock {
  /** T: the wall clock, which steps can move. */
  wall = 0;
  /** M: the monotonic clock; slewed with the wall clock, never stepped. */
  monotonic = 0;
  /** y: the oscillator's own relative error, constant within a second. */
  rawFrequency = 0;

  /** Asleep: neither clock moves and no timer fires. */
  asleep = false;

  private tick = NOMINAL_TICK;
  private frequencyScaled = 0; // 2^-16 ppm, as in struct timex
  private pllOffset = 0; // seconds still to be slewed by the kernel PLL
  private pllConstant = 0;
  private pllSlew = 0; // relative rate, for the present second
  private pllReference = NaN;
  private singleshot = 0; // seconds still to be slewed by adjtime(3)
  private singleshotPpm = 0;

  /** Seconds of T (and of M) per true second. */
  get rate(): number {
    if (this.asleep) return 0;
    const kernel = this.tick / NOMINAL_TICK + this.frequencyScaled / 65536e6;
    return (1 + this.rawFrequency) * (kernel + this.pllSlew + this.singleshotPpm / 1e6);
  }

  advance(trueSeconds: number): void {
    const elapsed = trueSeconds * this.rate;
    this.wall += elapsed;
    this.monotonic += elapsed;
  }

  /** At every integer second of true time, after the oscillator took its new error. */
  second(): void {
    this.pllSlew = this.pllOffset / 2 ** (2 + this.pllConstant);
    this.pllOffset -= this.pllSlew;
    const limit = ADJTIME_PPM / 1e6;
    const slewed = Math.max(-limit, Math.min(limit, this.singleshot));
    this.singleshotPpm = slewed * 1e6;
    this.singleshot -= slewed;
  }

  /** ADJ_FREQUENCY and ADJ_TICK together: the relative rate asked for, split as a host splits it. */
  setRate(relative: number): void {
    const units = Math.round((relative * 1e6) / 100); // one unit of tick is 100 ppm
    this.setTick(NOMINAL_TICK + units);
    const rest = relative - (this.tick - NOMINAL_TICK) / NOMINAL_TICK;
    this.setFrequencyPpm(rest * 1e6);
  }

  setTick(tick: number): void {
    this.tick = Math.max(TICK_MIN, Math.min(TICK_MAX, Math.round(tick)));
  }

  setFrequencyPpm(ppm: number): void {
    const clamped = Math.max(-FREQUENCY_LIMIT_PPM, Math.min(FREQUENCY_LIMIT_PPM, ppm));
    this.frequencyScaled = Math.round(clamped * 65536);
  }

  /** ADJ_SETOFFSET: acts at once, on the wall clock only. */
  step(seconds: number): void {
    this.wall += seconds;
  }

  /** ADJ_OFFSET with STA_PLL; `constant` is timex.constant. FLL above 2048 s, or from 256 s with STA_FLL. */
  kernelOffset(seconds: number, constant: number, fll: boolean): void {
    const elapsed = Number.isNaN(this.pllReference) ? 0 : this.wall - this.pllReference;
    this.pllReference = this.wall;
    this.pllOffset = seconds;
    this.pllConstant = constant;
    const time = 4 * 2 ** 2 * 2 ** constant; // SHIFT_PLL is 2
    let change = (seconds * elapsed) / (time * time);
    if (elapsed > 2048 || (fll && elapsed >= 256)) change += seconds / (4 * elapsed);
    this.setFrequencyPpm(this.frequencyScaled / 65536 + change * 1e6);
  }

  /** adjtime(3): at most 500 µs a second, replacing what was left of an earlier one. */
  adjtime(seconds: number): void {
    this.singleshot = seconds;
  }

  /** What a process reads: T, to the nanosecond. */
  readWallNs(): number {
    return Math.round(this.wall * 1e9);
  }
}
