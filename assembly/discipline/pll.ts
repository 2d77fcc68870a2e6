// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock discipline of RFC 5905 §11.3 and §12: a phase-locked and a frequency-locked loop, and its state machine.
 *
 *   NSET ──first offset──▶ FREQ ──stepout──▶ SYNC ◀──▶ SPIK       FSET (frequency from file) ──▶ SYNC
 *
 * NSET  nothing known        FREQ  waiting to measure the frequency directly
 * FSET  frequency from file  SYNC  loops closed           SPIK  an offset beyond the step threshold is being doubted
 *
 * Differs from the RFC where the actuator allows: the offsets found in NSET and at the end of FREQ are slewed away at once
 * instead of by the loop, so that the clock is within a millisecond in minutes. Tested in tests/simulation.
 */

import { filterClock } from "./clockfilter";
import { reckon, startSlew, startStep, steering, turnFrequency } from "./clock";
import { Past, Source, secondsBetween, toInterval } from "./memory";
import { maxPoll, minPoll } from "./pace";
import { selectClock, systemOffset, systemSpread, systemWhen } from "./selection";
import { remember } from "./source";

const NSET: i32 = 0;
const FSET: i32 = 1;
const SPIK: i32 = 2;
const FREQ: i32 = 3;
const SYNC: i32 = 4;

/** Constants of RFC 5905 §11.3 and appendix A: step and panic thresholds (s), loop gains, Allan intercept (s). */
const STEP_THRESHOLD: f64 = 0.128;
const PANIC_THRESHOLD: f64 = 1000;
const PLL: f64 = 2;
const FLL: f64 = 18;
const AVERAGE: f64 = 4;
const ALLAN: f64 = 2048;
/** WATCH, s: how long an outlier is doubted. The RFC has 900. */
const STEPOUT: f64 = 900;
/** Frequency is known well enough to close the loops when jitter / time is below 1 ppm: 64 µs a poll of 64 s. */
const FREQUENCY_DOUBT: f64 = 1e-6;
/** PGATE and LIMIT: poll adjustment (appendix A.5.5.6). */
const POLL_GATE: f64 = 4;
const POLL_LIMIT: i32 = 30;
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
/** What has been corrected in FREQ, so that the frequency is not derived from our own doing. */
let panicked: bool = false;

export function pllReset(frequencyKnown: bool): void {
  state = frequencyKnown ? FSET : NSET;
  loopOffset = 0;
  lastOffset = 0;
  jitter = PRECISION;
  pollCount = 0;
  updated = 0;
  panicked = false;
}

export function pllSample(source: Source, now: u64, sample: Past): void {
  remember(source, now, sample.offset, sample.delay, sample.dispersion);
  source.when = now;
  // The frequency is measured between two samples that have nothing to do with each other.
  if (!filterClock(source, state == FREQ ? updated : 0, steering().poll)) return;
  if (!selectClock(now)) return;
  const since = updated == 0 ? 0 : secondsBetween(updated, systemWhen);
  if (updated != 0 && since <= 0) return;
  update(systemOffset, since, now);
}

/** local_clock() of appendix A.5.5.6: `offset` is the system offset, `since` the seconds since the last update. */
function update(offset: f64, since: f64, now: u64): void {
  if (!(abs(offset) <= PANIC_THRESHOLD)) {
    panicked = true;
    return;
  }
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
    turnFrequency(offset / since, now);
  }
  // NSET, FSET, or the stepout is over.
  startStep(toInterval(offset), offset, now);
  steering().poll = minPoll;
  pollCount = 0;
  enter(state == NSET ? FREQ : SYNC, 0);
}

function inlier(offset: f64, since: f64, now: u64): void {
  const deviation = max(abs(offset - lastOffset), PRECISION);
  jitter = sqrt(jitter * jitter + (deviation * deviation - jitter * jitter) / AVERAGE);
  if (state == NSET) {
    startSlew(offset, 1, now);
    enter(FREQ, 0);
    return;
  }
  if (state == FREQ) {
    if (!measured(since)) return;
    turnFrequency(offset / since, now);
    startSlew(offset, 1, now);
    enter(SYNC, 0);
  } else {
    turnFrequency(state == FSET ? 0 : frequencyChange(offset, since), now);
    enter(SYNC, offset);
    amortise(now);
  }
  adjustPoll();
}

/** In FREQ: has been waited for long enough? */
function measured(since: f64): bool {
  return since >= STEPOUT || systemSpread < FREQUENCY_DOUBT * since;
}

/** rstclock(): the new state, and the offset that the loop is to amortise. */
function enter(next: i32, offset: f64): void {
  state = next;
  loopOffset = offset;
  lastOffset = offset;
  updated = systemWhen;
  steering().synchronised = next == SYNC ? 1 : steering().synchronised;
}

/** What both loops make of an offset, s/s. */
function frequencyChange(offset: f64, since: f64): f64 {
  const interval = <f64>(1 << steering().poll);
  let change: f64 = 0;
  if (interval > ALLAN / 2) {
    const gain = max(FLL - <f64>steering().poll, AVERAGE);
    change += (offset - loopOffset) / (max(since, ALLAN) * gain);
  }
  const time = 4 * PLL * interval;
  return change + (offset * min(since, ALLAN)) / (time * time);
}

/** clock_adjust() of §12: once a second a small share of the offset is slewed. */
export function pllTimer(now: u64): void {
  if (state == SYNC || state == SPIK) amortise(now);
}

function amortise(now: u64): void {
  const share = loopOffset / (PLL * min(<f64>(1 << steering().poll), ALLAN));
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
