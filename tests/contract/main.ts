// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Runs the contract suite on the runtime that runs this file, and prints one line of JSON.
 *
 * Arguments: `kernel` or `user`, the stamps expected; `user` also leaves the native parts out when `portable` follows.
 */

import process from "node:process";
import { createApi, lendHost } from "escapement";
import { apiContracts } from "./api.ts";
import { clockApiContracts } from "./clock-api.ts";
import { clockContracts } from "./clock.ts";
import { coreContracts, coreHash, sessionHash } from "./core.ts";
import { roughtimeContracts } from "./roughtime.ts";
import type { Contract, Subject } from "./suite.ts";
import { udpContracts } from "./udp.ts";

const [stamps = "user", portable, refusals = "refusals"] = process.argv.slice(2);
const host = await lendHost({ native: portable !== "portable" });
const subject: Subject = {
  host,
  api: createApi(async () => host),
  stamps: stamps === "kernel" ? "kernel" : "user",
  reportsRefusal: refusals === "refusals",
};

/** What a contract may take, ms; one that hangs is broken. */
const LIMIT_MS = 20_000;

async function hold({ name, check }: Contract): Promise<{ name: string; error?: string }> {
  const limit = new AbortController();
  try {
    await Promise.race([
      check(subject),
      new Promise((_, reject) => {
        const timer = setTimeout(() => reject(new Error("it hangs")), LIMIT_MS);
        limit.signal.addEventListener("abort", () => clearTimeout(timer));
      }),
    ]);
    return { name };
  } catch (error) {
    return { name, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    limit.abort();
  }
}

const results = [];
for (const contract of [...coreContracts, ...clockContracts, ...udpContracts, ...apiContracts, ...clockApiContracts, ...roughtimeContracts]) results.push(await hold(contract));
const { runtime, version, clock } = host;
console.log(JSON.stringify({ runtime, version, clock: clock.description, core: await coreHash(), session: await sessionHash(), results }));
