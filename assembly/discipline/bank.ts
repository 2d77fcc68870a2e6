// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source's bank of filters: every noise model of noise.ts × five wanders of the oscillator.
 *
 * Each filter is a two-state Kalman filter (offset, frequency). Nobody chooses: the likelihood of what comes in weighs
 * them. Among the wanders of one noise model the beliefs are also mixed before each sample (the interacting multiple
 * model filter of Blom and Bar-Shalom), so that a sudden change of frequency is caught by the restless filter and then
 * handed down to the calm ones. Among the noise models the likelihood forgets 1 % a sample.
 * Tested in tests/simulation/table.test.ts.
 */

import { Filter, MODELS, Source, WANDERS, filterAt, logLikelihood, setLogLikelihood } from "./memory";
import { BOX, density, meanAfter, varianceAfter, weigh } from "./noise";
import { exponential, logarithm } from "./maths";

/** Random walk of the frequency, s/s per √s: a good oven, a good crystal, a PC, a warm PC, a thing gone wild. */
const WANDER_LEVELS: usize = memory.data<f64>([2e-10, 8e-10, 3.2e-9, 1.3e-8, 1e-7]);
/** How likely each wander is before anything is known, and after a change. */
const WANDER_ODDS: usize = memory.data<f64>([0.2, 0.3, 0.27, 0.2, 0.03]);
/** Probability that an oscillator changes its ways between two samples. */
const CHANGE: f64 = 0.005;
/** Forgetting of the noise models' likelihood: 100 samples. */
const MEMORY: f64 = 0.99;
/** No model is ever given up: ln of the odds against it stays above this. */
const LEAST_LOG: f64 = -12;
/** White frequency noise of any clock, s/√s: 10 ns after one second. */
const WHITE: f64 = 1e-8;

/** Beliefs after mixing, before the sample. */
const mixed: usize = memory.data(WANDERS * offsetof<Filter>(), 8);

/** Moments are summed around these, so that a large offset cannot eat the digits of a small variance. */
let originOffset: f64 = 0;
let originFrequency: f64 = 0;

function mixedAt(wander: i32): Filter {
  return changetype<Filter>(mixed + <usize>wander * offsetof<Filter>());
}

function wanderOdds(wander: i32): f64 {
  return load<f64>(WANDER_ODDS + (<usize>wander << 3));
}

function wanderLevel(wander: i32): f64 {
  return load<f64>(WANDER_LEVELS + (<usize>wander << 3));
}

/** A bank that knows nothing but one sample: its offset ± √varOffset, and the source's prior frequency. */
export function startBank(source: Source, offset: f64, varOffset: f64): void {
  for (let model = 0; model < MODELS; model++) {
    // Leaning and quiet paths are rare: they start with odds of 1:20.
    setLogLikelihood(source, model, model > BOX || model == 1 ? -3 : 0);
    for (let wander = 0; wander < WANDERS; wander++) {
      const filter = filterAt(source, model, wander);
      filter.offset = offset;
      filter.frequency = source.priorFrequency;
      filter.varOffset = varOffset;
      filter.covariance = 0;
      filter.varFrequency = source.priorVarFrequency;
      filter.weight = wanderOdds(wander);
    }
  }
  source.offset = offset;
  source.frequency = source.priorFrequency;
  source.varOffset = varOffset;
  source.covariance = 0;
  source.varFrequency = source.priorVarFrequency;
}

/** Takes in the sample that noise.ts regards, `elapsed` seconds after the last one. */
export function updateBank(source: Source, elapsed: f64): void {
  originOffset = source.offset;
  originFrequency = source.frequency;
  let best = -Infinity;
  for (let model = 0; model < MODELS; model++) {
    mix(source, model);
    const likelihood = updateModel(source, model, elapsed);
    const log = logLikelihood(source, model) * MEMORY + logarithm(likelihood);
    setLogLikelihood(source, model, log);
    best = max(best, log);
  }
  for (let model = 0; model < MODELS; model++) {
    setLogLikelihood(source, model, max(logLikelihood(source, model) - best, LEAST_LOG));
  }
  summarise(source);
}

/** Each wander's filter starts from its own belief and a share of the others'. */
function mix(source: Source, model: i32): void {
  for (let to = 0; to < WANDERS; to++) {
    const target = mixedAt(to);
    clear(target);
    for (let from = 0; from < WANDERS; from++) {
      const filter = filterAt(source, model, from);
      const stays = from == to ? 1 - CHANGE : 0;
      add(target, filter, filter.weight * (stays + CHANGE * wanderOdds(to)));
    }
    spread(target);
  }
}

function clear(sum: Filter): void {
  memory.fill(changetype<usize>(sum), 0, offsetof<Filter>());
}

