// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How often to ask, for the estimator: slower while the clock, left alone until the next poll, would still be known
 * better than a single sample tells. Tested in tests/simulation/table.test.ts.
 */

import { steering } from "./clock";
import { bestSource } from "./combine";
import { Source, sourceAt } from "./memory";
import { varianceAfter } from "./source";

/** Poll faster above, slower below these shares of a typical sample's variance. */
const SLOWER: f64 = 0.25;
const FASTER: f64 = 0.6;

export let minPoll: i32 = 6;
export let maxPoll: i32 = 10;

export function limitPoll(least: i32, most: i32): void {
  minPoll = max(0, min(least, 17));
  maxPoll = max(minPoll, min(most, 17));
  steering().poll = minPoll;
}

/** By the source that knows best, after one of its samples. */
export function adjustPoll(source: Source): void {
  if (source != sourceAt(bestSource)) return;
  const typical = source.excessVariance / 4 + 1e-18;
  const poll = steering().poll;
  if (source.samples < 8) return;
  if (varianceAfter(source, <f64>(2 << poll)) < SLOWER * typical) steering().poll = min(poll + 1, maxPoll);
  else if (varianceAfter(source, <f64>(1 << poll)) > FASTER * typical) steering().poll = max(poll - 1, minPoll);
}

export function hastenPoll(): void {
  steering().poll = minPoll;
}

/** Requests that are followed by the next after 2 s. */
const BURST: i32 = 3;

/**
 * log2 of the seconds between request number `attempt` (from 1) to a source and the next: 2 s until four are out, then
 * 4, 4, 8, 8, 16, 16 … up to the poll in force. A frequency cannot be known from the few seconds of a burst; twelve
 * requests in two minutes are one in 10 s, below the limit that servers set by default (one in 8 s, with bursts of 8).
 */
export function pollAfter(attempt: i32): i32 {
  const ramp = attempt <= BURST ? 1 : (attempt - BURST + 3) >> 1;
  return min(ramp, steering().poll);
}
