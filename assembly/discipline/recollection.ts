// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What our own clock remembers: a majority told it last how far it may be off, and an oscillator is known well enough to go
 * on from there. So when everybody was silent and the first to come back says what cannot be, it is not believed at once:
 * it may be the one that lies, and a majority of one. The others have a while to come back as well; after that it is true
 * that there is nobody else.
 *
 * Speaks only against a minority of those that are known, and never at a start, when there is nothing to remember.
 * Tested in tests/simulation/trouble.test.ts.
 */

import { steering } from "./clock";
import { secondsBetween } from "./memory";
import { maxPoll } from "./pace";

/** What an oscillator's frequency may change by meanwhile, s/s. To doubt the right ones costs but a few polls. */
const CHANGE: f64 = 1e-6;
/** Polls at the slowest that the others have to come back. */
const PATIENCE: f64 = 2;

/** Greatest error of our clock when a majority was believed last, s, and when that was. */
let held: f64 = Infinity;
let heldAt: u64 = 0;
/** Since when a minority has been saying what cannot be; 0: none does. */
let doubtedSince: u64 = 0;

/** Nothing is remembered: a start, or the machine slept. */
export function forgetHeld(): void {
  held = Infinity;
  doubtedSince = 0;
}

/** A majority is believed, by which our clock is off by at most `bound` at `now`. */
export function hold(bound: f64, now: u64): void {
  held = bound;
  heldAt = now;
}

/** Somebody moved the clock by so many seconds. */
export function worsenHeld(seconds: f64): void {
  held += abs(seconds);
}

/** Is an offset to be believed at `now`, known within `distance`, where `agreeing` of the `known` sources say so? */
export function isPlausible(offset: f64, distance: f64, agreeing: i32, known: i32, now: u64): bool {
  const drift = CHANGE + 3 * max(steering().sdFrequency, 0);
  const possible = held + drift * max(secondsBetween(heldAt, now), 0) + distance;
  if (2 * agreeing > known || !(abs(offset) > possible)) {
    doubtedSince = 0;
    return true;
  }
  if (doubtedSince == 0) doubtedSince = now;
  return secondsBetween(doubtedSince, now) > PATIENCE * <f64>(1 << maxPoll);
}
