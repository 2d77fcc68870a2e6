// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock filter of RFC 5905 §10: of the last eight samples the one with the least delay speaks for the source.
 *
 * A sample is used once and never one older than the last used ("Re-using an old minimum-delay sample at every poll" is
 * a known fault). A sample far off the last one is ignored once: the popcorn spike suppressor.
 * Unlike the RFC's register ours moves along when the clock is corrected, so that an old sample tells today's offset.
 * Tested in tests/simulation/table.test.ts.
 */

import { steering } from "./clock";
import { Past, Source, pastBack, secondsBetween } from "./memory";

/** NSTAGE and MAXDISP, RFC 5905 §7.2 and §10; an empty stage counts as a dispersion of 16 s. */
const STAGES: i32 = 8;
const MAX_DISPERSION: f64 = 16;
/** Allan intercept, s: beyond it a clock's wander outweighs its jitter (§11.3). */
export const ALLAN: f64 = 2048;
/** PHI, the frequency tolerance, s/s. */
export const PHI: f64 = 15e-6;
/** SGATE: samples further off than three times the jitter are spikes (appendix A.5.2). */
const SPIKE_GATE: f64 = 3;
/** …and ignored while the last sample used is younger than this many polls. */
const SPIKE_POLLS: f64 = 2;
/** s.precision: what a clock of this kind can be read to. */
const PRECISION: f64 = 1e-9;

/** Ages (0 = newest) of the samples in the register, by growing delay. */
const order: usize = memory.data(8, 1);

/**
 * Makes the peer variables from the last eight samples. False when there is nothing new to use; but an unsynchronised
 * clock takes what there is, as in appendix A.5.2.
 */
export function filterClock(source: Source, unsynchronised: bool): bool {
  const count = min(source.samples, STAGES);
  for (let age = 0; age < count; age++) insert(source, age);
  const first = pastBack(source, load<u8>(order));
  const before = source.peerOffset;
  const jitterBefore = source.peerJitter;
  const since = source.peerWhen == 0 ? Infinity : secondsBetween(source.peerWhen, first.when);
  source.peerDelay = first.delay;
  source.peerDispersion = dispersionOf(source, count);
  source.peerJitter = jitterOf(source, count, first, unsynchronised);
  if (since <= 0 && !unsynchronised) return false;
  source.peerOffset = first.offset;
  source.peerWhen = first.when;
  const spike = abs(first.offset - before) > SPIKE_GATE * jitterBefore && since < SPIKE_POLLS * <f64>(1 << steering().poll);
  return unsynchronised || !spike;
}

/**
 * What samples are sorted by: the delay, but those older than the Allan intercept come last, oldest at the end. Without
 * that a poll of 1024 s would steer by offsets two hours old (ntpd does the same).
 */
function merit(source: Source, age: i32): f64 {
  const past = pastBack(source, age);
  const old = secondsBetween(past.when, pastBack(source, 0).when);
  return old > ALLAN ? MAX_DISPERSION + old : past.delay;
}

/** Delays that differ by less than can be read are equal, and the newer sample speaks. */
function insert(source: Source, age: i32): void {
  const own = merit(source, age) + PRECISION;
  let place = age;
  while (place > 0 && merit(source, load<u8>(order + place - 1)) > own) {
    store<u8>(order + place, load<u8>(order + place - 1));
    place--;
  }
  store<u8>(order + place, <u8>age);
}

/** p.disp = Σ ε_i / 2^(i+1), each grown by PHI since it was taken. */
function dispersionOf(source: Source, count: i32): f64 {
  const newest = pastBack(source, 0).when;
  let sum: f64 = 0;
  let share: f64 = 0.5;
  for (let place = 0; place < STAGES; place++) {
    let dispersion = MAX_DISPERSION;
    if (place < count) {
      const past = pastBack(source, load<u8>(order + place));
      dispersion = min(past.dispersion + PHI * secondsBetween(past.when, newest), MAX_DISPERSION);
    }
    sum += dispersion * share;
    share /= 2;
  }
  return sum;
}

/**
 * p.jitter: rms of the differences from the sample used. While the frequency is unknown those beyond the Allan intercept
 * show nothing but that, and could make the source seem unfit for ever.
 */
function jitterOf(source: Source, count: i32, first: Past, unsynchronised: bool): f64 {
  let squares: f64 = 0;
  let others = -1;
  for (let age = 0; age < count; age++) {
    const past = pastBack(source, age);
    if (unsynchronised && abs(secondsBetween(past.when, first.when)) > ALLAN) continue;
    const difference = past.offset - first.offset;
    squares += difference * difference;
    others++;
  }
  return max(sqrt(squares / <f64>max(others, 1)), PRECISION);
}

/** λ: root distance to the source as seen at `now` (§11.1): all of its own delay and dispersion, too. */
export function peerDistance(source: Source, now: u64): f64 {
  const age = max(secondsBetween(source.peerWhen, now), 0);
  // MINDISP, 5 ms, keeps two excellent sources from excluding each other.
  const delays = max(source.rootDelay + source.peerDelay, MIN_DISPERSION);
  return delays / 2 + source.rootDispersion + source.peerDispersion + PHI * age + source.peerJitter;
}

const MIN_DISPERSION: f64 = 0.005;
