// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Asks a server for authenticated time: keys are established over TLS once, and no answer without them is believed.
 *
 *     node examples/nts-client.mjs HOST[:PORT] [CA]        default port 4460; CA: a PEM file of the roots to trust
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { query } from "escapement";

const [host, ca] = process.argv.slice(2);
if (!host) {
  console.error("expected the name of an NTS server");
  process.exit(2);
}
try {
  const sample = await query(`nts:${host}`, ca ? { nts: { ca: readFileSync(ca, "utf8") } } : {});
  const { offset, rootDistance, authenticated, problems } = sample.toJSON();
  if (problems.length > 0) throw new Error(problems.join("; "));
  console.log(`offset ${offset} s ± ${rootDistance} s, ${authenticated ? "authenticated" : "NOT authenticated"}`);
} catch (error) {
  console.error(`${error.code ?? "UNFIT"}: ${error.message}`);
  process.exitCode = 1;
}
