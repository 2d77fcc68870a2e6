// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Waiting no longer than one wants: a timeout in seconds, and an AbortSignal for everything else.
 *
 *     node examples/timeout.mjs [SOURCE]
 *
 * Try it with an address that never answers: it prints TIMEOUT, then ABORTED. The default, 192.0.2.1, is reserved for
 * documentation; on most networks nothing answers there.
 */

import process from "node:process";
import { NtpError, query } from "escapement";

const [source = "192.0.2.1"] = process.argv.slice(2);

async function attempt(name, options) {
  const start = performance.now();
  const took = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const { offset } = await query(source, options);
    console.log(`${name}: offset ${offset} s after ${took()}`);
  } catch (error) {
    if (!(error instanceof NtpError)) throw error;
    // Branch on `code`; show `message`.
    console.log(`${name}: ${error.code} after ${took()}: ${error.message}`);
  }
}

await attempt("timeout", { timeout: 0.5 });
await attempt("signal", { signal: AbortSignal.timeout(300) });
