// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Several servers at once: who agrees, who does not, and what time it is within a bound.
 *
 *     node examples/several-servers.mjs [SOURCE...]       without arguments: the package's default sources
 *
 * Four or more sources tell a liar from the others; two can only contradict each other. Exit status 1 without majority.
 */

import process from "node:process";
import { DEFAULT_SOURCES, survey } from "escapement";

const sources = process.argv.length > 2 ? process.argv.slice(2) : DEFAULT_SOURCES;
const { entries, consensus, agreeing, quorum } = await survey(sources, { timeout: 2 });

for (const { source, verdict, sample, error } of entries) {
  const told = sample ? `${sample.offset} s ± ${sample.rootDistance} s` : error?.code;
  console.log(`${source}: ${verdict}, ${told}`);
}
if (consensus) console.log(`${agreeing} agree: offset ${consensus.offset} s ± ${consensus.uncertainty} s`);
else {
  console.log(`no majority: ${agreeing} agree, ${quorum} must`);
  process.exitCode = 1;
}
