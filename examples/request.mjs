// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One question to one server: how far is this machine's clock off, and how sure is that?
 *
 *     node examples/request.mjs [SOURCE]        SOURCE: time.example.org, 192.0.2.1:123, [2001:db8::1]:123
 *
 * Exit status 1 when no answer came, or one that is unfit to set a clock by.
 */

import process from "node:process";
import { query } from "escapement";

const [source = "time.cloudflare.com"] = process.argv.slice(2);

try {
  const sample = await query(source);
  // An answer is data; whether it may be believed is another question.
  for (const { test, message } of sample.problems()) console.error(`${test}: ${message}`);
  console.log(`offset ${sample.offset} s ± ${sample.rootDistance} s, stratum ${sample.stratum}, refid ${sample.refid}`);
  if (!sample.usable) process.exitCode = 1;
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
