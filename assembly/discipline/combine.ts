// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Many beliefs to one: sources that agree, weighed by how sure each is.
 *
 * A source says that the truth lies within half of its root distance and 3 sd of its belief; the majority's intersection
 * (intersection.ts) tells who agrees. Without a majority there is no answer and the clock runs free.
 * Path asymmetry cannot be seen from here and grows with the delay, so that it enters the weight as a share of it.
 *
 * On a long path a root distance leaves room for a falseticker. So those that agree are asked again, by what they are
 * expected to be wrong by instead of what they may be: where a majority of all that are heard agrees by that, too, only it
 * steers (RFC 5905's cluster has the same purpose). Where none does, the paths are less equal than expected, and all steer.
 * Tested in tests/simulation/trouble.test.ts ("falsetickers").
 */

import { steering } from "./clock";
import { PHI, peerDistance } from "./clockfilter";
import { candidateAt, intersect, markTruechimers } from "./intersection";
import { Filter, MUTE, SILENCE, SOURCES, Source, pastBack, secondsBetween, sourceAt, toInterval } from "./memory";
import { hold, isPlausible } from "./recollection";
import { varianceAfter } from "./source";

/** MAXSTRAT: this stratum and above mean unsynchronised. */
const MAX_STRATUM: i32 = 16;
/** Samples before a source may steer the clock: chrony and ntpd, too, wait for a burst of four. */
const FEWEST_SAMPLES: i32 = 4;
/** Samples whose least delay the bound trusts. */
const LATE: i32 = 4;
/** sds by which sources that steer together may differ. */
const NEAR_SDS: f64 = 3;
/** Source.selection. */
const SURVIVOR: i32 = 1;
const CAST_OFF: i32 = 2;
/** Share of the round trip that is expected to be asymmetric, as an sd. */
const ASYMMETRY: f64 = 0.02;

const combinedAt: usize = memory.data(offsetof<Filter>(), 8);
/** What the sources that agree say of our error, ascending; {@link distanceBound}. */
const bounds: usize = memory.data(SOURCES * 8, 8);
/** Which source each candidate is. */
const numbers: usize = memory.data(SOURCES, 1);

/** Which of the sources that agree knows best. */
export let bestSource: i32 = -1;

/** The belief about our clock at the time asked for. */
export const combined = changetype<Filter>(combinedAt);

/** What {@link gather} counted: sources that told the time at all, that are heard, and that may steer. */
let known: i32 = 0;
let heard: i32 = 0;
let count: i32 = 0;
/** Nobody waits for who is new: somebody steered the clock until now, or has told more than a burst. */
let settled: bool = false;

/** Makes {@link combined} for `now`; false when too few have been heard or no majority agrees. */
export function combine(now: u64): bool {
  gather(now);
  const agreeing = intersect(count);
  // A majority of all that are heard, lest the first three of four decide before the fourth has told its burst. But who joins
  // later takes no clock away while he says the same, as far as few samples tell, and keeps none waiting: a peer may need many
  // minutes for a burst's.
  const voices = settled ? heard - markTruechimers(count, heard) : heard;
  steering().survivors = 2 * agreeing > voices ? agreeing : 0;
  if (2 * agreeing <= voices) return false;
  for (let place = 0; place < count; place++) {
    if (candidateAt(place).truechimer) sourceOf(place).selection = CAST_OFF;
  }
  keepNear(count, agreeing, voices, now);
  average(count, now);
  const best = sourceAt(bestSource);
  const distance = distanceOf(best, max(secondsBetween(best.when, now), 0));
  if (!isPlausible(combined.offset, distance, agreeing, known, now)) {
    for (let place = 0; place < count; place++) sourceOf(place).selection = 0;
    steering().survivors = 0;
    return false;
  }
  hold(distanceBound(now), now);
  return true;
}

/** Counts the sources, and nominates those that may steer, then those that are new. */
function gather(now: u64): void {
  known = heard = 0;
  settled = false;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (source.selection == SURVIVOR) settled = true;
    source.selection = 0;
    if (source.active && source.samples > 0) known++;
    if (!isNew(source)) nominate(index, now);
  }
  count = heard;
  for (let index = 0; index < SOURCES; index++) {
    if (isNew(sourceAt(index))) nominate(index, now);
  }
}

