// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * By how much our clock was moved since a moment, so that a timestamp taken then can be said in terms of the clock as it
 * runs now.
 *
 * Timestamps that are used a poll interval after they were taken (interleaved and symmetric modes) would else differ from
 * the new ones by every slew and turn of the frequency in between. A turn of the frequency moves a past reading the more,
 * the longer ago it was: as if the clock had always run at the new rate, as the past samples of source.ts have it.
 *
 * Refuses to bridge steps: a moment from before one is void. Sums of small moves after a step of decades would lose them.
 * Tested in assembly/association/interleaved.test.ts.
 */

import { secondsBetween, toInterval } from "./memory";

/** A moment, and the sums in the ledger then. */
@unmanaged
export class Moment {
  when: u64;
  /** Steps so far; a moment of another number is void. 0: never noted. */
  steps: i32;
  moved: f64;
  turned: f64;
  leverage: f64;
}

/** s; nothing is slewed so far between two entries. */
const STEP: f64 = 1;

let steps: i32 = 1;
/** Sums of offsets, of changes of the frequency, and of those times their moments. */
let moved: f64 = 0;
let turned: f64 = 0;
let leverage: f64 = 0;
/** Moments count from here, lest the sums grow with the machine's uptime. */
let origin: u64 = 0;

/** The clock has been moved by `offset` s and made faster by `frequency` s/s at `now`. */
export function enterMove(offset: f64, frequency: f64, now: u64): void {
  // Nothing that a page does is completed a poll later.
  if (isDefined(PAGE)) return;
  // Also where one of them is no number.
  if (!(abs(offset) < STEP && abs(frequency) < STEP)) {
    steps += 1;
    moved = turned = leverage = 0;
    origin = now;
    return;
  }
  if (origin == 0) origin = now;
  moved += offset;
  turned += frequency;
  leverage += frequency * secondsBetween(origin, now);
}

/** The clock was moved by nobody knows how much: no moment so far can be carried over. */
export function breakLedger(now: u64): void {
  enterMove(Infinity, 0, now);
}

/** Keep the moment `now`. The clock MUST have been reckoned up to it. */
export function keepMoment(moment: Moment, now: u64): void {
  moment.when = now;
  moment.steps = steps;
  moment.moved = moved;
  moment.turned = turned;
  moment.leverage = leverage;
}

/** Can readings of the clock at that moment be carried over to now? */
export function bridged(moment: Moment): bool {
  return moment.steps == steps;
}

/** What a reading of the clock at that moment must be raised by, 2^-32 s. */
export function movedSince(moment: Moment): i64 {
  const lever = leverage - moment.leverage - (turned - moment.turned) * secondsBetween(origin, moment.when);
  return toInterval(moved - moment.moved - lever);
}
