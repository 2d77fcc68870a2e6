// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The frequency of our clock against one source, by a weighted straight line through its past samples: how the PLL/FLL
 * leaves its FREQ state (RFC 5905 §11.3 asks for a direct measurement and leaves the way open).
 *
 * Each source has its own line, so that a change of survivors cannot be taken for a change of offset. A sample's weight
 * falls with the square of its excess delay. Refuses to judge; {@link slopeDoubt} is for that.
 * Tested in tests/simulation/table.test.ts.
 */

import { HISTORY, Source, pastBack, secondsBetween } from "./memory";

/** Fewer samples make a line but no honest doubt about it; and the clock filter's stages are eight. */
const FEWEST: i32 = 8;

/** What {@link fitSlope} found: s/s, and its sd. */
export let slope: f64 = 0;
export let slopeDoubt: f64 = 0;

let floor: f64 = 0;
let usual: f64 = 0;

export function fitSlope(source: Source): void {
  const count = min(source.samples, HISTORY);
  slope = 0;
  slopeDoubt = Infinity;
  if (count < FEWEST) return;
  learnDelays(source, count);
  let weights: f64 = 0;
  let timeSum: f64 = 0;
  let offsetSum: f64 = 0;
  for (let age = 0; age < count; age++) {
    const weight = weightOf(source, age);
    weights += weight;
    timeSum += weight * timeOf(source, age);
    offsetSum += weight * pastBack(source, age).offset;
  }
  fitAround(source, count, timeSum / weights, offsetSum / weights);
}

/** The line through (time, offset), and how far its samples scatter. */
function fitAround(source: Source, count: i32, time: f64, offset: f64): void {
  let squares: f64 = 0;
  let products: f64 = 0;
  let residuals: f64 = 0;
  for (let age = 0; age < count; age++) {
    const lever = timeOf(source, age) - time;
    const height = pastBack(source, age).offset - offset;
    const weight = weightOf(source, age);
    squares += weight * lever * lever;
    products += weight * lever * height;
    residuals += weight * height * height;
  }
  if (!(squares > 0)) return;
  slope = products / squares;
  residuals = max(residuals - slope * products, 0);
  // A few samples may fit too well by luck; what their delays allow (a twelfth of the square, noise.ts) bounds that.
  const scatter = max(residuals / <f64>(count - 2), (usual * usual) / 12);
  slopeDoubt = sqrt(scatter / squares);
}

function learnDelays(source: Source, count: i32): void {
  floor = Infinity;
  let sum: f64 = 0;
  for (let age = 0; age < count; age++) {
    floor = min(floor, pastBack(source, age).delay);
    sum += pastBack(source, age).delay;
  }
  usual = max(sum / <f64>count - floor, 1e-9);
}

function weightOf(source: Source, age: i32): f64 {
  const excess = (pastBack(source, age).delay - floor) / usual;
  // Even the least delayed sample is not perfect: a third of the usual excess stays in doubt.
  const doubt = excess + 1 / 3.0;
  return 1 / (doubt * doubt);
}

function timeOf(source: Source, age: i32): f64 {
  return secondsBetween(source.when, pastBack(source, age).when);
}
