// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Which second does a pulse begin? A PPS signal says exactly when and not which (RFC 2783 §1).
 *
 *   coarse clock   ······|–––?–––|······     its offset, wrong by less than 0.4 s
 *   pulse                    ↑               the second nearest to that offset is the pulse's
 *
 * The coarse clock is another reference clock that tells whole seconds (`lock`: a GPS's sentences), or our own clock, as
 * soon as others keep it within 0.4 s. A coarse clock nearer than 0.1 s to the middle between two seconds numbers nothing.
 *
 * Refuses to repair a coarse clock that is wrong all the time: its `offset` MUST be set so that it is right within 0.4 s.
 * Tested in tests/simulation/refclock.test.ts and hosts/common/client/refclock-runner.test.ts.
 */

import { Refclock, SAMPLE_AMBIGUOUS, SAMPLE_UNFIT, SAMPLE_UNNUMBERED, keepReading, nearestSecond, readingBack, refclockAt, refuseReading } from "./refclock";
import { reckon, steering } from "../discipline/clock";
import { bridged, movedSince } from "../discipline/ledger";
import { secondsBetween, toInterval } from "../discipline/memory";
import { disciplineBound } from "../discipline/index";
import { Interval, Timestamp } from "../proto/timestamp";

/** A coarse clock may be wrong by this much, s: half a second less a margin. */
const LIMIT: f64 = 0.4;
/** The coarse clock's newest readings, of which the middle one counts; fewer than three could be a stray one. */
const COARSE: i32 = 5;
const FEWEST_COARSE: i32 = 3;
/** s; older ones say nothing of a clock that may have been set since. */
const COARSE_AGE: f64 = 10;

const middle: usize = memory.data(COARSE * 8, 8);
/** What {@link coarse} found. */
let coarseOffset: Interval = 0;

/** A pulse came when our clock read `received`; that was at `taken`, and is told at `now`. */
export function refclockPulse(index: i32, received: Timestamp, taken: u64, now: u64): i32 {
  const clock = refclockAt(index);
  if (clock.slot == 0) return SAMPLE_UNFIT;
  reckon(now);
  if (!coarse(clock, index, now)) return refuseReading(clock, index, SAMPLE_UNNUMBERED);
  // The pulse marks a whole second, but for its own delay. Which one, the coarse clock says.
  const within = clock.offset - <i64>(received & 0xffffffff);
  const shift = nearestSecond(coarseOffset - within);
  const offset = within + shift;
  const gap = coarseOffset - offset;
  if (gap > toInterval(LIMIT) || gap < -toInterval(LIMIT)) return refuseReading(clock, index, SAMPLE_AMBIGUOUS);
  return keepReading(clock, index, offset, taken, now);
}

/** Finds how far our clock is off by the clock that numbers; false when that does not know. */
function coarse(clock: Refclock, index: i32, now: u64): bool {
  if (clock.lock >= 0 && clock.lock != index) return coarseOf(refclockAt(clock.lock), now);
  coarseOffset = toInterval(steering().remaining);
  return steering().synchronised != 0 && disciplineBound(now) < LIMIT;
}

/** The middle one of the newest readings. */
function coarseOf(by: Refclock, now: u64): bool {
  if (by.slot == 0) return false;
  let count = 0;
  for (let age = 0; age < min(by.held, COARSE); age++) {
    const reading = readingBack(by, age);
    if (!bridged(reading) || !(secondsBetween(reading.taken, now) < COARSE_AGE)) continue;
    const offset = reading.offset - movedSince(reading);
    let place = <usize>count << 3;
    for (; place > 0 && load<i64>(middle + place - 8) > offset; place -= 8) store<i64>(middle + place, load<i64>(middle + place - 8));
    store<i64>(middle + place, offset);
    count += 1;
  }
  if (count < FEWEST_COARSE) return false;
  coarseOffset = load<i64>(middle + (<usize>(count >> 1) << 3));
  return true;
}
