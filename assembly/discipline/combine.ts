// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Many beliefs to one: sources that agree, weighed by how sure each is.
 *
 * A source says that the truth lies within half of its root distance and 3 sd of its belief; the majority's intersection
 * (intersection.ts) tells who agrees. Without a majority there is no answer and the clock runs free.
 * Path asymmetry cannot be seen from here and grows with the delay, so that it enters the weight as a share of it.
 * Tested in tests/simulation ("follows three servers of four").
 */

import { steering } from "./clock";
import { PHI, peerDistance } from "./clockfilter";
import { Candidate, candidates, intersect } from "./intersection";
import { Filter, MUTE, SILENCE, SOURCES, Source, pastBack, secondsBetween, sourceAt, toInterval } from "./memory";
import { varianceAfter } from "./source";

/** MAXSTRAT: this stratum and above mean unsynchronised. */
const MAX_STRATUM: i32 = 16;
/** Samples before a source may steer the clock: chrony and ntpd, too, wait for a burst of four. */
const FEWEST_SAMPLES: i32 = 4;
/** Share of the round trip that is expected to be asymmetric, as an sd. */
const ASYMMETRY: f64 = 0.02;

const combinedAt: usize = memory.data(offsetof<Filter>(), 8);
/** Which source each candidate is. */
const numbers: usize = memory.data(SOURCES, 1);

/** Which of the sources that agree knows best. */
export let bestSource: i32 = -1;

/** The belief about our clock at the time asked for. */
export const combined = changetype<Filter>(combinedAt);

/** Makes {@link combined} for `now`; false when too few have been heard or no majority agrees. */
export function combine(now: u64): bool {
  let heard = 0;
  let count = 0;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    source.selection = 0;
    if (!source.active || source.active == MUTE || source.samples == 0) continue;
    const elapsed = max(secondsBetween(source.when, now), 0);
    if (elapsed > SILENCE) continue;
    if (source.leap == 3 || source.stratum >= MAX_STRATUM) continue;
    heard++;
    // A source that jumped has few samples left, but its path is known.
    if (max(source.samples, source.floorSamples) < FEWEST_SAMPLES) continue;
    nominate(count, source, elapsed);
    store<u8>(numbers + count, <u8>index);
    count++;
  }
  // A majority of all that are heard, lest the first three of four decide before the fourth has told its burst.
  const agreeing = intersect(count);
  steering().survivors = 2 * agreeing > heard ? agreeing : 0;
  if (2 * agreeing <= heard) return false;
  average(count, now);
  return true;
}

/** How far our clock may be off at `now`: by the best of the sources that agreed last. Infinity when there are none. */
export function distanceBound(now: u64): f64 {
  let bound = Infinity;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    if (!source.active || source.samples == 0 || source.selection != 1) continue;
    const elapsed = max(secondsBetween(source.when, now), 0);
    const known = source.varOffset > 0 ? distanceOf(source, elapsed) : peerDistance(source, now);
    const offset = source.varOffset > 0 ? source.offset + source.frequency * elapsed : source.peerOffset;
    bound = min(bound, known + PHI * elapsed + abs(offset));
  }
  return bound;
}

/** λ by the estimator: half of the round trip to the reference clock, the dispersions, and 3 sd. */
function distanceOf(source: Source, elapsed: f64): f64 {
  const sd = sqrt(varianceAfter(source, elapsed));
  // Coarse clocks may show a delay below zero; their dispersion makes up for it.
  const trip = max(source.rootDelay + source.floor, 0);
  return trip / 2 + source.rootDispersion + pastBack(source, 0).dispersion + 3 * sd;
}

function candidateAt(place: i32): Candidate {
  return changetype<Candidate>(candidates + <usize>place * offsetof<Candidate>());
}

function nominate(place: i32, source: Source, elapsed: f64): void {
  const candidate = candidateAt(place);
  candidate.mid = toInterval(source.offset + source.frequency * elapsed);
  candidate.distance = max(toInterval(distanceOf(source, elapsed)), 0);
}

/** Is there a truechimer that is preferred (RFC 5905 §11.2.3's prefer peer)? */
function anyPreferred(count: i32): bool {
  for (let place = 0; place < count; place++) {
    if (candidateAt(place).truechimer && sourceAt(load<u8>(numbers + place)).preferred) return true;
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
    const source = sourceAt(load<u8>(numbers + place));
    source.selection = preferring && !source.preferred ? 2 : 1;
    if (source.selection != 1) continue;
    const elapsed = max(secondsBetween(source.when, now), 0);
    const variance = varianceAfter(source, elapsed) + 1e-18;
    const asymmetry = ASYMMETRY * (source.floor + source.rootDelay);
    const weight = 1 / (variance + asymmetry * asymmetry);
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
