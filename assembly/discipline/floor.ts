// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The delay's floor and spread: what a path takes when nobody waits, and how long packets usually wait.
 *
 * The floor is the least delay since it was last restarted. A route that becomes longer shows when even the least of
 * the last delays lies far above: then only those count. A route that becomes shorter shows at once.
 * Tested in tests/simulation ("keeps its accuracy when the route gets longer").
 */

import { HISTORY, Source, pastBack } from "./memory";

/**
 * A route is believed to have become longer when the least of the last 8, 24 or 64 delays lies so many mean excesses
 * above the floor. With two exponential queues or a Gaussian delay each of these happens by chance less than once in
 * 10^6 samples. Eight give a poor mean: there the greater of theirs and of the usual one counts.
 */
const FEW: i32 = 8;
const FEW_EXCESSES: f64 = 2.5;
const SOME: i32 = 24;
const SOME_EXCESSES: f64 = 1.3;
const MANY: i32 = HISTORY;
const MANY_EXCESSES: f64 = 0.9;
/** Excesses beyond this many medians are spikes and say nothing about the usual waiting. */
const SPIKE_MEDIANS: f64 = 6;
/** A floor is never trusted more than the least of a thousand delays. */
const FLOOR_MEMORY: i32 = 1000;

/** Excesses of the samples that count, ascending. */
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
  measureSpread(source);
  return before - source.floor > 0.05 * source.excess;
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
  const excess = count > FEW ? own : max(own, source.excess);
  if (!(least - source.floor > excesses * excess)) return;
  source.floor = least;
  source.floorSamples = count;
}

/** Mean and variance of the excess over the samples since the floor was restarted. */
function measureSpread(source: Source): void {
  const count = min(source.floorSamples, min(source.samples, HISTORY));
  for (let age = 0; age < count; age++) insert(pastBack(source, age).delay - source.floor, age);
  const cut = max(sortedAt(count >> 1) * SPIKE_MEDIANS, 1e-9);
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

/** √(π/2n), kept below the value at which the correction of so few samples would explode. */
function rayleigh(count: i32): f64 {
  return min(sqrt(1.5707963267948966 / <f64>count), 1.2);
}

/** sd of the box's edges: half of how far the floor may lie below the least delay seen, 1/(2√n) of J = excess/2. */
export function edgeOf(source: Source): f64 {
  return source.excess / (4 * sqrt(<f64>max(source.floorSamples, 1)));
}

function insert(value: f64, count: i32): void {
  let place = count;
  while (place > 0 && sortedAt(place - 1) > value) {
    store<f64>(sorted + (<usize>place << 3), sortedAt(place - 1));
    place--;
  }
  store<f64>(sorted + (<usize>place << 3), value);
}
