// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source of the estimator: its past samples, its delay floor, its bank of filters.
 *
 * The past is kept in terms of the clock as it runs now. While the source is young (64 samples) it is played again
 * from the start whenever a lower delay teaches what the earlier samples were worth; later a sample is used once.
 * A sample that cannot be is not believed until two more say the same, however young the source is.
 * Tested in tests/simulation/table.test.ts.
 */

import { shiftBank, startBank, updateBank, wanderVariance } from "./bank";
import { edgeOf, learnDelay, measureDelays } from "./floor";
import { HISTORY, Past, Source, pastAt, pastBack, secondsBetween } from "./memory";
import { regard, regardPath } from "./noise";

/** Samples after which the spread of the delay is known well enough not to play the past again each time. */
const YOUNG: i32 = 8;
/** The bank's wanders lie a factor of four and more apart, so that a wander between two of them may be twice what it says. */
const WANDER_DOUBT: f64 = 2;
/** Samples that a spread of delays can be guessed from. */
const FEWEST: i32 = 4;
/** Samples in a row on one side of all that was believed before the source's offset is taken to have jumped. */
const JUMP_SAMPLES: i32 = 3;

/** Takes in one sample, already in seconds. */
export function learn(source: Source, when: u64, offset: f64, delay: f64, dispersion: f64): void {
  const elapsed = source.samples > 0 ? max(secondsBetween(source.when, when), 0) : 0;
  const strangers = abs(source.surprises);
  const usual = source.excess;
  const usualVariance = source.excessVariance;
  remember(source, when, offset, delay, dispersion);
  let lower = learnDelay(source);
  if (source.samples > 1 && surprising(source, elapsed, usual)) {
    // Believed only when others say the same: one alone would bend the frequency, too.
    if (abs(source.surprises) < JUMP_SAMPLES) {
      // It contradicts the others, which must not be taken to say that delays tell little: that would excuse it.
      source.excess = usual;
      source.excessVariance = usualVariance;
      return;
    }
    restart(source, growth(source));
    measureDelays(source);
  } else if (strangers > 0) {
    disown(source, strangers);
    measureDelays(source);
    lower = true;
  }
  if (source.samples <= YOUNG || (lower && source.samples <= HISTORY)) replay(source);
  else take(source, pastBack(source, 0), elapsed);
  source.when = when;
  // Absurd samples (offsets of decades, times that run backwards) may leave nothing usable: then start over.
  if (!sane(source)) forget(source);
}

/** Puts a sample into the ring of past samples. */
export function remember(source: Source, when: u64, offset: f64, delay: f64, dispersion: f64): void {
  const past = pastAt(source, source.next);
  past.when = when;
  past.offset = offset;
  past.delay = delay;
  past.dispersion = dispersion;
  source.next = (source.next + 1) & (HISTORY - 1);
  source.samples = min(source.samples + 1, i32.MAX_VALUE - 1);
}

/** Does the newest sample lie outside of all that is possible, where delays vary by `excess`? Counts those in a row, by side. */
function surprising(source: Source, elapsed: f64, excess: f64): bool {
  const past = pastBack(source, 0);
  const miss = past.offset - source.offset - source.frequency * elapsed;
  const sd = sqrt(varianceAfter(source, elapsed) + WANDER_DOUBT * WANDER_DOUBT * wanderVariance(source, elapsed));
  const waited = max(past.delay - source.floor, 0);
  const possible = waited / 2 + 4 * sd + 3 * excess + past.dispersion + unproven(source, elapsed, excess);
  if (!(abs(miss) > possible)) {
    source.surprises = 0;
    return false;
  }
  source.surprises = miss > 0 ? max(source.surprises, 0) + 1 : min(source.surprises, 0) - 1;
  return true;
}

/**
 * What else must be held possible of the newest sample while there are few. Before there are four the floor is unknown, so
 * that nothing holds but half of all the delay and what no oscillator exceeds; later the spread of the delays is doubted,
 * and whether the frequency is really so unlike what was known of it before.
 */
function unproven(source: Source, elapsed: f64, excess: f64): f64 {
  const before = source.samples - 1 - abs(source.surprises);
  if (before > YOUNG) return 0;
  if (before < FEWEST) return max(source.floor, 0) + GREATEST_JUMP * elapsed;
  const count = <f64>before;
  return (48 * excess) / (count * count) + 2 * sqrt(source.priorVarFrequency) * elapsed;
}

