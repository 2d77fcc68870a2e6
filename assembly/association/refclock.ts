// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A reference clock as a source: GPS, PPS, shared memory (RFC 5905 §7.3's stratum 0, which makes us stratum 1).
 *
 *   refclockSample(i, …), refclockPulse(i, …) ──▶ kept, or why it was refused
 *   refclockTimer(i, now) ──▶ TIMER: call it again then;  STEER: the samples of the interval became one: obey the steering
 *
 * There are no packets, hence no packet tests: drivers judge what they read. The samples of one poll interval, said in
 * terms of the clock as it runs now (ledger.ts), become one measurement: the mean of the middle three fifths, so that
 * stray ones cost nothing. Their spread is the measurement's dispersion; what the driver itself is unsure of stands in
 * the root dispersion, as no averaging takes that away.
 *
 * A pulse (PPS) says where a second begins and not which. refclock-number.ts numbers it by another clock, or by ours.
 * What told the time for long is trusted more than a jump by whole seconds: a receiver that loses count (by a second, by a
 * week) makes its clock hold over and not jump. Only when it has said the same for five minutes it is believed.
 * Silence is a state: the clock holds over, its bound growing, until `holdover` has passed; then the source is no more.
 *
 * Refuses to read devices and to know what a sample was made from. Tested in tests/simulation/refclock.test.ts and
 * hosts/common/client/refclock-runner.test.ts.
 */

import { associationClose, associationOpen } from "./association";
import { revive } from "./belief";
import { ACTION_STEER, ACTION_TIMER, Association, UNREACHABLE_AFTER, action, associationAt } from "./state";
import { reckon, slewRate, steering } from "../discipline/clock";
import { Moment, bridged, keepMoment, movedSince } from "../discipline/ledger";
import { Measurement, measurementAt } from "../discipline/measurement";
import { SOURCES, secondsBetween, sourceAt, toInterval, toSeconds } from "../discipline/memory";
import { disciplineRemoveSource, disciplineSample } from "../discipline/index";
import { Interval, Timestamp, intervalFromSeconds } from "../proto/timestamp";

/** What became of a sample. */
export const SAMPLE_TAKEN: i32 = 0;
/** No such clock, or the reference says that it is unsynchronised. */
export const SAMPLE_UNFIT: i32 = 1;
/** Of a pulse: nobody knows which second it begins. */
export const SAMPLE_UNNUMBERED: i32 = 2;
/** Of a pulse: the clock that numbers it lies too near the middle between two seconds. */
export const SAMPLE_AMBIGUOUS: i32 = 3;
/** The last measurement lies whole seconds off all that this clock said before. */
export const SAMPLE_DISPUTED: i32 = 4;

// Options of refclockOpen.
/** It numbers the seconds of others, and has no say itself. */
export const REFCLOCK_NOSELECT: i32 = 1;
/** Where it is right, only it and others that are preferred steer the clock. */
export const REFCLOCK_PREFER: i32 = 2;

/** As many reference clocks can be followed at a time. */
export const REFCLOCKS: i32 = 16;
/** Samples kept of each: a minute of pulses; of more in one interval the newest count. */
export const READINGS: i32 = 64;
/** log2 s of the intervals until four measurements are in and the clock has a vote. */
const BURST_POLL: i32 = 0;
const BURST: i32 = 4;
/** log2 s; a reference clock costs no packets, and longer intervals only make the steering late. */
const LONGEST_POLL: i32 = 10;
/** Without a limit of its own a silent clock counts for so many intervals, as any source does. */
const HOLDOVER_POLLS: u64 = 8;
/** sd of the middle three fifths of a normal distribution, in its sd. */
const MIDDLE_SD: f64 = 0.463;
/** Their mean's sd beside that of the mean of all. */
const MIDDLE_LOSS: f64 = 1.1;
/** The discipline takes a dispersion for the width of a box, whose sd is a √12th of it (noise.ts). */
const BOX_SDS: f64 = 3.4641016151377544;
/** s; samples of one interval that scatter more contradict each other: some are of another second, or week. */
const CONTRADICTION: f64 = 0.25;
/** s that a jump by whole seconds has to last to be believed. */
const DISPUTE: f64 = 300;
/** s; our clock by itself is not trusted for longer than this to know the second. */
const MEMORY: f64 = 3600;
const SECOND: Interval = 1 << 32;
/** Below four the spread says nothing. */
const FEWEST_FOR_SPREAD: i32 = 4;

