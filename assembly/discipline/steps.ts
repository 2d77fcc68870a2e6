// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Whether the clock may be stepped: how large an offset must be, how often it may happen, and when to refuse to believe.
 *
 * Like chrony's `makestep`: the estimator steps only among its first few corrections, and slews ever after. Whatever
 * the algorithm, a single step, the first step and the sum of all steps have limits. What is refused is told in the
 * steering's flags, and before it comes to that, what is beyond half of a limit. Tested in hosts/common/client/limits.test.ts
 * and tests/simulation.
 */

/** Flags of the steering. */
export const STEP_REFUSED: i32 = 1;
export const STEPS_MOUNTING: i32 = 2;
/** The offset is beyond half of the limit for single ones, or of that for the very first. */
export const SINGLE_NEAR: i32 = 4;
export const STARTUP_NEAR: i32 = 8;
/** What was near a limit is so until it is below this share of it: an offset that hovers about the half is told of once. */
const NEAR_NO_MORE: f64 = 0.25;

/** RFC 5905 §11.3 panic threshold, s. */
const PANIC: f64 = 1000;

/** A page's clock has nobody to tell it otherwise: what hosts/common/client/engine.ts sets by default. */
let threshold: f64 = isDefined(PLAIN) ? 0.1 : Infinity;
let corrections: i32 = isDefined(PLAIN) ? 3 : 0;
let singleLimit: f64 = PANIC;
let startupLimit: f64 = Infinity;
let sumLimit: f64 = Infinity;

let corrected: i32 = 0;
let stepped: i32 = 0;
let sum: f64 = 0;

export let stepFlags: i32 = 0;

/** Step offsets beyond `least` seconds among the first `count` corrections (negative: always). */
export function setStepPolicy(least: f64, count: i32): void {
  threshold = least > 0 ? least : Infinity;
  corrections = count;
}

/** Greatest single step, first step, and sum of all steps, s; anything not above 0 means no limit. */
export function setStepLimits(single: f64, startup: f64, total: f64): void {
  singleLimit = single > 0 ? single : Infinity;
  startupLimit = startup > 0 ? startup : Infinity;
  sumLimit = total > 0 ? total : Infinity;
}

export function resetSteps(): void {
  corrected = 0;
  stepped = 0;
  sum = 0;
  stepFlags = 0;
}

/** Is this offset one to be stepped, by the estimator's policy? Counts the correction. */
export function wantsStep(offset: f64): bool {
  const early = corrections < 0 || corrected < corrections;
  countCorrection();
  return early && abs(offset) > threshold;
}

/** A correction was made without asking whether to step. */
export function countCorrection(): void {
  if (corrected < i32.MAX_VALUE) corrected++;
}

/** May an offset of this size be believed at all? If not, the clock is left alone and the flag says so. */
export function believable(offset: f64): bool {
  const first = corrected == 0 && stepped == 0;
  const limit = first ? startupLimit : singleLimit;
  if (abs(offset) <= limit) {
    lower(STEP_REFUSED);
    tellNear(abs(offset), limit, first ? STARTUP_NEAR : SINGLE_NEAR);
    return true;
  }
  raise(STEP_REFUSED);
  return false;
}

function tellNear(size: f64, limit: f64, flag: i32): void {
  if (size > limit / 2) raise(flag);
  else if (size < limit * NEAR_NO_MORE) lower(flag);
}

/** Nobody reads the flags of a page's clock. */
function raise(flag: i32): void {
  if (!isDefined(PLAIN)) stepFlags |= flag;
}

function lower(flag: i32): void {
  if (!isDefined(PLAIN)) stepFlags &= ~flag;
}

/** Takes a step into account; false when the sum of steps has reached its limit. */
export function allowStep(offset: f64): bool {
  // Nobody limits the sum of a page's clock.
  if (isDefined(PLAIN)) return true;
  const next = sum + abs(offset);
  if (!(next <= sumLimit)) {
    raise(STEP_REFUSED);
    return false;
  }
  sum = next;
  stepped++;
  if (sum > sumLimit / 2) raise(STEPS_MOUNTING);
  return true;
}
