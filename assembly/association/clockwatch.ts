// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Did somebody else step the wall clock, or did the machine sleep?
 *
 * Wall minus monotonic time stays put while a clock is only slewed (both are slewed alike). A jump of it that we did not
 * make means one of two things that cannot be told apart from here when it goes forward: a step, or a suspend during
 * which the monotonic clock stood still. Backwards it can only be a step; or a leap second, if one was due.
 *
 * Tested in clockwatch.test.ts.
 */

import { associationsDrop, associationsRestart } from "./association";
import { systemForget, systemMoved } from "./system";
import { disciplineForget, disciplineStepped } from "../discipline/index";
import { Interval, Timestamp, elapsed } from "../proto/timestamp";

/** Far above what reading two clocks one after the other may differ by on a busy machine; 50 ms. */
const LEAST_JUMP: Interval = 214748365;

export const CLOCK_UNDISTURBED: i32 = 0;
/** The wall clock was stepped back; all beliefs were moved along. */
export const CLOCK_STEPPED: i32 = 1;
/** The wall clock was stepped ahead or the machine slept; offsets are forgotten. */
export const CLOCK_JUMPED: i32 = 2;

/** The kernel inserted or deleted the leap second that was due; the servers did, too, so that nothing is to be corrected. */
export const CLOCK_LEAPT: i32 = 3;

/** A leap second may come late: a kernel that is busy, a watch that looks once a second. */
const LEAP_WINDOW: Interval = 5 << 32;
const SECOND: Interval = 1 << 32;

/** By how much the wall clock is to jump, 0 for not at all, and when. */
let leapJump: Interval = 0;
let leapAt: Timestamp = 0;

/** A leap second (1 insert, 2 delete, 0 none) is due when the wall clock reads `at`. */
export function clockWatchLeap(leap: i32, at: Timestamp): void {
  leapJump = leap == 1 ? -SECOND : leap == 2 ? SECOND : 0;
  leapAt = at;
}

function isLeap(jump: Interval, wall: Timestamp): bool {
  const error = jump - leapJump;
  const late = elapsed(leapAt, wall);
  return leapJump != 0 && error > -LEAST_JUMP && error < LEAST_JUMP && late > -LEAP_WINDOW && late < LEAP_WINDOW;
}

let difference: u64 = 0;
let watching: bool = false;

/** Start anew: after a step that we made ourselves. */
export function clockWatchReset(): void {
  watching = false;
}

/** Compare the two clocks, read together. Returns CLOCK_*; when not 0, replies under way are dropped and bursts begin. */
export function clockWatch(wall: Timestamp, monotonic: u64): i32 {
  const now = wall - monotonic;
  const jump = <i64>(now - difference);
  const first = !watching;
  watching = true;
  difference = now;
  if (first || (jump > -LEAST_JUMP && jump < LEAST_JUMP)) return CLOCK_UNDISTURBED;
  if (isLeap(jump, wall)) {
    leapJump = 0;
    associationsDrop();
    return CLOCK_LEAPT;
  }
  associationsRestart();
  if (jump < 0) {
    systemMoved(jump);
    disciplineStepped(jump, monotonic);
    return CLOCK_STEPPED;
  }
  systemForget();
  disciplineForget(monotonic);
  return CLOCK_JUMPED;
}
