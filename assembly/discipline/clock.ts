// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our own clock as the discipline steers it: a base frequency, and a slew on top of it for a while.
 *
 * The host obeys: it sets the rate asked for, and calls back when the slew ends. What a slew has moved is reckoned from
 * the time at which it was really ended, so that a late timer is not an error but a longer slew.
 * Refuses to estimate anything. Tested in tests/simulation/table.test.ts.
 */

import { SOURCES, secondsBetween, sourceAt } from "./memory";
import { Moment, enterMove, keepMoment } from "./ledger";
import { shiftSource } from "./source";

/** What the host must do; read through the exported STEERING_* offsets. */
@unmanaged
export class Steering {
  /** Relative rate to set, s/s: frequency and slew together. */
  rate: f64;
  /** Base frequency alone, s/s (for the drift file). */
  frequency: f64;
  /** Seconds of offset that are still to be slewed. */
  remaining: f64;
  /** Monotonic time at which to call the timer; 0 for none. */
  until: u64;
  /** Offset to step by, 2^-32 s; 0 for none. */
  step: i64;
  /** log2 of the seconds between polls. */
  poll: i32;
  /** 1 once the clock is being steered. */
  synchronised: i32;
  /** sd of what is known of our offset and frequency (s, s/s). The PLL/FLL tells its system jitter, and no sdFrequency. */
  sdOffset: f64;
  sdFrequency: f64;
  /** STEP_REFUSED, STEPS_MOUNTING, SINGLE_NEAR, STARTUP_NEAR of steps.ts. */
  flags: i32;
  /** Sources that agree. */
  survivors: i32;
}

const steeringAt: usize = memory.data(offsetof<Steering>(), 8);

/** Limits of the host's actuator; set by {@link limitClock}. */
let slewLimit: f64 = 0.1;
let frequencyLimit: f64 = 500e-6;

let slew: f64 = 0;
let slewEnd: u64 = 0;
let reckoned: u64 = 0;

export function steering(): Steering {
  return changetype<Steering>(steeringAt);
}

/** What the slew adds to the clock's rate now, s/s. */
export function slewRate(): f64 {
  return slew;
}

export function limitClock(slewRate: f64, frequency: f64): void {
  slewLimit = max(min(slewRate, 0.1), 1e-9);
  frequencyLimit = max(min(frequency, 0.1), 0);
}

export function resetClock(frequency: f64): void {
  memory.fill(steeringAt, 0, offsetof<Steering>());
  slew = 0;
  slewEnd = 0;
  reckoned = 0;
  steering().frequency = clampFrequency(frequency);
  steering().rate = steering().frequency;
}

function clampFrequency(frequency: f64): f64 {
  if (frequency != frequency) return 0;
  return max(-frequencyLimit, min(frequencyLimit, frequency));
}

/** Reckons what the slew has moved up to `now`, and ends it when its time has come. MUST precede every other act. */
export function reckon(now: u64): void {
  if (slew != 0) {
    // The monotonic clock is slewed too: of what it advanced, slew/rate is the slew's doing.
    const advanced = max(secondsBetween(reckoned, now), 0);
    const moved = (advanced * slew) / (1 + steering().rate);
    shiftAll(moved, 0, now);
    steering().remaining -= moved;
    if (<i64>(now - slewEnd) >= 0) endSlew();
  }
  // A clock that reads less than before is not monotonic: nothing is reckoned until it catches up.
  if (<i64>(now - reckoned) > 0 || reckoned == 0) reckoned = now;
}

export function endSlew(): void {
  slew = 0;
  slewEnd = 0;
  steering().until = 0;
  steering().remaining = 0;
  steering().rate = steering().frequency;
}

/** Keep `now` as a moment from which readings of the clock can be carried over later. */
export function noteMoment(moment: Moment, now: u64): void {
  reckon(now);
  keepMoment(moment, now);
}

export function shiftAll(offset: f64, frequency: f64, now: u64): void {
  enterMove(offset, frequency, now);
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (source.active) shiftSource(source, offset, frequency, now);
  }
}

/** Changes the base frequency by `change`, as far as the limits allow. */
export function turnFrequency(change: f64, now: u64): void {
  if (change != change) return;
  const before = steering().frequency;
  steering().frequency = clampFrequency(before + change);
  shiftAll(0, steering().frequency - before, now);
}

/** Slews `offset` away within `duration` seconds, or as fast as the host allows. Replaces what was left of a slew. */
export function startSlew(offset: f64, duration: f64, now: u64): void {
  endSlew();
  const span = max(duration, abs(offset) / slewLimit);
  if (offset == 0 || !(span > 0) || !(span < 1e6)) return;
  slew = offset / span;
  reckoned = now;
  // The duration is told on the monotonic clock, which runs at the new rate.
  steering().rate = steering().frequency + slew;
  slewEnd = now + <u64>(span * (1 + steering().rate) * 4294967296.0);
  steering().remaining = offset;
  steering().until = slewEnd;
}

/** The wall clock is to be stepped by `offset` at once. */
export function startStep(offset: i64, seconds: f64, now: u64): void {
  if (seconds != seconds) return;
  endSlew();
  steering().step = offset;
  shiftAll(seconds, 0, now);
}
