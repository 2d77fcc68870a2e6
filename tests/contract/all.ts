// SPDX-License-Identifier: MIT OR Apache-2.0
/** All contracts, and how they are held against a host: for main.ts, and for the programs of a page and of a Worker. @module */

import { apiContracts } from "./api.ts";
import { clockApiContracts } from "./clock-api.ts";
import { clockContracts } from "./clock.ts";
import { coreContracts, sessionHash } from "./core.ts";
import session from "../vectors/session.json" with { type: "json" };
import { replayHash } from "./replay.ts";
import { roughtimeContracts } from "./roughtime.ts";
import type { Contract, Subject } from "./suite.ts";
import { udpContracts } from "./udp.ts";

/** What one runtime says; plain data. */
export interface Report {
  readonly runtime: string;
  readonly version: string;
  readonly clock: string;
  /** SHA-256 of the core that runs there. */
  readonly core: string;
  /** Of what that says of some thousand odd packets, and of the samples of the recorded session. */
  readonly session: string;
  readonly recorded: string;
  readonly results: readonly Result[];
}

export interface Result {
  readonly name: string;
  readonly error?: string;
  /** Why this host is not under this contract. */
  readonly leftOut?: string;
}

/** What a contract may take, ms; one that hangs is broken. */
const LIMIT_MS = 100_000;

export async function reportOf(subject: Subject, core: string): Promise<Report> {
  const results: Result[] = [];
  for (const contract of [...coreContracts, ...clockContracts, ...udpContracts, ...apiContracts, ...clockApiContracts, ...roughtimeContracts]) results.push(await hold(contract, subject));
  const { runtime, version, clock } = subject.host;
  return { runtime, version, clock: clock.description, core, session: await sessionHash(), recorded: await replayHash(session, subject.createApi), results };
}

async function hold({ name, needs = [], check }: Contract, subject: Subject): Promise<Result> {
  const lacking = needs.find((need) => subject.lacks?.[need] !== undefined);
  if (lacking) return { name, leftOut: subject.lacks![lacking]! };
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
