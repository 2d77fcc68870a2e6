// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a real program itself reported of us, for the table of docs/interop.md: one JSON line per fact, appended to the file
 * that INTEROP_FACTS names; nothing is written without it. `npm run interop` (build/interop.mjs) keeps the facts of tests
 * that passed. Its test is tests/interop-table.test.ts.
 *
 * A fact holds what is the same in every run: no offsets, no addresses that are drawn.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import process from "node:process";
import { expect } from "vitest";
import { findProgram } from "../support/peers.ts";

/** What the program was to us. */
export type Role = "server" | "client" | "peer" | "broadcaster" | "manycast server" | "observer";

export interface Fact {
  readonly peer: string;
  readonly version: string;
  readonly role: Role;
  /** What was tried, in words. */
  readonly what: string;
  /** What the program said of it, in its own words. */
  readonly reported: string;
  /** The test that shows it: its file under the repository, and its full name. */
  readonly file: string;
  readonly test: string;
}

/** A program's maker, and how it tells its version where --version does not. */
const PROGRAMS: Record<string, { readonly peer: string; readonly ask?: readonly string[]; readonly version?: string }> = {
  "chronyd": { peer: "chronyd", ask: ["-v"] },
  "chronyd-new": { peer: "chronyd", ask: ["-v"] },
  "ntpd": { peer: "ntpd (NTPsec)" },
  "ntpd-new": { peer: "ntpd (NTPsec)" },
  "ntpdig": { peer: "ntpdig (NTPsec)" },
  "ntpd-classic": { peer: "ntpd (classic)" },
  "ntpq-classic": { peer: "ntpq (classic)" },
  "ntpq": { peer: "ntpq (NTPsec)" },
  "ntp-daemon": { peer: "ntpd-rs" },
  "ntpdate": { peer: "ntpdate (classic)", ask: ["-v"] },
  "sntp": { peer: "sntp (classic)" },
  // It tells nobody its version: where build/peers.sh has it from.
  "openntpd": { peer: "OpenNTPD", version: "(Debian forky)" },
  "rdate": { peer: "rdate", ask: [] },
  // Our own client, server and judge (roughtime_peer.py), on its signatures and hashes.
  "python3": { peer: "python3-cryptography", ask: ["-c", "import cryptography; print(cryptography.__version__)"] },
  "tshark": { peer: "tshark" },
  "tshark-new": { peer: "tshark" },
};

/** Note what `program`, being our `role`, `reported` of `what`. */
export function record(program: string, role: Role, what: string, reported: string): void {
  const to = process.env["INTEROP_FACTS"];
  if (!to) return;
  const { currentTestName = "", testPath = "" } = expect.getState();
  const fact: Fact = {
    peer: PROGRAMS[program]?.peer ?? program, version: versionOf(program), role, what, reported,
    file: relative(process.cwd(), testPath), test: currentTestName,
  };
  appendFileSync(to, `${JSON.stringify(fact)}\n`);
}

const versions = new Map<string, string>();

/** The first number, one with dots if there is one, in what the program says of itself, on either output; rdate says nothing, its package does. */
function versionOf(program: string): string {
  let version = versions.get(program) ?? PROGRAMS[program]?.version;
  if (version === undefined) {
    const ask = PROGRAMS[program]?.ask ?? ["--version"];
    const [command, args] = ask.length > 0 ? [findProgram(program) ?? program, ask] : ["dpkg-query", ["-W", program]];
    const { stdout, stderr } = spawnSync(command, [...args], { encoding: "utf8" });
    // A package's version may begin with an epoch, "1:".
    const told = `${stdout}${stderr}`.replace(/^\S+\s+\d+:/, "");
    version = (/(?:^|[^\d.])(\d+(?:\.\w+)+)/.exec(told) ?? /\b(\d+)\b/.exec(told))?.[1];
    if (version === undefined) throw new Error(`expected ${command} ${args.join(" ")} to tell a version, got ${stdout}${stderr}`);
    versions.set(program, version);
  }
  return version;
}
