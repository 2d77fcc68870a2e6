// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who agrees: the largest set of sources whose intervals of correctness have a point in common (RFC 5905 §11.2.1, after
 * Marzullo).
 *
 * Candidate i says that the truth lies in [mid - distance, mid + distance]. Assuming `falsetickers` = 0, 1, … of the m
 * candidates wrong, look for points that at least m - falsetickers of them contain; stop when the falsetickers would be
 * half or more. There is no answer without a true majority, and never a fall-back to a lone source.
 *
 * Every candidate whose interval reaches into the intersection is a truechimer: one with a large distance is imprecise,
 * not wrong. RFC 5905 also wants most midpoints inside it; we do not, as three honest sources whose delays differ may
 * overlap in a stretch that holds none of their midpoints.
 *
 * The intersection is where most agree; the bound is wider: all that any majority contains. It holds the truth as long
 * as a majority is honest, wherever the others hide.
 *
 * Fixed memory, O(m²) for m ≤ 64. Tested in intersection.test.ts.
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

/** The intersection found last. */
let low: Interval = 0;
let high: Interval = 0;
/** All that a majority contains. */
let boundLow: Interval = 0;
let boundHigh: Interval = 0;

function candidateAt(index: i32): Candidate {
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

/** How many intervals contain `point`. */
function support(point: Interval, count: i32): i32 {
  let holders = 0;
  for (let i = 0; i < count; i++) {
    const candidate = candidateAt(i);
    if (lowOf(candidate) <= point && point <= highOf(candidate)) holders += 1;
  }
  return holders;
}

/** The least lower end and the greatest upper end that at least `needed` intervals contain. */
function findBounds(needed: i32, count: i32): bool {
  low = i64.MAX_VALUE;
  high = i64.MIN_VALUE;
  for (let i = 0; i < count; i++) {
    const candidate = candidateAt(i);
    const bottom = lowOf(candidate);
    const top = highOf(candidate);
    if (bottom < low && support(bottom, count) >= needed) low = bottom;
    if (top > high && support(top, count) >= needed) high = top;
  }
  return low <= high;
}

/**
 * Find the intersection of the first `count` candidates and mark the truechimers. Returns how many there are, 0 when no
 * majority agrees.
 */
export function intersect(count: i32): i32 {
  count = min(count, CANDIDATE_LIMIT);
  for (let i = 0; i < count; i++) candidateAt(i).truechimer = 0;
  for (let falsetickers = 0; 2 * falsetickers < count; falsetickers++) {
    // A majority contains whatever most contain, so the bound is found whenever the intersection is.
    if (!findBounds(count / 2 + 1, count)) break;
    boundLow = low;
    boundHigh = high;
    if (findBounds(count - falsetickers, count)) return markTruechimers(count);
  }
  low = 0;
  high = 0;
  boundLow = 0;
  boundHigh = 0;
  return 0;
}

/** Mark every candidate whose interval reaches into the intersection. */
function markTruechimers(count: i32): i32 {
  let truechimers = 0;
  for (let i = 0; i < count; i++) {
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
