// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock discipline of RFC 5905 §11.3 and §12: a phase-locked and a frequency-locked loop, and its state machine.
 *
 *   NSET ──first offset──▶ FREQ ──stepout──▶ SYNC ◀──▶ SPIK       FSET (frequency from file) ──▶ SYNC
 *
 * NSET  nothing known        FREQ  waiting to measure the frequency directly
 * FSET  frequency from file  SYNC  loops closed           SPIK  an offset beyond the step threshold is being doubted
 *
 * Differs from the RFC in three places. The offsets found in NSET and FSET and at the end of FREQ are slewed away at once
 * instead of by the loop. FREQ ends as soon as a line through each source's samples (slope.ts) is steep enough for sure,
 * and not only after the stepout. The gains are the kernel's. So the clock is within a millisecond in minutes.
 * Tested in tests/simulation/table.test.ts.
 */

import { ALLAN, filterClock } from "./clockfilter";
import { startSlew, startStep, steering, turnFrequency } from "./clock";
import { Past, Source, secondsBetween, toInterval } from "./memory";
import { allowStep, believable, countCorrection } from "./steps";
import { maxPoll, minPoll } from "./pace";
import {
  combineSlopes, selectClock, systemJitter, systemOffset, systemSlope, systemSlopeDoubt, systemWhen,
} from "./selection";
import { remember } from "./source";

const NSET: i32 = 0;
const FSET: i32 = 1;
const SPIK: i32 = 2;
const FREQ: i32 = 3;
const SYNC: i32 = 4;

/**
 * Loop gains: the time constant in polls, and the share of a frequency-lock's finding that is taken over. The RFC has 16
 * and 18 less the poll exponent; these are close to the nanokernel's (2^SHIFT_PLL and 2^SHIFT_FLL, both 4), by which ntpd
 * really runs. With 16 the loop is so slow that an oscillator's wander of 1e-9 alone costs 120 µs rms. A twentieth less
 * than 4 evens out what wander and jitter cost us beyond ntpd.
 */
const PLL: f64 = 3.8;
const FLL: f64 = 4;
/** Constants of RFC 5905 §11.3 and appendix A: step threshold (s), jitter's averaging. */
const STEP_THRESHOLD: f64 = 0.128;
const AVERAGE: f64 = 4;
/** WATCH, s: how long an outlier is doubted. The RFC has 900. */
const STEPOUT: f64 = 900;
/** Frequency is known well enough to close the loops when its sd, itself badly known, is below 0.7 ppm. */
const FREQUENCY_DOUBT: f64 = 0.7e-6;
/** s: a longer time constant lets the wander in faster than it keeps the jitter out. */
const LONGEST_INTERVAL: f64 = ALLAN / 4;
/** PGATE and LIMIT: poll adjustment (appendix A.5.5.6). */
const POLL_GATE: f64 = 4;
const POLL_LIMIT: i32 = 30;
/** The PLL takes no more than this many polls for the time since its last update, lest it grow unstable (as Linux does). */
const MOST_POLLS: f64 = 8;
const PRECISION: f64 = 1e-9;

let state: i32 = NSET;
/** c.offset: what the loop still has to amortise, s. */
let loopOffset: f64 = 0;
/** c.last: the offset before, for the jitter. */
let lastOffset: f64 = 0;
let jitter: f64 = PRECISION;
let pollCount: i32 = 0;
/** c.t: time of the sample used last; 0 before the first. */
let updated: u64 = 0;

export function pllReset(frequencyKnown: bool): void {
  state = frequencyKnown ? FSET : NSET;
  loopOffset = 0;
  lastOffset = 0;
  jitter = PRECISION;
  pollCount = 0;
  updated = 0;
}

/** Somebody stepped the clock: the offset is measured anew, the frequency stays. */
export function pllStepped(): void {
  state = state == NSET || state == FREQ ? NSET : FSET;
  loopOffset = 0;
  lastOffset = 0;
}

export function pllSample(source: Source, now: u64, sample: Past): void {
  remember(source, sample.when, sample.offset, sample.delay, sample.dispersion);
  source.when = sample.when;
  if (!filterClock(source, state == NSET || state == FREQ)) return;
  if (!selectClock(now)) return;
  steering().sdOffset = systemJitter;
  const since = updated == 0 ? 0 : secondsBetween(updated, state == FREQ ? now : systemWhen);
  if (updated != 0 && since <= 0 && state != FREQ) return;
  update(systemOffset, since, now);
}