/** Adds one belief to a sum of first and second moments (not yet central). */
function add(sum: Filter, filter: Filter, share: f64): void {
  const offset = filter.offset - originOffset;
  const frequency = filter.frequency - originFrequency;
  sum.weight += share;
  sum.offset += share * offset;
  sum.frequency += share * frequency;
  sum.varOffset += share * (filter.varOffset + offset * offset);
  sum.covariance += share * (filter.covariance + offset * frequency);
  sum.varFrequency += share * (filter.varFrequency + frequency * frequency);
}

/** Turns the sums into mean and central moments. */
function spread(sum: Filter): void {
  const share = sum.weight > 0 ? 1 / sum.weight : 0;
  sum.offset *= share;
  sum.frequency *= share;
  sum.varOffset = sum.varOffset * share - sum.offset * sum.offset;
  sum.covariance = sum.covariance * share - sum.offset * sum.frequency;
  sum.varFrequency = sum.varFrequency * share - sum.frequency * sum.frequency;
  sum.offset += originOffset;
  sum.frequency += originFrequency;
}

/** Predicts and updates the filters of one noise model; gives the density of the sample under it. */
function updateModel(source: Source, model: i32, elapsed: f64): f64 {
  let total: f64 = 0;
  for (let wander = 0; wander < WANDERS; wander++) {
    const filter = filterAt(source, model, wander);
    memory.copy(changetype<usize>(filter), changetype<usize>(mixedAt(wander)), offsetof<Filter>());
    predict(filter, elapsed, wanderLevel(wander));
    weigh(model, filter.offset, filter.varOffset);
    absorb(filter);
    filter.weight *= density;
    total += filter.weight;
  }
  for (let wander = 0; wander < WANDERS; wander++) {
    const filter = filterAt(source, model, wander);
    filter.weight = total > 0 ? filter.weight / total : wanderOdds(wander);
  }
  return max(total, 1e-300);
}

/** Free running: the frequency makes a random walk, the offset follows it. */
function predict(filter: Filter, elapsed: f64, wander: f64): void {
  const walk = wander * wander * elapsed;
  filter.offset += filter.frequency * elapsed;
  filter.varOffset +=
    elapsed * (2 * filter.covariance + elapsed * (filter.varFrequency + walk / 3)) + WHITE * WHITE * elapsed;
  filter.covariance += elapsed * (filter.varFrequency + walk / 2);
  filter.varFrequency += walk;
}

/** What noise.ts learned about the offset moves the frequency by their covariance. */
function absorb(filter: Filter): void {
  const gain = filter.covariance / filter.varOffset;
  const kept = varianceAfter / filter.varOffset;
  filter.frequency += gain * (meanAfter - filter.offset);
  filter.varFrequency -= gain * filter.covariance * (1 - kept);
  filter.covariance *= kept;
  filter.offset = meanAfter;
  filter.varOffset = varianceAfter;
}

/** Mean and covariance over all filters, into the source. */
function summarise(source: Source): void {
  const sum = mixedAt(0);
  clear(sum);
  for (let model = 0; model < MODELS; model++) {
    const share = exponential(logLikelihood(source, model));
    for (let wander = 0; wander < WANDERS; wander++) {
      const filter = filterAt(source, model, wander);
      add(sum, filter, share * filter.weight);
    }
  }
  spread(sum);
  source.offset = sum.offset;
  source.frequency = sum.frequency;
  source.varOffset = sum.varOffset;
  source.covariance = sum.covariance;
  source.varFrequency = sum.varFrequency;
}

/** What the oscillator's wander, as far as it is known, adds to the variance of the offset in `elapsed` seconds. */
export function wanderVariance(source: Source, elapsed: f64): f64 {
  let shares: f64 = 0;
  let squares: f64 = 0;
  for (let model = 0; model < MODELS; model++) {
    const share = exponential(logLikelihood(source, model));
    shares += share;
    for (let wander = 0; wander < WANDERS; wander++) {
      const level = wanderLevel(wander);
      squares += share * filterAt(source, model, wander).weight * level * level;
    }
  }
  const variance = squares / shares * elapsed * elapsed * elapsed / 3;
  return variance > 0 ? variance : 0;
}

/** The clock was moved by `offset` and runs faster by `frequency`: every belief in the bank moves along. */
export function shiftBank(source: Source, offset: f64, frequency: f64): void {
  for (let model = 0; model < MODELS; model++) {
    for (let wander = 0; wander < WANDERS; wander++) {
      const filter = filterAt(source, model, wander);
      filter.offset -= offset;
      filter.frequency -= frequency;
    }
  }
  source.offset -= offset;
  source.frequency -= frequency;
}