/** The `count` samples before the newest were strange, and nobody has said the same: as if they had not come. */
function disown(source: Source, count: i32): void {
  const newest = pastBack(source, 0);
  source.next = (source.next - count) & (HISTORY - 1);
  memory.copy(changetype<usize>(pastBack(source, 0)), changetype<usize>(newest), offsetof<Past>());
  source.samples = max(source.samples - count, 1);
  source.floorSamples = max(source.floorSamples - count, 1);
}

/**
 * s/s by which the last samples move away from what was believed: a step keeps its distance, a frequency does not. What
 * the samples' own errors may feign in so short a time does not count.
 */
function growth(source: Source): f64 {
  const first = pastBack(source, JUMP_SAMPLES - 1);
  const last = pastBack(source, 0);
  const span = secondsBetween(first.when, last.when);
  if (!(span > 0)) return 0;
  const waited = max(first.delay - source.floor, 0) + max(last.delay - source.floor, 0);
  const feigned = (waited + first.dispersion + last.dispersion) / 2 + source.excess;
  return max(abs(last.offset - first.offset - source.frequency * span) - feigned, 0) / span;
}

/** Keeps the frequency, less sure of it, and the samples since the jump. */
function restart(source: Source, change: f64): void {
  source.samples = JUMP_SAMPLES;
  source.surprises = 0;
  source.priorFrequency = source.frequency;
  const doubt = JUMP_FREQUENCY + min(change, GREATEST_JUMP);
  source.priorVarFrequency = source.varFrequency + doubt * doubt;
}

/** A belief in numbers: finite, and with positive variances. NaN fails every comparison. */
function sane(source: Source): bool {
  const finite = abs(source.offset) < 1e10 && abs(source.frequency) < 1;
  return finite && source.varOffset > 0 && source.varFrequency > 0 && source.varOffset < 1e30;
}

/** All samples count as lost; the frequency is kept, a little less sure. */
export function forget(source: Source): void {
  if (sane(source)) {
    source.priorFrequency = source.frequency;
    source.priorVarFrequency = source.varFrequency + JUMP_FREQUENCY * JUMP_FREQUENCY;
  } else {
    unlearn(source);
  }
  source.samples = 0;
  source.floorSamples = 0;
  source.surprises = 0;
  if (!isDefined(PAGE)) source.peerWhen = 0;
}

/** Nothing absurd is left to be read: the next sample begins with what was known of the frequency before. */
function unlearn(source: Source): void {
  source.offset = 0;
  source.frequency = source.priorFrequency;
  source.varOffset = 0;
  source.covariance = 0;
  source.varFrequency = source.priorVarFrequency;
}

/** What a step of the offset, or an hour asleep, may do to the frequency besides: 1 ppm. */
const JUMP_FREQUENCY: f64 = 1e-6;
/** No oscillator that can be disciplined is off by more, s/s. */
const GREATEST_JUMP: f64 = 1e-3;

/** Variance of the offset `elapsed` seconds after the last sample, without wander. */
export function varianceAfter(source: Source, elapsed: f64): f64 {
  return source.varOffset + elapsed * (2 * source.covariance + elapsed * source.varFrequency);
}

/** Plays all samples that are remembered. */
function replay(source: Source): void {
  const count = min(source.samples, HISTORY);
  const first = pastBack(source, count - 1);
  const doubt = (first.delay - source.floor) / 2 + source.excess + first.dispersion;
  startBank(source, first.offset, doubt * doubt);
  let before = first.when;
  for (let age = count - 2; age >= 0; age--) {
    const past = pastBack(source, age);
    take(source, past, max(secondsBetween(before, past.when), 0));
    before = past.when;
  }
}

function take(source: Source, past: Past, elapsed: f64): void {
  regardPath(source.excess, source.excessVariance / 4, edgeOf(source));
  regard(past.offset, max(past.delay - source.floor, 0), past.dispersion);
  updateBank(source, elapsed);
}

/** The clock has been moved by `offset` and made faster by `frequency` at `now`: past and beliefs move along. */
export function shiftSource(source: Source, offset: f64, frequency: f64, now: u64): void {
  const count = min(source.samples, HISTORY);
  for (let age = 0; age < count; age++) {
    const past = pastBack(source, age);
    past.offset -= offset - frequency * secondsBetween(past.when, now);
  }
  // Beliefs hold for the time of the last sample: seen from there a faster clock was behind.
  shiftBank(source, offset - frequency * secondsBetween(source.when, now), frequency);
  source.priorFrequency -= frequency;
  if (!isDefined(PAGE)) source.peerOffset -= offset - frequency * secondsBetween(source.peerWhen, now);
}
