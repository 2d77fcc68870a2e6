// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock of one's own, without privileges: it follows servers, never goes backwards, and knows its error bound.
 *
 *     node examples/clock.mjs [SOURCE...]
 *
 * The system clock stays as it is. Starting takes about six seconds, until enough sources agree; after that a reading
 * needs no network.
 */

import process from "node:process";
import { startClock } from "escapement";

const sources = process.argv.slice(2);
const clock = await startClock(sources.length > 0 ? { sources } : {});
try {
  for (let i = 0; i < 3; i++) {
    console.log(`${clock.now().toISOString()} (${clock.nowNs()} ns) ± ${clock.uncertainty} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const behind = Number(clock.nowNs() / 1_000_000n) - Date.now();
  console.log(`This machine's clock is behind it by ${behind} ms.`);
} finally {
  // On runtimes that know `await using` (Node 24, Deno, Bun) this happens by itself.
  clock.close();
}