/** local_clock() of appendix A.5.5.6: `offset` is the system offset, `since` the seconds since the last update. */
function update(offset: f64, since: f64, now: u64): void {
  if (!believable(offset)) return;
  if (abs(offset) > STEP_THRESHOLD) outlier(offset, since, now);
  else inlier(offset, since, now);
}

function outlier(offset: f64, since: f64, now: u64): void {
  if (state == SYNC) {
    state = SPIK;
    return;
  }
  if (state == SPIK && since < STEPOUT) return;
  if (state == FREQ) {
    if (!measured(since)) return;
    turnFrequency(direct(offset, since), now);
    selectClock(now);
    offset = systemOffset;
  }
  // NSET, FSET, or the stepout is over.
  if (!allowStep(offset)) return;
  startStep(toInterval(offset), offset, now);
  steering().poll = minPoll;
  pollCount = 0;
  enter(state == NSET ? FREQ : SYNC, 0);
}

function inlier(offset: f64, since: f64, now: u64): void {
  countCorrection();
  const deviation = max(abs(offset - lastOffset), PRECISION);
  jitter = sqrt(jitter * jitter + (deviation * deviation - jitter * jitter) / AVERAGE);
  if (state == NSET || state == FSET) {
    startSlew(offset, 1, now);
    enter(state == NSET ? FREQ : SYNC, 0);
    return;
  }
  if (state == FREQ) {
    if (!measured(since)) return;
    turnFrequency(direct(offset, since), now);
    // The sample used may be minutes old; with the frequency known it tells what the offset is now.
    selectClock(now);
    startSlew(systemOffset, 1, now);
    enter(SYNC, 0);
  } else {
    turnFrequency(frequencyChange(offset, since), now);
    enter(SYNC, offset);
    amortise(now);
  }
  adjustPoll();
}

/** In FREQ: has been waited for long enough? */
function measured(since: f64): bool {
  combineSlopes();
  return since >= STEPOUT || systemSlopeDoubt < FREQUENCY_DOUBT;
}

/**
 * The frequency that FREQ finds: the line's, or where there are too few samples for one, the RFC's direct measurement. What
 * there was of an offset when FREQ began was corrected, so that all of `offset` came about in the `since` seconds since.
 */
function direct(offset: f64, since: f64): f64 {
  return systemSlopeDoubt < Infinity ? systemSlope : offset / since;
}

/** rstclock(): the new state, and the offset that the loop is to amortise. */
function enter(next: i32, offset: f64): void {
  state = next;
  loopOffset = offset;
  lastOffset = offset;
  updated = systemWhen;
  steering().synchronised = next == SYNC ? 1 : steering().synchronised;
}

/** The loops' time constants follow the poll interval, but not beyond a quarter of the Allan intercept. */
function loopInterval(): f64 {
  return min(<f64>(1 << steering().poll), LONGEST_INTERVAL);
}

/**
 * What both loops make of an offset, s/s. Polls may be far longer than we want them, where the server says so or packets get
 * lost: the PLL then takes no larger a share of what a direct measurement would find than the FLL does, or it would
 * overshoot, more each time.
 */
function frequencyChange(offset: f64, since: f64): f64 {
  const interval = loopInterval();
  const time = 4 * PLL * interval;
  const share = 1 / (FLL * since);
  const locked = offset * min(min(since, MOST_POLLS * interval) / (time * time), share);
  return since > ALLAN ? locked + offset * share : locked;
}

/** clock_adjust() of §12: once a second a small share of the offset is slewed. */
export function pllTimer(now: u64): void {
  if (state == SYNC || state == SPIK) amortise(now);
}

function amortise(now: u64): void {
  const share = loopOffset / (PLL * loopInterval());
  loopOffset -= share;
  startSlew(share, 1, now);
}

/** Longer polls while the offset stays within the jitter (appendix A.5.5.6). */
function adjustPoll(): void {
  const poll = steering().poll;
  if (abs(loopOffset) < POLL_GATE * jitter) {
    pollCount += poll;
    if (pollCount <= POLL_LIMIT) return;
    pollCount = poll < maxPoll ? 0 : POLL_LIMIT;
    steering().poll = min(poll + 1, maxPoll);
  } else {
    pollCount -= poll << 1;
    if (pollCount >= -POLL_LIMIT) return;
    pollCount = poll > minPoll ? 0 : -POLL_LIMIT;
    steering().poll = max(poll - 1, minPoll);
  }
}
