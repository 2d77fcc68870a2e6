// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The delay's floor and spread: what a path takes when nobody waits, and how long packets usually wait.
 *
 * The floor is the least delay since it was last restarted. A route that becomes longer shows when even the least of
 * the last eight delays lies far above: then only those eight count. A route that becomes shorter shows at once.
 * Tested in tests/simulation ("keeps its accuracy when the route gets longer").
 */

import { HISTORY, Source, pastBack } from "./memory";

/** Delays that must all lie high before the route is believed to have changed (RFC 5905's clock filter has 8 stages). */
const RESTART_SAMPLES: i32 = 8;
/** …by how many mean excesses. Exponential jitter does that once in 10^11 samples; see facts/discipline.md, idea d. */
const RESTART_EXCESSES: f64 = 2.5;
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
  restartWhenHigher(source);
  measureSpread(source);
  return before - source.floor > 0.05 * source.excess;
}

function restartWhenHigher(source: Source): void {
  if (source.floorSamples <= RESTART_SAMPLES) return;
  let least = Infinity;
  for (let age = 0; age < RESTART_SAMPLES; age++) least = min(least, pastBack(source, age).delay);
  if (!(least - source.floor > RESTART_EXCESSES * source.excess)) return;
  source.floor = least;
  source.floorSamples = RESTART_SAMPLES;
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
