// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that is told in terms of another: so far apart at one moment, and gaining so much since.
 *
 * With it a server serves a disciplined clock, kernel stamps included, while the system's clock is left alone.
 * Tested in mmsg.test.ts.
 */

import { Interval, Timestamp } from "../proto/timestamp";

/** The host fills it through the exported CLOCK_LINE_* offsets. All zero: the two clocks are one. */
@unmanaged
export class ClockLine {
  /** The system clock when `offset` held. */
  since: Timestamp;
  /** The served clock less the system's. */
  offset: Interval;
  /** What the served clock gains on the system's, s/s; less than 1. */
  rate: f64;
}

export const clockLine = changetype<ClockLine>(memory.data(offsetof<ClockLine>(), 8));

/** Further from `since` than this, 2^6 s, the rate no longer applies: the line was not renewed, or the system clock stepped. */
const REACH: Interval = <i64>64 << 32;

/** The served clock when the system's read `system`. */
export function ownTime(system: Timestamp): Timestamp {
  const rate = clockLine.rate;
  let gained: Interval = 0;
  if (rate != 0 && abs(rate) < 1) {
    const span = <i64>(system - clockLine.since);
    if (span < REACH && span > -REACH) gained = <i64>nearest<f64>(<f64>span * rate);
  }
  return system + <u64>(clockLine.offset + gained);
}
