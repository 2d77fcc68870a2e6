// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How wrong may one sample be? Eight answers, tried side by side; bank.ts finds out which one holds.
 *
 * A sample's delay exceeds the path's floor by s = e1 + e2, the time its packets waited on the way there and back. Its
 * offset is then wrong by u = (e1 - e2) / 2, so |u| <= s/2: the delay of each sample says how far to trust it.
 *
 *   STEADY, QUIET      u is Gaussian and does not depend on s (jitter is not queueing): R from the spread of all delays
 *   PROPORTIONAL       Gaussian with the variance of the box, s²/12
 *   BOX                all u of |u| <= s/2 are alike: exactly what independent exponential queues give
 *   LEANING ±          most of the waiting is on one side: u is e^(κu) within the box
 *
 * Each gives the probability density of a sample and the mean and variance of the offset afterwards (the belief stays
 * Gaussian: moments are matched). The box's edges are soft, as the floor is known only as well as the least of n delays,
 * and no sample is surer than its clocks' readings are fine.
 * Every model keeps a small share for samples that obey nothing at all. Refuses to know about time or frequency.
 * Tested in tests/simulation/table.test.ts.
 */

import { exponential } from "./maths";

export const STEADY: i32 = 0;
export const QUIET: i32 = 1;
export const PROPORTIONAL: i32 = 2;
export const BOX: i32 = 3;

/** Share of samples that obey no model: one in fifty. */
const STRAY: f64 = 0.02;
/** Their sd, in half the sample's excess delay and the mean excess. */
const STRAY_SPREAD: f64 = 1.5;
/** Beyond so many of them the sd itself is doubted. */
const STRAY_SDS: f64 = 3;
/** Points of the trapezoid rule over ±6 sd or the box: its error stays below a per mille of the variance. */
const POINTS: i32 = 32;
const SQRT_2PI: f64 = 2.5066282746310002;

/** The sample at hand; set by {@link regardPath} and {@link regard}. */
let measured: f64 = 0;
let half: f64 = 0;
let typical: f64 = 0;
let steady: f64 = 0;
let edge: f64 = 0;
let rounding: f64 = 0;
let strayScale: f64 = 0;

/** What {@link weigh} found. */
export let density: f64 = 0;
export let meanAfter: f64 = 0;
export let varianceAfter: f64 = 0;

/** What the source's path does to its samples: mean excess, the variance that the spread of delays gives, the edge's sd. */
export function regardPath(mean: f64, variance: f64, edgeSd: f64): void {
  typical = mean;
  steady = variance;
  edge = edgeSd;
}

/**
 * Makes ready for one sample: its offset, its excess delay `s`, and its dispersion: the greatest error of the readings
 * themselves, whatever the delay. The offset takes half of it on either side; alike between, as clocks round.
 */
export function regard(offset: f64, excess: f64, dispersion: f64): void {
  measured = offset;
  half = excess / 2;
  rounding = dispersion * dispersion / 12;
  strayScale = STRAY_SPREAD * (half + typical) + edge + dispersion;
}

/** The belief N(mean, variance) meets the sample under `model`. */
export function weigh(model: i32, mean: f64, variance: f64): void {
  if (model == STEADY) gaussian(mean, variance, steady + rounding);
  else if (model == QUIET) gaussian(mean, variance, (steady + edge * edge) / 16 + rounding);
  else if (model == PROPORTIONAL) gaussian(mean, variance, half * half / 3 + edge * edge + rounding);
  else box(mean, variance, leaning(model), softEdge(model));
  addStray(mean, variance);
}

/** κ·mean excess: 0 for the box; ±5 is four fifths of the jitter on one side, ±30 all but a thirtieth. */
function leaning(model: i32): f64 {
  if (model == BOX) return 0;
  const strength: f64 = model < 6 ? 5 : 30;
  return (model & 1 ? -strength : strength) / typical;
}

/** A linear Kalman update. */
function gaussian(mean: f64, variance: f64, noise: f64): void {
  const total = variance + noise;
  const miss = measured - mean;
  density = exponential(-0.5 * miss * miss / total) / (SQRT_2PI * sqrt(total));
  const gain = variance / total;
  meanAfter = mean + gain * miss;
  varianceAfter = variance * noise / total;
}