/** Too few samples to steer by. A source that jumped has few left, but its path is known. */
function isNew(source: Source): bool {
  return max(source.samples, source.floorSamples) < FEWEST_SAMPLES;
}

/** Is a reference clock among the truechimers? */
function anyReference(count: i32): bool {
  for (let place = 0; place < count; place++) {
    if (candidateAt(place).truechimer && sourceOf(place).stratum == 0) return true;
  }
  return false;
}

/** Leaves those of the `agreeing` that agree closely, if they are a majority of all `voices`; else all of them. */
function keepNear(count: i32, agreeing: i32, voices: i32, now: u64): void {
  // Of two nobody can tell which is right; and who is preferred steers wherever it may be right.
  if (agreeing < 3 || anyPreferred(count)) return;
  // Servers behind one line share what is unequal about it: against a reference clock they are no majority.
  if (!isDefined(PAGE) && anyReference(count)) return;
  for (let place = 0; place < count; place++) {
    const source = sourceOf(place);
    const elapsed = max(secondsBetween(source.when, now), 0);
    const candidate = candidateAt(place);
    // Falsetickers agree with nobody: far off, each on its own.
    if (source.selection != CAST_OFF) candidate.mid = i64.MAX_VALUE - (<i64>place << 32);
    candidate.distance = toInterval(NEAR_SDS * sqrt(varianceAfter(source, elapsed) + asymmetrySquare(source)));
  }
  const near = intersect(count);
  if (2 * near > voices) {
    steering().survivors = near;
    return;
  }
  for (let place = 0; place < count; place++) candidateAt(place).truechimer = sourceOf(place).selection == CAST_OFF ? 1 : 0;
}

/**
 * How far our clock may be off at `now`, if a majority of all that are heard is right: of so many that not all of them can be
 * wrong, what the worst says. Where one is preferred, only such count. Infinity when nobody agrees.
 */
export function distanceBound(now: u64): f64 {
  let heard = 0;
  let agreeing = 0;
  let preferred = 0;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (!isHeard(source, now)) continue;
    heard++;
    if (isPreferred(source) && source.selection == SURVIVOR) preferred++;
  }
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (!isHeard(source, now) || source.selection == 0) continue;
    if (preferred > 0 && !(isPreferred(source) && source.selection == SURVIVOR)) continue;
    insertBound(boundBy(source, now), agreeing++);
  }
  if (agreeing == 0) return Infinity;
  const needed = ((preferred > 0 ? preferred : heard) + 1) / 2;
  return boundAt(min(needed, agreeing) - 1);
}

/** Does it tell a time of its own, and not too long ago? */
function isHeard(source: Source, now: u64): bool {
  if (!source.active || source.active == MUTE || source.samples == 0) return false;
  return secondsBetween(source.when, now) <= SILENCE && source.leap != 3 && source.stratum < MAX_STRATUM;
}

function boundBy(source: Source, now: u64): f64 {
  const elapsed = max(secondsBetween(source.when, now), 0);
  // Of a source that the estimator has heard there is a belief; of one that the PLL/FLL follows there is none.
  const believed = isDefined(PAGE) || source.varOffset > 0;
  const known = believed ? distanceOf(source, elapsed) : peerDistance(source, now);
  const offset = believed ? source.offset + source.frequency * elapsed : source.peerOffset;
  return known + PHI * elapsed + abs(offset);
}

function boundAt(place: i32): f64 {
  return load<f64>(bounds + (<usize>place << 3));
}

