// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The discipline's face: samples in, steering out. Everything here is reached through assembly/index.ts.
 *
 * The host (or association/) fills {@link measurement}, calls {@link disciplineSample}, then obeys {@link steering}: set the
 * rate, step if asked to, call {@link disciplineTimer} at `until`, poll at 2^poll seconds.
 */

import { limitClock, reckon, resetClock, shiftAll, steering } from "./clock";
import { estimatorSample } from "./estimator";
import { Past, SOURCES, clearSource, sourceAt, toSeconds } from "./memory";
import { limitPoll } from "./pace";
import { pllReset, pllSample, pllTimer } from "./pll";

/** One sample, as the host hands it over. All intervals in 2^-32 s. */
@unmanaged
export class Measurement {
  /** When the reply arrived, on the monotonic clock, unsigned 32.32 s. */
  when: u64;
  offset: i64;
  delay: i64;
  dispersion: i64;
  /** Of the server, from its packet. */
  rootDelay: i64;
  rootDispersion: i64;
  stratum: i32;
  leap: i32;
}

const measurementAt: usize = memory.data(offsetof<Measurement>(), 8);
/** The same in seconds. */
const latest = changetype<Past>(memory.data(offsetof<Past>(), 8));

export function measurement(): usize {
  return measurementAt;
}

export function steeringOut(): usize {
  return changetype<usize>(steering());
}

/** Everything forgotten. `frequency` is what the drift file says, ± `doubt` (both s/s). */
export function disciplineReset(frequency: f64, doubt: f64): void {
  for (let index = 0; index < SOURCES; index++) clearSource(sourceAt(index));
  resetClock(frequency);
  pllReset(frequency != 0);
  frequencyDoubt = doubt > 0 && doubt < 1 ? doubt : 100e-6;
}

/** 0: the PLL/FLL of RFC 5905 §11.3; 1: our estimator. */
let algorithm: i32 = 1;

export function disciplineAlgorithm(choice: i32): void {
  algorithm = choice;
}

let frequencyDoubt: f64 = 100e-6;

export function disciplineLimits(slewRate: f64, frequency: f64, minPoll: i32, maxPoll: i32): void {
  limitClock(slewRate, frequency);
  limitPoll(minPoll, maxPoll);
}

export function disciplineAddSource(index: i32): void {
  const source = sourceAt(index);
  clearSource(source);
  source.active = 1;
  source.priorVarFrequency = frequencyDoubt * frequencyDoubt;
}

export function disciplineRemoveSource(index: i32): void {
  clearSource(sourceAt(index));
}

/** Takes in {@link measurement} of source `index`. */
export function disciplineSample(index: i32): void {
  const source = sourceAt(index);
  if (!source.active) return;
  const sample = changetype<Measurement>(measurementAt);
  steering().step = 0;
  reckon(sample.when);
  source.stratum = sample.stratum;
  source.leap = sample.leap;
  source.rootDelay = toSeconds(sample.rootDelay);
  source.rootDispersion = toSeconds(sample.rootDispersion);
  latest.offset = toSeconds(sample.offset);
  latest.delay = toSeconds(sample.delay);
  latest.dispersion = toSeconds(sample.dispersion);
  if (algorithm == 1) estimatorSample(source, sample.when, latest);
  else pllSample(source, sample.when, latest);
}

/** The time that {@link steering} named has come. */
export function disciplineTimer(now: u64): void {
  steering().step = 0;
  reckon(now);
  if (algorithm == 0) pllTimer(now);
}

/** Somebody else stepped the wall clock by `interval` (2^-32 s). */
export function disciplineStepped(interval: i64, now: u64): void {
  reckon(now);
  shiftAll(toSeconds(interval), 0, now);
}
