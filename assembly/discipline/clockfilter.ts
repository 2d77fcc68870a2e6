// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock filter of RFC 5905 §10: of the last eight samples the one with the least delay speaks for the source.
 *
 * A sample is used once and never one older than the last used ("Re-using an old minimum-delay sample at every poll" is
 * a known fault). A sample far off the last one is ignored once: the popcorn spike suppressor.
 * Unlike the RFC's register ours moves along when the clock is corrected, so that an old sample tells today's offset.
 * Tested in tests/simulation.
 */

import { Past, Source, pastBack, secondsBetween } from "./memory";

/** NSTAGE and MAXDISP, RFC 5905 §7.2 and §10; an empty stage counts as a dispersion of 16 s. */
const STAGES: i32 = 8;
const MAX_DISPERSION: f64 = 16;
/** PHI, the frequency tolerance, s/s. */
export const PHI: f64 = 15e-6;
/** SGATE: samples further off than three times the jitter are spikes (appendix A.5.2). */
const SPIKE_GATE: f64 = 3;
/** s.precision: what a clock of this kind can be read to. */
const PRECISION: f64 = 1e-9;

/** Ages (0 = newest) of the samples in the register, by growing delay. */
const order: usize = memory.data(8, 1);

/**
 * Makes the peer variables from the last eight samples, of those taken after `after` only (0 for all). False when there
 * is nothing new to use.
 */
export function filterClock(source: Source, after: u64, poll: i32): bool {
  let count = min(source.samples, STAGES);
  while (after != 0 && count > 1 && secondsBetween(after, pastBack(source, count - 1).when) <= 0) count--;
  for (let age = 0; age < count; age++) insert(source, age);
  const first = pastBack(source, load<u8>(order));
  const before = source.peerOffset;
  const jitterBefore = source.peerJitter;
  source.peerDelay = first.delay;
  source.peerDispersion = dispersionOf(source, min(source.samples, STAGES));
  const since = source.peerWhen == 0 ? Infinity : secondsBetween(source.peerWhen, first.when);
  // While the frequency is unknown, offsets spread because of it: the jitter of the burst before stays in force.
  if (after == 0) source.peerJitter = jitterOf(source, count, first);
  if (since <= 0 && after == 0) return false;
  source.peerOffset = first.offset;
  const spike = abs(first.offset - before) > SPIKE_GATE * jitterBefore && since < 2 * <f64>(1 << poll);
  source.peerWhen = first.when;
  return !(spike && after == 0 && source.samples > STAGES && jitterBefore > 0);
}

function insert(source: Source, age: i32): void {
  const delay = pastBack(source, age).delay;
  let place = age;
  while (place > 0 && pastBack(source, load<u8>(order + place - 1)).delay > delay) {
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

/** p.jitter: rms of the differences from the sample used. */
function jitterOf(source: Source, count: i32, first: Past): f64 {
  let squares: f64 = 0;
  for (let age = 0; age < count; age++) {
    const difference = pastBack(source, age).offset - first.offset;
    squares += difference * difference;
  }
  return max(sqrt(squares / <f64>max(count - 1, 1)), PRECISION);
}

/** λ: root distance to the source as seen at `now` (§11.1): all of its own delay and dispersion, too. */
export function peerDistance(source: Source, now: u64): f64 {
  const age = max(secondsBetween(source.peerWhen, now), 0);
  // MINDISP, 5 ms, keeps two excellent sources from excluding each other.
  const delays = max(source.rootDelay + source.peerDelay, MIN_DISPERSION);
  return delays / 2 + source.rootDispersion + source.peerDispersion + PHI * age + source.peerJitter;
}

const MIN_DISPERSION: f64 = 0.005;
