// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The two ways of disciplining a clock side by side, over the same sources: the estimator and RFC 5905's PLL/FLL.
 *
 *     node examples/discipline.mjs [SOURCE...]         ends after 60 s; SECONDS=600 in the environment for longer
 *
 * Each steers a clock of this process and leaves the system's alone. The estimator is sure after some seconds, the loops may
 * take some minutes, and never know how well they know the frequency: their ± is 0. docs/discipline.md says what they do, and
 * compares them over simulated days.
 */

import process from "node:process";
import { DEFAULT_SOURCES, watch } from "escapement";

const sources = process.argv.length > 2 ? process.argv.slice(2) : DEFAULT_SOURCES;
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);

async function follow(algorithm) {
  for await (const { event, synchronised, offset, frequencyPpm, skewPpm, uncertainty, poll } of watch({ sources, algorithm, signal })) {
    const told = `${offset} s to go, frequency ${frequencyPpm.toFixed(3)} ± ${skewPpm.toFixed(3)} ppm, ± ${uncertainty.toFixed(6)} s, poll ${2 ** poll} s`;
    console.log(`${algorithm}: ${synchronised ? `${event}, ${told}` : "not synchronised yet"}`);
  }
}

await Promise.all(["estimator", "pll-fll"].map(follow));
