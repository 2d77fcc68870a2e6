// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Selection, cluster and combine of RFC 5905 §11.2, for the PLL/FLL.
 *
 *   fit sources ── intersection ── truechimers ── cluster ── survivors ── combine ── system offset
 *
 * No majority, no answer. Tested in tests/simulation.
 */

import { steering } from "./clock";
import { peerDistance } from "./clockfilter";
import { Candidate, candidates, intersect } from "./intersection";
import { fitSlope, slope, slopeDoubt } from "./slope";
import { SOURCES, Source, secondsBetween, sourceAt, toInterval } from "./memory";

/** MAXDIST: beyond this root distance a source is unfit (§11.2.1), s. */
const MAX_DISTANCE: f64 = 1;
/** MAXSTRAT: this stratum and above mean unsynchronised. */
const MAX_STRATUM: i32 = 16;
/** NMIN: cluster never leaves fewer survivors (§11.2.2). */
const FEWEST_SURVIVORS: i32 = 3;

/** Source numbers of the candidates, then of the survivors. */
const numbers: usize = memory.data(SOURCES, 1);

export let systemOffset: f64 = 0;
export let systemJitter: f64 = 0;
/** The frequency against the survivors by their samples' slopes, and its sd: {@link combineSlopes}. */
export let systemSlope: f64 = 0;
export let systemSlopeDoubt: f64 = 0;
/** How many survived. */
let survivors: i32 = 0;
/** When the newest sample among the survivors was taken. */
export let systemWhen: u64 = 0;

function numbered(place: i32): Source {
  return sourceAt(load<u8>(numbers + place));
}

/** Finds the system offset; false when no majority agrees. */
export function selectClock(now: u64): bool {
  const count = nominate(now);
  survivors = count > 0 && intersect(count) > 0 ? cluster(keepTruechimers(count), now) : 0;
  steering().survivors = survivors;
  if (survivors == 0) return false;
  combineClock(survivors, now);
  return true;
}

function nominate(now: u64): i32 {
  let count = 0;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    source.selection = 0;
    if (!source.active || source.samples == 0 || source.leap == 3 || source.stratum >= MAX_STRATUM) continue;
    const distance = peerDistance(source, now);
    if (!(distance < MAX_DISTANCE)) continue;
    const candidate = changetype<Candidate>(candidates + <usize>count * offsetof<Candidate>());
    candidate.mid = toInterval(source.peerOffset);
    candidate.distance = toInterval(distance);
    store<u8>(numbers + count, <u8>index);
    count++;
  }
  return count;
}

function keepTruechimers(count: i32): i32 {
  let kept = 0;
  for (let place = 0; place < count; place++) {
    const candidate = changetype<Candidate>(candidates + <usize>place * offsetof<Candidate>());
    if (!candidate.truechimer) continue;
    numbered(place).selection = 2;
    store<u8>(numbers + kept, load<u8>(numbers + place));
    kept++;
  }
  return kept;
}

/** Casts off the outlier with the greatest selection jitter while that exceeds the least peer jitter (§11.2.2). */
function cluster(count: i32, now: u64): i32 {
  while (count > FEWEST_SURVIVORS) {
    let worst = 0;
    let worstScore: f64 = -1;
    let worstJitter: f64 = 0;
    let leastJitter = Infinity;
    for (let place = 0; place < count; place++) {
      const jitter = selectionJitter(place, count);
      // Jitter weighs by root distance; stratum first, as in the RFC's metric.
      const score = jitter * (<f64>numbered(place).stratum * MAX_DISTANCE + peerDistance(numbered(place), now));
      leastJitter = min(leastJitter, numbered(place).peerJitter);
      if (score <= worstScore) continue;
      worst = place;
      worstScore = score;
      worstJitter = jitter;
    }
    if (worstJitter < leastJitter) break;
    count--;
    store<u8>(numbers + worst, load<u8>(numbers + count));
  }
  return count;
}

function selectionJitter(place: i32, count: i32): f64 {
  const own = numbered(place).peerOffset;
  let squares: f64 = 0;
  for (let other = 0; other < count; other++) {
    const difference = numbered(other).peerOffset - own;
    squares += difference * difference;
  }
  return sqrt(squares / <f64>max(count - 1, 1));
}

/** Weighs the survivors by the inverse of their root distance (§11.2.3). */
function combineClock(count: i32, now: u64): void {
  let weights: f64 = 0;
  let sum: f64 = 0;
  let newest = numbered(0).peerWhen;
  for (let place = 0; place < count; place++) {
    const source = numbered(place);
    source.selection = 1;
    const weight = 1 / peerDistance(source, now);
    weights += weight;
    sum += weight * source.peerOffset;
    if (secondsBetween(newest, source.peerWhen) > 0) newest = source.peerWhen;
  }
  systemOffset = sum / weights;
  systemWhen = newest;
  let squares: f64 = 0;
  for (let place = 0; place < count; place++) {
    const difference = numbered(place).peerOffset - systemOffset;
    squares += (difference * difference) / peerDistance(numbered(place), now);
  }
  systemJitter = sqrt(squares / weights);
}

/** Frequency against each survivor, weighed by the inverse of its variance. Call after {@link selectClock}. */
export function combineSlopes(): void {
  let weights: f64 = 0;
  let sum: f64 = 0;
  for (let place = 0; place < survivors; place++) {
    fitSlope(numbered(place));
    if (!(slopeDoubt < 1)) continue;
    const weight = 1 / (slopeDoubt * slopeDoubt + 1e-24);
    weights += weight;
    sum += weight * slope;
  }
  systemSlope = weights > 0 ? sum / weights : 0;
  systemSlopeDoubt = weights > 0 ? 1 / sqrt(weights) : Infinity;
}
