// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Following several NTS servers: keys are established with each, and no answer without them is believed.
 *
 *     node examples/nts-continuous.mjs [--ca FILE] HOST[:PORT]...        default port 4460; FILE: PEM of the roots to trust
 *
 * Each answer brings a new cookie, so that eight are kept; keys are established anew when a server knows ours no more. Three
 * servers of different operators find out one that lies. Ends after 60 s; SECONDS=600 in the environment for longer.
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { watch } from "escapement";

const { values, positionals: hosts } = parseArgs({ options: { ca: { type: "string" } }, allowPositionals: true });
if (hosts.length === 0) {
  console.error("usage: node examples/nts-continuous.mjs [--ca FILE] HOST[:PORT]...");
  process.exit(2);
}

const nts = values.ca === undefined ? {} : { ca: readFileSync(values.ca, "utf8") };
const sources = hosts.map((host) => ({ source: `nts:${host}`, nts }));
const signal = AbortSignal.timeout(Number(process.env.SECONDS ?? 60) * 1000);
for await (const { synchronised, uncertainty, sources: states } of watch({ sources, signal })) {
  const told = states.map(({ source, used, selection, lastError, nts }) => `${source} ${lastError ?? `${selection}, ${used} answers, ${nts?.cookies} cookies`}`);
  console.log(`${synchronised ? `± ${uncertainty.toFixed(6)} s` : "not synchronised yet"}: ${told.join("; ")}`);
}