/** One sample, and the ledger's sums when it was taken in. */
@unmanaged
export class Reading extends Moment {
  /** On the monotonic clock, when it was taken. */
  taken: u64;
  /** How far the reference was ahead of our clock then. */
  offset: Interval;
}

/** What is known of one reference clock beside its association. Read by hosts through the exported REFCLOCK_* offsets. */
@unmanaged
export class Refclock {
  /** Which ring of readings is its own, from 1; 0: it is no reference clock. */
  slot: u8;
  poll: i8;
  options: u8;
  stratum: u8;
  /** Of the newest sample that was used, and of the one that comes next. */
  leap: i32;
  claim: i32;
  /** Source that numbers its pulses; -1: our own clock does. */
  lock: i32;
  /** Readings held, where the next goes, and how many came since the last measurement. */
  held: i32;
  next: i32;
  fresh: i32;
  /** Measurements since it was opened or the clock was disturbed, and since it last came back. */
  measured: i32;
  burst: i32;
  /** What became of the last sample. */
  verdict: i32;
  /** Added to what the reference says. */
  offset: Interval;
  delay: Interval;
  /** The greatest error that the driver declared in this interval. */
  error: Interval;
  /** How long it counts when it is silent, 2^-32 s; and since when it is. */
  holdover: u64;
  heard: u64;
  /** Since when its measurements jump by whole seconds; 0: they do not. */
  disputed: u64;
  /** sd of one sample, s, as the intervals' spreads tell it; 0: not known yet. */
  noise: f64;
  /** The last measurement, and its bound: all that is known of one that has no say. */
  last: Interval;
  bound: Interval;
}

const refclocksAt: usize = memory.data(SOURCES * offsetof<Refclock>(), 8);
const readingsAt: usize = memory.data(REFCLOCKS * READINGS * offsetof<Reading>(), 8);
/** Offsets of one interval in order, and the readings that they are of. */
const sorted: usize = memory.data(READINGS * 8, 8);
const order: usize = memory.data(READINGS * 8, 8);

export function refclockAt(index: i32): Refclock {
  return changetype<Refclock>(refclockOut(index));
}

/** Address of what is known of reference clock `index`. */
export function refclockOut(index: i32): usize {
  return refclocksAt + <usize>(index & (SOURCES - 1)) * offsetof<Refclock>();
}

/** The reading taken `age` readings ago. */
export function readingBack(clock: Refclock, age: i32): Reading {
  const ring = readingsAt + <usize>(clock.slot - 1) * READINGS * offsetof<Reading>();
  return changetype<Reading>(ring + <usize>((clock.next - 1 - age) & (READINGS - 1)) * offsetof<Reading>());
}

function freeSlot(): u8 {
  for (let slot: u8 = 1; slot <= <u8>REFCLOCKS; slot++) {
    let taken = false;
    for (let index = 0; index < SOURCES; index++) if (refclockAt(index).slot == slot) taken = true;
    if (!taken) return slot;
  }
  return 0;
}

/**
 * Source `index` is a reference clock that becomes a measurement every 2^poll s. 0 when there are too many. Its stratum is
 * 0 where it is the origin of time. Call refclockTimer at once.
 */
export function refclockOpen(index: i32, poll: i32, stratum: i32, options: i32): i32 {
  const clock = refclockAt(index);
  clock.slot = 0;
  const slot = freeSlot();
  if (slot == 0) return 0;
  const shortest = max(0, min(poll, LONGEST_POLL));
  associationOpen(index, 4, shortest, shortest);
  memory.fill(changetype<usize>(clock), 0, offsetof<Refclock>());
  clock.slot = slot;
  clock.poll = <i8>shortest;
  clock.stratum = <u8>max(0, min(stratum, 15));
  clock.options = <u8>options;
  clock.lock = -1;
  clock.holdover = HOLDOVER_POLLS << (32 + shortest);
  markSource(clock, index);
  return 1;
}

/** What is added to what it says, the whole delay of its way here (half of it is doubt), how long it holds over (0: 8 polls). */
export function refclockTune(index: i32, offset: Interval, delay: Interval, holdover: Interval): void {
  const clock = refclockAt(index);
  clock.offset = offset;
  clock.delay = max<i64>(delay, 0);
  if (holdover > 0) clock.holdover = <u64>holdover;
}

