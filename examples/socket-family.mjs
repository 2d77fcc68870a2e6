// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One name over IPv4 and over IPv6: do both paths work, and do they tell the same time?
 *
 *     node examples/socket-family.mjs [NAME[:PORT]]
 *
 * Without `family` all addresses of a name are tried, families taking turns, and the first usable answer wins.
 */

import process from "node:process";
import { query } from "escapement";

const [source = "time.cloudflare.com"] = process.argv.slice(2);

for (const family of [4, 6]) {
  try {
    const { address, offset, delay } = await query(source, { family, timeout: 2 });
    console.log(`IPv${family}: ${address}, offset ${offset} s, delay ${delay} s`);
  } catch (error) {
    console.log(`IPv${family}: ${error.code}`);
  }
}
