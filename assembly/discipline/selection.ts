// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Selection, cluster and combine of RFC 5905 §11.2, for the PLL/FLL.
 *
 *   fit sources ── intersection ── truechimers ── cluster ── survivors ── combine ── system offset
 *
 * No majority, no answer. Tested in tests/simulation/table.test.ts.
 */

import { steering } from "./clock";
import { peerDistance } from "./clockfilter";
import { Candidate, candidates, intersect } from "./intersection";
import { fitSlope, slope, slopeDoubt } from "./slope";
import { MUTE, SOURCES, Source, secondsBetween, sourceAt, toInterval } from "./memory";

/** MAXDIST: beyond this root distance a source is unfit (§11.2.1), s. */
const MAX_DISTANCE: f64 = 1;
/** MAXSTRAT: this stratum and above mean unsynchronised. */
const MAX_STRATUM: i32 = 16;
/** NMIN: cluster never leaves fewer survivors (§11.2.2). */
const FEWEST_SURVIVORS: i32 = 3;

/** Source numbers of the candidates, then of the survivors. */
const numbers: usize = memory.data(SOURCES, 1);
/** Their root distances. */
const distances: usize = memory.data(SOURCES * 8, 8);

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

function distanceAt(place: i32): f64 {
  return load<f64>(distances + (<usize>place << 3));
}

/** What stands at `from` also stands at `to`. */
function move(to: i32, from: i32): void {
  store<u8>(numbers + to, load<u8>(numbers + from));
  store<f64>(distances + (<usize>to << 3), distanceAt(from));
}

/** Finds the system offset; false when no majority agrees. */
export function selectClock(now: u64): bool {
  const count = nominate(now);
  survivors = count > 0 && intersect(count) > 0 ? cluster(keepTruechimers(count)) : 0;
  steering().survivors = survivors;
  if (survivors == 0) return false;
  combineClock(survivors);
  return true;
}

function nominate(now: u64): i32 {
  let count = 0;
  for (let index = 0; index < SOURCES; index++) {
    const source = sourceAt(index);
    source.selection = 0;
    if (!source.active || source.active == MUTE || source.samples == 0) continue;
    if (source.leap == 3 || source.stratum >= MAX_STRATUM) continue;
    const distance = peerDistance(source, now);
    if (!(distance < MAX_DISTANCE)) continue;
    const candidate = changetype<Candidate>(candidates + <usize>count * offsetof<Candidate>());
    candidate.mid = toInterval(source.peerOffset);
    candidate.distance = toInterval(distance);
    store<u8>(numbers + count, <u8>index);
    store<f64>(distances + (<usize>count << 3), distance);
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
    move(kept, place);
    kept++;
  }
  return keepPreferred(kept);
}

/** Where preferred sources are among the truechimers, only they go on. */
function keepPreferred(count: i32): i32 {
  let kept = 0;
  for (let place = 0; place < count; place++) {
    if (!numbered(place).preferred) continue;
    move(kept, place);
    kept++;
  }
  return kept > 0 ? kept : count;
}

/** Casts off the outlier with the greatest selection jitter while that exceeds the least peer jitter (§11.2.2). */
function cluster(count: i32): i32 {
  while (count > FEWEST_SURVIVORS) {
    measureSpread(count);
    let worst = 0;
    let worstScore: f64 = -1;
    let worstSquare: f64 = 0;
    let leastJitter = Infinity;
    for (let place = 0; place < count; place++) {
      const source = numbered(place);
      const square = jitterSquare(source, count);
      // Jitter weighs by root distance; stratum first, as in the RFC's metric.
      const metric = <f64>source.stratum * MAX_DISTANCE + distanceAt(place);
      const score = square * metric * metric;
      leastJitter = min(leastJitter, source.peerJitter);
      if (score <= worstScore) continue;
      worst = place;
      worstScore = score;
      worstSquare = square;
    }
    if (worstSquare < leastJitter * leastJitter) break;
    count--;
    move(worst, count);
  }
  return count;
}

/** Sums for {@link jitterSquare}: mean offset, and squares around it. */
let middle: f64 = 0;
let squares: f64 = 0;

function measureSpread(count: i32): void {
  let sum: f64 = 0;
  // Around the first, so that a large common offset does not cost digits.
  const first = numbered(0).peerOffset;
  for (let place = 1; place < count; place++) sum += numbered(place).peerOffset - first;
  middle = first + sum / <f64>count;
  squares = 0;
  for (let place = 0; place < count; place++) {
    const difference = numbered(place).peerOffset - middle;
    squares += difference * difference;
  }
}

/** Selection jitter², the mean of (θ_j - θ_i)² over the others j: from the sums instead of a loop over all pairs. */
function jitterSquare(source: Source, count: i32): f64 {
  const own = source.peerOffset - middle;
  return (squares + <f64>count * own * own) / <f64>(count - 1);
}

/** Weighs the survivors by the inverse of their root distance (§11.2.3). */
function combineClock(count: i32): void {
  let weights: f64 = 0;
  let sum: f64 = 0;
  let newest = numbered(0).peerWhen;
  for (let place = 0; place < count; place++) {
    const source = numbered(place);
    source.selection = 1;
    const weight = 1 / distanceAt(place);
    weights += weight;
    sum += weight * source.peerOffset;
    if (secondsBetween(newest, source.peerWhen) > 0) newest = source.peerWhen;
  }
  systemOffset = sum / weights;
  systemWhen = newest;
  let squares: f64 = 0;
  for (let place = 0; place < count; place++) {
    const difference = numbered(place).peerOffset - systemOffset;
    squares += (difference * difference) / distanceAt(place);
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