/** Its pulses are numbered by reference clock `lock`; -1: by our own clock once that is known well enough. */
export function refclockLock(index: i32, lock: i32): void {
  refclockAt(index).lock = lock < 0 ? -1 : lock & (SOURCES - 1);
}

export function refclockClose(index: i32): void {
  refclockAt(index).slot = 0;
  associationClose(index);
}

/** Our clock read `received` when the reference said `reference`; that was at `taken`, and is told at `now`. */
export function refclockSample(index: i32, reference: Timestamp, received: Timestamp, taken: u64, now: u64): i32 {
  const clock = refclockAt(index);
  if (clock.slot == 0) return SAMPLE_UNFIT;
  return keepReading(clock, index, <i64>(reference - received) + clock.offset, taken, now);
}

/** What the driver says of the samples that follow: how wrong they may be, and their leap indicator. 3: do not use them. */
export function refclockQuality(index: i32, error: Interval, leap: i32): void {
  const clock = refclockAt(index);
  // An interval is as good as its worst sample.
  clock.error = clock.fresh == 0 ? max<i64>(error, 0) : max<i64>(clock.error, error);
  clock.claim = leap & 3;
}

/** A sample that the driver, or the numbering, refused. */
export function refuseReading(clock: Refclock, index: i32, verdict: i32): i32 {
  clock.verdict = verdict;
  associationAt(index).unfit += 1;
  return verdict;
}

/** Keep a sample of `offset` taken at `taken`. */
export function keepReading(clock: Refclock, index: i32, offset: Interval, taken: u64, now: u64): i32 {
  if (clock.claim == 3) return refuseReading(clock, index, SAMPLE_UNFIT);
  clock.leap = clock.claim;
  reckon(now);
  clock.next = (clock.next + 1) & (READINGS - 1);
  const reading = readingBack(clock, 0);
  keepMoment(reading, now);
  reading.taken = taken;
  // Since it was taken the slew has taken its part of the offset away.
  reading.offset = offset - intervalFromSeconds(slewRate() * secondsBetween(taken, now));
  clock.held = min(clock.held + 1, READINGS);
  clock.fresh = min(clock.fresh + 1, READINGS);
  clock.verdict = SAMPLE_TAKEN;
  associationAt(index).sent += 1;
  return SAMPLE_TAKEN;
}

/** The interval is over: one measurement of its samples. */
export function refclockTimer(index: i32, now: u64): i32 {
  const clock = refclockAt(index);
  const association = associationAt(index);
  if (clock.slot == 0 || !association.active) return 0;
  association.reach <<= 1;
  // A disturbed clock (clockwatch.ts) has forgotten all, the number of the second, too.
  if (association.attempts == 0) clock.measured = clock.burst = 0;
  association.attempts += 1;
  if (clock.heard == 0) clock.heard = now;
  const told = measure(clock, now) && !disputes(clock, association, index, now);
  clock.fresh = 0;
  if (told) tell(clock, association, index, now);
  else if (now - clock.heard >= clock.holdover) lose(clock, association, index);
  const poll = clock.burst < BURST ? min(BURST_POLL, <i32>clock.poll) : <i32>clock.poll;
  association.hostPoll = <i8>poll;
  action.timer = now + (<u64>1 << (32 + poll));
  return told && (clock.options & REFCLOCK_NOSELECT) == 0 ? ACTION_TIMER | ACTION_STEER : ACTION_TIMER;
}

/** Silent for longer than it may hold over: whoever else there is takes over, or nobody. */
function lose(clock: Refclock, association: Association, index: i32): void {
  if (association.silent >= UNREACHABLE_AFTER) return;
  clock.burst = 0;
  association.silent = UNREACHABLE_AFTER;
  disciplineRemoveSource(index);
}

/** Fill the one Measurement from the interval's samples; false when there are none, or they contradict each other. */
function measure(clock: Refclock, now: u64): bool {
  const count = sortFresh(clock);
  if (count == 0) return false;
  const middle = count < 3 ? count : count == 3 ? 1 : (count * 3) / 5;
  const from = (count - middle) / 2;
  const first = load<i64>(sorted + (<usize>from << 3));
  let sum: f64 = 0;
  let squares: f64 = 0;
  let ages: f64 = 0;
  for (let place = from; place < from + middle; place++) {
    const apart = toSeconds(load<i64>(sorted + (<usize>place << 3)) - first);
    sum += apart;
    squares += apart * apart;
    ages += secondsBetween(changetype<Reading>(<usize>load<u64>(order + (<usize>place << 3))).taken, now);
  }
  const mean = sum / <f64>middle;
  const variance = max(squares / <f64>middle - mean * mean, 0);
  if (variance > CONTRADICTION * CONTRADICTION) return false;
  learnNoise(clock, count, middle, variance);
  const measurement = changetype<Measurement>(measurementAt);
  measurement.offset = first + toInterval(mean);
  measurement.when = now - <u64>max<i64>(toInterval(ages / <f64>middle), 0);
  measurement.dispersion = toInterval(BOX_SDS * MIDDLE_LOSS * clock.noise / sqrt(<f64>count)) + 1;
  return true;
}

