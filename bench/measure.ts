// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Time small operations honestly: contenders take turns, each round long enough for the clock, and the median is told.
 *
 * @module
 */

import process from "node:process";

/** One way of doing the same work. */
export interface Contender {
  readonly name: string;
  /** Do the work `times` over and return something that depends on it, so that nothing can be left out. */
  run(times: number): number | bigint;
  /** Units (packets) of work in one time. Default 1. */
  readonly units?: number;
}

export interface Result {
  readonly name: string;
  /** ns per unit: least, median, most of the rounds. */
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

const ROUNDS = 15;
/** Long enough that the clock's grain and one interrupt do not show, ms. */
const ROUND_MS = 60;

let sink: number | bigint = 0;

/** Measure all contenders in turn, A B C A B C …, so that a slow moment of the machine meets them all. */
export function compare(contenders: readonly Contender[]): Result[] {
  const times = contenders.map((contender) => calibrate(contender));
  const rounds = contenders.map(() => [] as number[]);
  for (let round = 0; round < ROUNDS; round++) {
    contenders.forEach((contender, i) => rounds[i]!.push(once(contender, times[i]!)));
  }
  return contenders.map(({ name }, i) => {
    const sorted = rounds[i]!.sort((a, b) => a - b);
    return { name, least: sorted[0]!, median: sorted[ROUNDS >> 1]!, most: sorted[ROUNDS - 1]! };
  });
}

function once(contender: Contender, times: number): number {
  const start = process.hrtime.bigint();
  sink = contender.run(times);
  return Number(process.hrtime.bigint() - start) / times / (contender.units ?? 1);
}

/** How often fits into a round; also warms the compiler up. */
function calibrate(contender: Contender): number {
  let times = 64;
  for (;;) {
    const start = performance.now();
    sink = contender.run(times);
    const took = performance.now() - start;
    if (took > ROUND_MS / 2) return Math.max(1, Math.round((times * ROUND_MS) / took));
    times *= 4;
  }
}

/** The results as a table, with each median's ratio to the first one's. */
export function printResults(title: string, unit: string, results: readonly Result[]): void {
  const base = results[0]!.median;
  console.log(`\n${title} (${unit}; median of ${ROUNDS} rounds, least … most, ratio to the first)`);
  for (const { name, least, median, most } of results) {
    console.log(`  ${name.padEnd(52)} ${median.toFixed(1).padStart(10)}   ${least.toFixed(1)} … ${most.toFixed(1)}   ${(median / base).toFixed(2)} ×`);
  }
  if (sink === -1) throw new Error("unreachable");
}
