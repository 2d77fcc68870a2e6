// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Many questions under way at once, each on a socket of its own, and each answer the moment it comes.
 *
 *     node examples/concurrent.mjs SOURCE...
 *
 * To several servers, not many times to one: public servers answer who asks too often with a kiss or not at all.
 */

import process from "node:process";
import { query } from "escapement";

const sources = process.argv.slice(2);
if (sources.length === 0) {
  console.error("usage: node examples/concurrent.mjs SOURCE...");
  process.exit(2);
}

const start = performance.now();
const asked = sources.map(async (source) => {
  const sample = await query(source, { timeout: 2 });
  console.log(`after ${(performance.now() - start).toFixed(1)} ms: ${source} ${sample.offset} s`);
  return sample;
});
const settled = await Promise.allSettled(asked);
for (const { reason } of settled) if (reason) console.log(reason.message);
console.log(`${settled.filter(({ status }) => status === "fulfilled").length} of ${sources.length} answered`);
