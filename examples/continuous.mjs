// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Following servers for as long as a program runs: a state each time something changes.
 *
 *     node examples/continuous.mjs [SOURCE...]         ends after 60 s; SECONDS=600 in the environment for longer
 *
 * The first agreement comes after about six seconds. After that each source is asked every 64 s or less often.
 */

import process from "node:process";
import { watch } from "escapement";

const sources = process.argv.slice(2);
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);

// Leaving the loop, by `break` or by the signal, closes every socket and timer.
for await (const state of watch(sources.length > 0 ? { sources, signal } : { signal })) {
  const { event, synchronised, offset, uncertainty, frequencyPpm } = state;
  const told = `${offset} s to go, ± ${uncertainty} s, frequency ${frequencyPpm.toFixed(3)} ppm`;
  console.log(`${event}: ${synchronised ? told : "not synchronised yet"}`);
}