/** Puts one bound among the first `count`, which ascend. */
function insertBound(value: f64, count: i32): void {
  let place = count;
  while (place > 0 && boundAt(place - 1) > value) {
    store<f64>(bounds + (<usize>place << 3), boundAt(place - 1));
    place--;
  }
  store<f64>(bounds + (<usize>place << 3), value);
}

/**
 * λ by the estimator: half of the round trip to the reference clock, the dispersions, and 3 sd. The trip is the shortest of
 * late, as the route may have become longer since the floor was seen.
 */
function distanceOf(source: Source, elapsed: f64): f64 {
  const sd = sqrt(varianceAfter(source, elapsed));
  let delay = pastBack(source, 0).delay;
  for (let age = 1; age < min(source.samples, LATE); age++) delay = min(delay, pastBack(source, age).delay);
  // Coarse clocks may show a delay below zero; their dispersion makes up for it.
  const trip = max(source.rootDelay + delay, 0);
  return trip / 2 + source.rootDispersion + pastBack(source, 0).dispersion + 3 * sd;
}

/** Which of the sources a candidate is. */
function sourceOf(place: i32): Source {
  return sourceAt(load<u8>(numbers + place));
}

/** What path asymmetry is expected to add to the variance of a source's offset. */
function asymmetrySquare(source: Source): f64 {
  const asymmetry = ASYMMETRY * (source.floor + source.rootDelay);
  return asymmetry * asymmetry;
}

/** Makes a candidate of a source, if it is heard. */
function nominate(index: i32, now: u64): void {
  const source = sourceAt(index);
  if (!isHeard(source, now)) return;
  if (source.samples > FEWEST_SAMPLES) settled = true;
  store<u8>(numbers + heard, <u8>index);
  const candidate = candidateAt(heard++);
  const elapsed = max(secondsBetween(source.when, now), 0);
  candidate.mid = toInterval(source.offset + source.frequency * elapsed);
  candidate.distance = max(toInterval(distanceOf(source, elapsed)), 0);
}

/** Only reference clocks are; the build for pages has none. */
function isPreferred(source: Source): bool {
  return !isDefined(PAGE) && source.preferred != 0;
}

/** Is there a truechimer that is preferred (RFC 5905 §11.2.3's prefer peer)? */
function anyPreferred(count: i32): bool {
  if (isDefined(PAGE)) return false;
  for (let place = 0; place < count; place++) {
    if (candidateAt(place).truechimer && isPreferred(sourceOf(place))) return true;
  }
  return false;
}

/** Mean of the truechimers, weighed by the inverse of their variances. */
function average(count: i32, now: u64): void {
  let weights: f64 = 0;
  let sureties: f64 = 0;
  let frequencyWeights: f64 = 0;
  let offset: f64 = 0;
  let frequency: f64 = 0;
  let least = Infinity;
  const preferring = anyPreferred(count);
  for (let place = 0; place < count; place++) {
    if (!candidateAt(place).truechimer) continue;
    const source = sourceOf(place);
    const steers = !preferring || isPreferred(source);
    source.selection = steers ? SURVIVOR : CAST_OFF;
    if (!steers) continue;
    const elapsed = max(secondsBetween(source.when, now), 0);
    const variance = varianceAfter(source, elapsed) + 1e-18;
    const weight = 1 / (variance + asymmetrySquare(source));
    const frequencyWeight = 1 / (source.varFrequency + 1e-24);
    if (variance < least) {
      least = variance;
      bestSource = load<u8>(numbers + place);
    }
    weights += weight;
    sureties += 1 / variance;
    frequencyWeights += frequencyWeight;
    offset += weight * (source.offset + source.frequency * elapsed);
    frequency += frequencyWeight * source.frequency;
  }
  combined.offset = offset / weights;
  combined.frequency = frequency / frequencyWeights;
  combined.varOffset = 1 / sureties;
  combined.varFrequency = 1 / frequencyWeights;
}