/**
 * How soft the edges are, in parts of the sd that n delays give for two like queues. A little more for the box, as n is
 * sometimes unlucky; less where one queue is short, for then the least of n delays lies closer to the floor.
 */
function softness(model: i32): f64 {
  if (model == BOX) return 1.4;
  return model < 6 ? 1 : 0.5;
}

/** sd of the edges: by how much the floor is unknown, and the readings are rounded. */
function softEdge(model: i32): f64 {
  const soft = edge * softness(model);
  return sqrt(soft * soft + rounding);
}

/** ∫ over u of the unnormalised density: the box and its two soft edges. */
function boxMass(lean: f64, soft: f64): f64 {
  const skirt = soft * (SQRT_2PI / 2);
  const steep = abs(lean) * half;
  // Below 1e-4 the box is flat to first order, and the quotient would cancel.
  if (steep < 1e-4) return 2 * half + 2 * skirt;
  const fall = exponential(-2 * steep);
  return (1 - fall) / abs(lean) + skirt * (1 + fall);
}

/**
 * Moments of N(mean, variance) times the box, by the trapezoid rule.
 * u = measured - x, so the box in x is [measured - half, measured + half].
 */
function box(mean: f64, variance: f64, lean: f64, soft: f64): void {
  const sd = sqrt(variance);
  const reach = half + 5 * soft;
  const low = max(mean - 6 * sd, measured - reach);
  const high = min(mean + 6 * sd, measured + reach);
  density = 0;
  if (!(high > low)) return;
  const step = (high - low) / <f64>POINTS;
  let mass: f64 = 0;
  let first: f64 = 0;
  let second: f64 = 0;
  for (let i = 0; i <= POINTS; i++) {
    const x = low + step * <f64>i;
    const away = (x - mean) / sd;
    let weight = exponential(exponentAt(measured - x, lean, soft) - 0.5 * away * away);
    if (i == 0 || i == POINTS) weight *= 0.5;
    mass += weight;
    first += weight * (x - mean);
    second += weight * (x - mean) * (x - mean);
  }
  if (!(mass > 0)) return;
  density = mass * step / (SQRT_2PI * sd * boxMass(lean, soft));
  const shift = first / mass;
  meanAfter = mean + shift;
  varianceAfter = max(second / mass - shift * shift, 1e-6 * variance);
}

/** ln of the unnormalised density of an error u; 0 at its greatest. */
function exponentAt(u: f64, lean: f64, soft: f64): f64 {
  const inside = max(-half, min(half, u));
  const outside = (u - inside) / max(soft, 1e-12);
  return lean * inside - abs(lean) * half - 0.5 * outside * outside;
}

/**
 * Mixes in the possibility that the sample obeys no model. Nobody knows how far such a sample strays: one that misses by
 * more than three sds has so much greater an sd (Cauchy's tail), and moves the belief the less, the farther off it is.
 */
function addStray(mean: f64, variance: f64): void {
  const miss = measured - mean;
  const reach = max(strayScale, abs(miss) / STRAY_SDS);
  const strayVariance = reach * reach;
  const total = variance + strayVariance;
  const tail = STRAY * strayScale / reach;
  const strayDensity = tail * exponential(-0.5 * miss * miss / total) / (SQRT_2PI * sqrt(total));
  const own = (1 - STRAY) * density;
  density = own + strayDensity + 1e-300;
  const share = own / density;
  const gain = variance / total;
  const strayMean = mean + gain * miss;
  const strayRest = variance * strayVariance / total;
  if (!(share > 0)) {
    meanAfter = strayMean;
    varianceAfter = strayRest;
    return;
  }
  const mixed = share * meanAfter + (1 - share) * strayMean;
  const gap = meanAfter - strayMean;
  varianceAfter = share * varianceAfter + (1 - share) * strayRest + share * (1 - share) * gap * gap;
  meanAfter = mixed;
}