/** The whole second nearest to an interval. */
export function nearestSecond(interval: Interval): Interval {
  return (interval + SECOND / 2) & ~(SECOND - 1);
}

/** Is the Measurement to be left out, as it is of another second than all before? What holds for long begins anew. */
function disputes(clock: Refclock, association: Association, index: i32, now: u64): bool {
  if (!contradicts(clock, index, changetype<Measurement>(measurementAt).offset, now)) {
    clock.disputed = 0;
    return false;
  }
  clock.verdict = SAMPLE_DISPUTED;
  association.unfit += 1;
  if (clock.disputed == 0) clock.disputed = now;
  if (secondsBetween(clock.disputed, now) < DISPUTE) return true;
  clock.disputed = 0;
  clock.measured = clock.burst = 0;
  association.silent = UNREACHABLE_AFTER;
  disciplineRemoveSource(index);
  return false;
}

function contradicts(clock: Refclock, index: i32, offset: Interval, now: u64): bool {
  if (clock.measured < BURST || !(secondsBetween(clock.heard, now) < MEMORY)) return false;
  const source = sourceAt(index);
  // Silent for too long to be a source, it still set our clock, which does not lose a second in an hour.
  const believed = source.samples >= BURST ? source.offset + source.frequency * secondsBetween(source.when, now) : steering().remaining;
  return nearestSecond(offset - toInterval(believed)) != 0;
}

/** The spread of many intervals tells what one sample is worth; before there is one, what the driver declares. */
function learnNoise(clock: Refclock, count: i32, middle: i32, variance: f64): void {
  if (count >= FEWEST_FOR_SPREAD) {
    const freedom = <f64>middle / <f64>max(middle - 1, 1);
    const sd = sqrt(variance * freedom) / MIDDLE_SD;
    clock.noise = clock.noise > 0 ? clock.noise + (sd - clock.noise) / 8 : sd;
  }
  if (!(clock.noise > 0)) clock.noise = toSeconds(clock.error);
}

/** The interval's readings by their offsets, in terms of the clock as it runs now; how many there are. */
function sortFresh(clock: Refclock): i32 {
  let count = 0;
  for (let age = 0; age < clock.fresh; age++) {
    const reading = readingBack(clock, age);
    if (!bridged(reading)) continue;
    const offset = reading.offset - movedSince(reading);
    let place = <usize>count << 3;
    for (; place > 0 && load<i64>(sorted + place - 8) > offset; place -= 8) {
      store<i64>(sorted + place, load<i64>(sorted + place - 8));
      store<u64>(order + place, load<u64>(order + place - 8));
    }
    store<i64>(sorted + place, offset);
    store<u64>(order + place, <u64>changetype<usize>(reading));
    count += 1;
  }
  return count;
}

/** The one Measurement, which measure() has filled, to the discipline. */
function tell(clock: Refclock, association: Association, index: i32, now: u64): void {
  association.used += 1;
  clock.measured = min(clock.measured + 1, BURST);
  clock.burst = min(clock.burst + 1, BURST);
  association.reach |= 1;
  clock.heard = now;
  revive(association, index);
  markSource(clock, index);
  const measurement = changetype<Measurement>(measurementAt);
  clock.last = measurement.offset;
  clock.bound = clock.error + clock.delay / 2 + measurement.dispersion;
  if (clock.options & REFCLOCK_NOSELECT) return;
  measurement.told = now;
  measurement.delay = clock.delay;
  measurement.rootDelay = 0;
  measurement.rootDispersion = clock.error;
  measurement.stratum = clock.stratum;
  measurement.leap = clock.leap;
  disciplineSample(index);
}

/** A source that begins anew has forgotten whether it is preferred. */
function markSource(clock: Refclock, index: i32): void {
  sourceAt(index).preferred = clock.options & REFCLOCK_PREFER ? 1 : 0;
}
