// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The discipline's face: samples in, steering out. assembly/index.ts exports it as it stands.
 *
 *   measurement() ──fill──▶ disciplineSample(source) ──▶ steering(): rate, until, step, poll
 *                                disciplineTimer(until) ──▶ steering(): rate …
 *
 * After every call the host obeys the steering: step the wall clock if `step` is not 0, set the clock's relative rate to
 * `rate`, call disciplineTimer when the monotonic clock reads `until` (0: no need), poll each source every 2^poll s
 * (disciplinePoll for the first requests). Everything is f64 seconds or s/s except where said.
 * Tested in hosts/common/client/discipline.test.ts and tests/simulation/table.test.ts.
 */

import { endSlew, limitClock, reckon, resetClock, shiftAll, slewRate, steering } from "./clock";
import { distanceBound } from "./combine";
import { estimatorForget, estimatorSample, steer } from "./estimator";
import { breakLedger } from "./ledger";
import { Measurement, measurementAt } from "./measurement";
import { MUTE, Past, SILENCE, SOURCES, clearSource, secondsBetween, sourceAt, toSeconds } from "./memory";
import { limitPoll, pollAfter } from "./pace";
import { pllReset, pllSample, pllStepped, pllTimer } from "./pll";
import { forgetHeld, worsenHeld } from "./recollection";
import { selectClock } from "./selection";
import { resetSteps, setStepLimits, setStepPolicy, stepFlags } from "./steps";

export * from "./view";

/** Algorithms for {@link disciplineAlgorithm}. */
const PLL_FLL: i32 = 0;
const ESTIMATOR: i32 = 1;
/** sd of an oscillator's frequency before anything is known, s/s: PCs lie within ±100 ppm. */
const UNKNOWN_FREQUENCY: f64 = 100e-6;

let algorithm: i32 = ESTIMATOR;
/** The build for pages (assembly/page.ts) has no other algorithm. */
function estimates(): bool {
  return isDefined(PAGE) || algorithm == ESTIMATOR;
}
let frequencyDoubt: f64 = UNKNOWN_FREQUENCY;
/** The measurement in seconds. */
const latest = changetype<Past>(memory.data(offsetof<Past>(), 8));

/** 0: the PLL/FLL of RFC 5905 §11.3; 1 (default): our estimator. Takes effect with disciplineReset. */
export function disciplineAlgorithm(choice: i32): void {
  algorithm = choice == PLL_FLL ? PLL_FLL : ESTIMATOR;
}

/**
 * Forgets everything, all sources too. `frequency` is the correction that the drift file says, `doubt` its sd, both s/s;
 * a doubt that is not above 0 means that nothing is known. Call the limits afterwards.
 */
export function disciplineReset(frequency: f64, doubt: f64): void {
  for (let index = 0; index < SOURCES; index++) clearSource(sourceAt(index));
  resetClock(frequency);
  resetSteps();
  forgetHeld();
  const known = doubt > 0 && doubt < 1;
  frequencyDoubt = known ? doubt : UNKNOWN_FREQUENCY;
  if (!isDefined(PAGE)) pllReset(known);
}

/** What the host's actuator can do (relative rates: slew up to 0.1, frequency up to 500e-6), and the poll exponents. */
export function disciplineLimits(slewRate: f64, frequency: f64, minPoll: i32, maxPoll: i32): void {
  limitClock(slewRate, frequency);
  limitPoll(minPoll, maxPoll);
}

/** The estimator steps offsets beyond `least` s among its first `count` corrections (negative: always; 0: never). */
export function disciplineStepPolicy(least: f64, count: i32): void {
  setStepPolicy(least, count);
}

/** Limits of a single step (default 1000 s), of the first one, and of their sum, s; 0 for none. */
export function disciplineStepLimits(single: f64, startup: f64, sum: f64): void {
  setStepLimits(single, startup, sum);
}

/** Source `index` (0..63) begins anew. */
export function disciplineAddSource(index: i32): void {
  const source = sourceAt(index);
  clearSource(source);
  source.active = 1;
  source.priorVarFrequency = frequencyDoubt * frequencyDoubt;
}

export function disciplineRemoveSource(index: i32): void {
  clearSource(sourceAt(index));
}

/** Source `index` has fallen silent: it has no say any more, but what is known of it is kept. */
export function disciplineMute(index: i32): void {
  const source = sourceAt(index);
  if (!source.active) return;
  source.active = MUTE;
  source.selection = 0;
}

/** It tells the time again at `now`. False when nothing is known of it, or too little after so long: add it anew. */
export function disciplineUnmute(index: i32, now: u64): bool {
  const source = sourceAt(index);
  if (source.active != MUTE || source.samples == 0) return false;
  if (!(secondsBetween(source.when, now) < SILENCE)) return false;
  source.active = 1;
  return true;
}

/** Takes in the measurement, as one of source `index`. */
export function disciplineSample(index: i32): void {
  const source = sourceAt(index);
  if (!source.active) return;
  const sample = changetype<Measurement>(measurementAt);
  steering().step = 0;
  const late = !isDefined(PAGE) && sample.told != 0;
  const now = late ? sample.told : sample.when;
  reckon(now);
  source.stratum = sample.stratum;
  source.leap = sample.leap;
  source.rootDelay = toSeconds(sample.rootDelay);
  source.rootDispersion = toSeconds(sample.rootDispersion);
  // While we slew, the clock measures its own round trip too long by the slew, and the offset holds for its middle.
  const slew = late ? 0 : slewRate();
  latest.delay = toSeconds(sample.delay) / (1 + slew);
  latest.offset = toSeconds(sample.offset) - (slew * latest.delay) / 2;
  latest.when = sample.when;
  latest.dispersion = max(toSeconds(sample.dispersion), 0);
  if (estimates()) estimatorSample(source, now, latest);
  else pllSample(source, now, latest);
  if (!isDefined(PLAIN)) steering().flags = stepFlags;
}

/** The time that the steering named has come; any other time is allowed, too. */
export function disciplineTimer(now: u64): void {
  steering().step = 0;
  reckon(now);
  if (!estimates()) pllTimer(now);
}

/**
 * Somebody else stepped the wall clock ahead by `interval` (2^-32 s; negative: back). Exchanges in flight MUST be dropped.
 */
export function disciplineStepped(interval: i64, now: u64): void {
  steering().step = 0;
  reckon(now);
  shiftAll(toSeconds(interval), 0, now);
  worsenHeld(toSeconds(interval));
  if (estimates()) steer(now);
  else pllStepped();
  if (!isDefined(PLAIN)) steering().flags = stepFlags;
}

/** The machine slept: the offset is unknown, the frequency roughly as before. The sources should be asked in a burst. */
export function disciplineForget(now: u64): void {
  steering().step = 0;
  reckon(now);
  endSlew();
  breakLedger(now);
  forgetHeld();
  estimatorForget();
  if (!estimates()) pllReset(true);
}

/** log2 of the seconds from request number `attempt` (from 1) of a source to its next; counts from (re)start. */
export function disciplinePoll(attempt: i32): i32 {
  return pollAfter(attempt);
}

/** Selection, cluster and combine of RFC 5905 §11.2 on what is known at `now`: how many survive, 0 without a majority. */
export function disciplineSelect(now: u64): i32 {
  return selectClock(now) ? steering().survivors : 0;
}

/** Greatest error of the wall clock at `now`, s: root distance, sd and drift of the best source; Infinity before any. */
export function disciplineBound(now: u64): f64 {
  return distanceBound(now);
}
