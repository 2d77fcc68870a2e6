// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The delay's floor and spread: what a path takes when nobody waits, and how long packets usually wait.
 *
 * The floor is the least delay since it was last restarted. A route that becomes longer shows when even the least of
 * the last delays lies far above: then only those count. A route that becomes shorter shows at once.
 * Tested in tests/simulation/trouble.test.ts ("delays").
 */

import { HISTORY, Source, pastBack, secondsBetween } from "./memory";

/**
 * A route is believed to have become longer when the least of the last 8, 24 or 64 delays lies so many mean excesses
 * above the floor. With two exponential queues or a Gaussian delay each of these happens by chance less than once in
 * 10^6 samples. Eight give a poor mean: there the greater of theirs and of the usual one counts, and where there are enough
 * before them to know the usual one without them (they would raise it, and so excuse themselves) it may be a little less.
 */
const FEW: i32 = 8;
const FEW_EXCESSES: f64 = 2.5;
const FEW_EXCESSES_KNOWN: f64 = 2;
/** Samples before those few that make the usual mean known. */
const ENOUGH: i32 = 24;
const SOME: i32 = 24;
const SOME_EXCESSES: f64 = 1.3;
const MANY: i32 = HISTORY;
const MANY_EXCESSES: f64 = 0.9;
/** Excesses beyond this many medians are spikes and say nothing about the usual waiting. */
const SPIKE_MEDIANS: f64 = 6;
/** Of delays as coarse as their median half and more may equal the least: then beyond so many upper quartiles. */
const SPIKE_QUARTILES: f64 = 3;
/** A floor is never trusted more than the least of a thousand delays. */
const FLOOR_MEMORY: i32 = 1000;

/**
 * The eighth part of all contradictions may be due to changes of the frequency or to stray samples; of fewer than eight
 * the greatest counts.
 */
const TOLERATED_SHIFT: i32 = 3;
/** What an oscillator may add to the second difference of offsets over a span, s/s per √s: a PC's wander. */
const WANDER: f64 = 1e-8;

/** By how much the floor MUST lie lower than the least delay, for the offsets to be possible; of the source learned last. */
let contradiction: f64 = 0;

/** Excesses (then contradictions) of the samples that count, ascending. */
const sorted: usize = memory.data(HISTORY * 8, 8);

function sortedAt(place: i32): f64 {
  return load<f64>(sorted + (<usize>place << 3));
}

/** Takes in the newest sample's delay. True when the floor fell by enough for the past to be seen anew. */
export function learnDelay(source: Source): bool {
  const delay = pastBack(source, 0).delay;
  const before = source.floor;
  source.floorSamples = min(source.floorSamples + 1, FLOOR_MEMORY);
  if (source.floorSamples == 1 || delay < before) source.floor = delay;
  restartWhenHigher(source, FEW, FEW_EXCESSES);
  restartWhenHigher(source, SOME, SOME_EXCESSES);
  restartWhenHigher(source, MANY, MANY_EXCESSES);
  measureDelays(source);
  return before - source.floor > 0.05 * source.excess;
}

/** Finds anew how much the delays of the samples remembered vary. */
export function measureDelays(source: Source): void {
  measureSpread(source);
  heedOffsets(source);
}

/** Restarts the floor when the least of the last `count` delays lies more than `excesses` of their mean excess above. */
function restartWhenHigher(source: Source, count: i32, excesses: f64): void {
  if (source.floorSamples <= count || source.samples < count) return;
  let least = Infinity;
  let sum: f64 = 0;
  for (let age = 0; age < count; age++) {
    const delay = pastBack(source, age).delay;
    least = min(least, delay);
    sum += delay;
  }
  const own = (sum / <f64>count - least) / (1 - 0.5 * rayleigh(count));
  const higher = least - source.floor;
  if (count > FEW) {
    if (!(higher > excesses * own)) return;
  } else if (!(higher > excesses * max(own, source.excess))) {
    const usual = excessBefore(source, count);
    if (!(higher > FEW_EXCESSES_KNOWN * max(own, usual))) return;
  }
  source.floor = least;
  source.floorSamples = count;
}

/** Mean excess of the samples before the last `count`; Infinity when they are too few. */
function excessBefore(source: Source, count: i32): f64 {
  const remembered = min(min(source.floorSamples, source.samples), HISTORY);
  if (remembered - count < ENOUGH) return Infinity;
  let sum: f64 = 0;
  for (let age = count; age < remembered; age++) sum += pastBack(source, age).delay - source.floor;
  return sum / <f64>(remembered - count);
}

