// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who agrees: the largest set of sources whose intervals of correctness have a point in common (RFC 5905 §11.2.1, after
 * Marzullo).
 *
 * Candidate i says that the truth lies in [mid - distance, mid + distance]. The intersection is made of the points that most
 * candidates contain, which is what the RFC finds by assuming 0, 1, … falsetickers in turn. Unless more than half of all
 * contain them there is no answer: a true majority, and never a fall-back to a lone source.
 *
 * Every candidate whose interval reaches into the intersection is a truechimer: one with a large distance is imprecise,
 * not wrong. RFC 5905 also wants most midpoints inside it; we do not, as three honest sources whose delays differ may
 * overlap in a stretch that holds none of their midpoints.
 *
 * The intersection is where most agree; the bound is wider: all that any majority contains. It holds the truth as long
 * as a majority is honest, wherever the others hide.
 *
 * Lower and upper ends are sorted once and walked with two fingers: m log m in spirit, and for the few sources of real
 * life an insertion sort is the fastest way there. Fixed memory. Tested in intersection.test.ts; measured in bench/discipline.ts.
 */

import { Interval, addSaturating } from "../proto/timestamp";

export const CANDIDATE_LIMIT: i32 = 64;

/** One candidate. The host fills mid and distance through the exported CANDIDATE_* offsets. */
@unmanaged
export class Candidate {
  /** Its offset. */
  mid: Interval;
  /** Its root distance; MUST NOT be negative. */
  distance: Interval;
  /** Set by {@link intersect}: 1 when it reaches into the intersection, 0 for a falseticker. */
  truechimer: i32;
}

export const candidates: usize = memory.data(CANDIDATE_LIMIT * offsetof<Candidate>(), 8);
/** The ends of all intervals, ascending. */
const lows: usize = memory.data(CANDIDATE_LIMIT * sizeof<Interval>(), 8);
const highs: usize = memory.data(CANDIDATE_LIMIT * sizeof<Interval>(), 8);

/** The intersection found last. */
let low: Interval = 0;
let high: Interval = 0;
/** All that a majority contains. */
let boundLow: Interval = 0;
let boundHigh: Interval = 0;

export function candidateAt(index: i32): Candidate {
  return changetype<Candidate>(candidates + <usize>index * offsetof<Candidate>());
}

function lowOf(candidate: Candidate): Interval {
  return addSaturating(candidate.mid, -max<i64>(candidate.distance, 0));
}

function highOf(candidate: Candidate): Interval {
  return addSaturating(candidate.mid, max<i64>(candidate.distance, 0));
}

/** Lower and upper end of the bound that {@link intersect} found. */
export function intersectionLow(): Interval {
  return boundLow;
}

export function intersectionHigh(): Interval {
  return boundHigh;
}

function endAt(ends: usize, index: i32): Interval {
  return load<Interval>(ends + (<usize>index << 3));
}

/** Put `value` among the first `count` ends, which are in order. */
function insert(ends: usize, count: i32, value: Interval): void {
  let at = ends + (<usize>count << 3);
  while (at > ends && load<Interval>(at - 8) > value) {
    store<Interval>(at, load<Interval>(at - 8));
    at -= 8;
  }
  store<Interval>(at, value);
}

function sortEnds(count: i32): void {
  for (let i = 0; i < count; i++) {
    const candidate = candidateAt(i);
    candidate.truechimer = 0;
    insert(lows, i, lowOf(candidate));
    insert(highs, i, highOf(candidate));
  }
}

/** How many intervals contain the point that most contain. It is one of the lower ends. */
function greatestSupport(count: i32): i32 {
  let greatest = 0;
  let ended = 0;
  for (let begun = 1; begun <= count; begun++) {
    const point = endAt(lows, begun - 1);
    while (endAt(highs, ended) < point) ended += 1;
    greatest = max(greatest, begun - ended);
  }
  return greatest;
}

/** The first lower end that at least `needed` intervals contain. There MUST be one. */
function firstPoint(needed: i32, count: i32): Interval {
  let ended = 0;
  for (let begun = 1; begun < count; begun++) {
    const point = endAt(lows, begun - 1);
    while (endAt(highs, ended) < point) ended += 1;
    if (begun - ended >= needed) return point;
  }
  return endAt(lows, count - 1);
}

/** The last upper end that at least `needed` intervals contain, by the same walk from above. */
function lastPoint(needed: i32, count: i32): Interval {
  let begun = count;
  for (let ended = count - 1; ended > 0; ended--) {
    const point = endAt(highs, ended);
    while (endAt(lows, begun - 1) > point) begun -= 1;
    if (begun - ended >= needed) return point;
  }
  return endAt(highs, 0);
}

/**
 * Find the intersection of the first `count` candidates and mark the truechimers. Returns how many there are, 0 when no
 * majority agrees.
 */
export function intersect(count: i32): i32 {
  count = min(count, CANDIDATE_LIMIT);
  sortEnds(count);
  const most = greatestSupport(count);
  if (2 * most <= count) {
    low = high = boundLow = boundHigh = 0;
    return 0;
  }
  low = firstPoint(most, count);
  high = lastPoint(most, count);
  // A clock has a bound of its own (combine.ts).
  if (!isDefined(PLAIN)) {
    const majority = count / 2 + 1;
    boundLow = firstPoint(majority, count);
    boundHigh = lastPoint(majority, count);
  }
  return markTruechimers(0, count);
}

/** Mark every candidate of these places whose interval reaches into the intersection; how many. */
export function markTruechimers(from: i32, to: i32): i32 {
  let truechimers = 0;
  for (let i = from; i < to; i++) {
    const candidate = candidateAt(i);
    candidate.truechimer = highOf(candidate) >= low && lowOf(candidate) <= high ? 1 : 0;
    truechimers += candidate.truechimer;
  }
  return truechimers;
}

/**
 * The truechimers' offsets averaged with weights 1 / distance (RFC 5905 §11.2.3), kept within the intersection. Meaningful
 * after {@link intersect} found one.
 */
export function intersectionOffset(count: i32): Interval {
  let weights = 0.0;
  let sum = 0.0;
  for (let i = 0; i < min(count, CANDIDATE_LIMIT); i++) {
    const candidate = candidateAt(i);
    if (candidate.truechimer == 0) continue;
    const weight = 1.0 / <f64>max<i64>(candidate.distance, 1);
    weights += weight;
    // Relative to the lower end, where a double is exact enough: midpoints may be years away from zero.
    sum += <f64>(candidate.mid - low) * weight;
  }
  if (weights == 0.0) return low;
  const mean = low + <i64>nearest<f64>(sum / weights);
  return min(max(mean, low), high);
}