/** Mean and variance of the excess over the samples since the floor was restarted. */
function measureSpread(source: Source): void {
  // Delays outlive a jump of the offset: what the ring holds since the floor's restart counts.
  const count = min(source.floorSamples, HISTORY);
  for (let age = 0; age < count; age++) insert(pastBack(source, age).delay - source.floor, age);
  const cut = spikesBeyond(count, pastBack(source, 0).dispersion);
  let sum: f64 = 0;
  let squares: f64 = 0;
  for (let place = 0; place < count; place++) {
    const excess = min(sortedAt(place), cut);
    sum += excess;
    squares += excess * excess;
  }
  const mean = sum / <f64>count;
  // The least of n delays lies above the true floor: for two exponential queues of mean J each by J·√(π/2n).
  source.excess = mean / (1 - 0.5 * rayleigh(count)) + 1e-9;
  // Before the fourth sample the spread is a guess: an eighth of the delay.
  if (count < 4) source.excess = max(source.excess, source.floor / 8);
  source.excessVariance = max((squares / <f64>count - mean * mean) * <f64>count / <f64>max(count - 1, 1), 1e-18);
}

/** Excesses beyond this are spikes. Among a few a spike cannot be told from the rest. */
function spikesBeyond(count: i32, dispersion: f64): f64 {
  if (count < FEW) return Infinity;
  const median = sortedAt(count >> 1);
  const quartile = sortedAt(count - 1 - (count >> 2));
  return max(median > dispersion ? SPIKE_MEDIANS * median : max(SPIKE_MEDIANS * median, SPIKE_QUARTILES * quartile), 1e-9);
}

/** √(π/2n), kept below the value at which the correction of so few samples would explode. */
function rayleigh(count: i32): f64 {
  return min(sqrt(1.5707963267948966 / <f64>count), 1.2);
}

/**
 * The delays alone may seem to say more than they do: coarse ones may all be alike by chance. But |error| <= s/2 of each
 * sample, and no clock runs zigzag: offsets that differ by more than that tell how far below the least delay the floor is.
 */
function heedOffsets(source: Source): void {
  const count = min(source.floorSamples, min(source.samples, HISTORY)) - 2;
  contradiction = 0;
  if (count < 1) return;
  for (let age = 0; age < count; age++) insert(contradictionAt(source, age), age);
  contradiction = sortedAt(count - 1 - (count >> TOLERATED_SHIFT));
  source.excess = max(source.excess, contradiction);
  source.excessVariance = max(source.excessVariance, contradiction * contradiction / 3);
}

/** By how much the middle one of three successive offsets is farther from the line through the others than is possible. */
function contradictionAt(source: Source, age: i32): f64 {
  const last = pastBack(source, age);
  const middle = pastBack(source, age + 1);
  const first = pastBack(source, age + 2);
  const span = secondsBetween(first.when, last.when);
  const share = span > 0 ? secondsBetween(first.when, middle.when) / span : 0.5;
  // Times that run backwards tell nothing.
  if (!(share >= 0 && share <= 1)) return 0;
  const miss = abs(middle.offset - first.offset - share * (last.offset - first.offset));
  const waited = middle.delay + (1 - share) * first.delay + share * last.delay - 2 * source.floor;
  const rounded = middle.dispersion + (1 - share) * first.dispersion + share * last.dispersion;
  const excused = waited / 2 + rounded / 2 + WANDER * span * sqrt(max(span, 0));
  const beyond = miss - excused;
  return beyond > 0 && beyond < 1e10 ? beyond : 0;
}

/**
 * sd of the box's edges: half of how far the floor may lie below the least delay seen, 1/(2√n) of J = excess/2; of the
 * source that learnDelay was told of last.
 */
export function edgeOf(source: Source): f64 {
  const count = <f64>max(source.floorSamples, 1);
  // The spread of so few delays is itself uncertain: twice as much of four, as good as known of twenty.
  const unsure = 1 + 16 / (count * count);
  return max(unsure * source.excess / (4 * sqrt(count)), contradiction / 2);
}

function insert(value: f64, count: i32): void {
  let place = count;
  while (place > 0 && sortedAt(place - 1) > value) {
    store<f64>(sorted + (<usize>place << 3), sortedAt(place - 1));
    place--;
  }
  store<f64>(sorted + (<usize>place << 3), value);
}
