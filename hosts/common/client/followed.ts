// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What may be followed: judged before anything is opened. Tested in followed.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { isRefClock, parseRefClock } from "../refclock/open.ts";
import type { EngineOptions, Followed, ReferenceSource, SourceOptions } from "./engine-types.ts";
import { checkedKey } from "./keys.ts";
import { MANYCAST_SERVERS, type ManycastOptions } from "./manycast-runner.ts";
import { parseSource } from "./source.ts";

/** One instance of the core follows as many sources. */
export const SOURCE_LIMIT = 64;
/** One instance of the core asks as many networks. */
const MANYCAST_LIMIT = 4;
/** Stratum of our own clock as its own reference, unless it is said. */
export const LOCAL_STRATUM = 10;

export function isReference(followed: Followed): followed is ReferenceSource | (SourceOptions & { readonly mode?: "client" }) {
  return followed.mode === "refclock" || isRefClock(followed.source);
}

/** log2 s between a reference clock's measurements; 4 where the driver does not say otherwise. */
export function pollOf(followed: Followed): number {
  if (followed.mode === "refclock") return followed.tuning?.poll ?? followed.clock.poll;
  const { kind, poll = DEFAULT_REFERENCE_POLL } = parseRefClock(followed.source);
  return kind === "local" ? Infinity : poll;
}

const DEFAULT_REFERENCE_POLL = 4;

/** @throws {NtpError} for what cannot be followed. */
export function checkSources(sources: EngineOptions["sources"]): void {
  if (sources.length === 0) throw new NtpError("INVALID_ARGUMENT", "expected at least one source to follow, got none");
  let count = 0;
  let manycasts = 0;
  for (const followed of sources) {
    const { source } = followed;
    if (isReference(followed)) {
      if (followed.mode !== "refclock") parseRefClock(source);
      count += 1;
      continue;
    }
    parseSource(source);
    if (followed.mode === "manycast") {
      checkManycast(source, followed.manycast);
      manycasts += 1;
      count += followed.manycast?.limit ?? MANYCAST_SERVERS;
      continue;
    }
    const { pool = 1 } = followed;
    checkAuthentication(followed);
    if (!(Number.isInteger(pool) && pool >= 1)) throw new NtpError("INVALID_ARGUMENT", `expected a pool of 1 or more members, got ${pool}`, { source: String(source) });
    count += pool;
  }
  if (count > SOURCE_LIMIT) throw new NtpError("INVALID_ARGUMENT", `expected at most ${SOURCE_LIMIT} sources, all members of pools and manycast counted, got ${count}`);
  if (manycasts > MANYCAST_LIMIT) throw new NtpError("INVALID_ARGUMENT", `expected at most ${MANYCAST_LIMIT} sources in manycast mode, got ${manycasts}`);
}

function checkAuthentication({ source, mode = "client", pool = 1, version = 4, key }: SourceOptions): void {
  if (key) checkedKey(key);
  if (mode !== "client" && (version === 5 || version === "auto")) {
    throw new NtpError("INVALID_ARGUMENT", `"${String(source)}": expected version 3 or 4 in mode "${mode}", which NTPv5 does not have, got ${String(version)}`, { source: String(source) });
  }
  if (parseSource(source).scheme !== "nts") return;
  const wrong = (expected: string, got: string) => new NtpError("INVALID_ARGUMENT", `"${String(source)}": expected ${expected} with nts:, got ${got}`, { source: String(source) });
  if (mode !== "client") throw wrong('mode "client"', `"${mode}"`);
  if (pool !== 1) throw wrong("no pool", `${pool} members`);
  if (version === 3) throw wrong('version 4, 5 or "auto"', String(version));
  if (key) throw wrong("no key", "one");
}

function checkManycast(source: string | URL, { limit = MANYCAST_SERVERS, hops = 1 }: ManycastOptions = {}): void {
  const check = (what: string, value: number, most: number) => {
    if (Number.isInteger(value) && value >= 1 && value <= most) return;
    throw new NtpError("INVALID_ARGUMENT", `expected a ${what} of 1 to ${most}, got ${value}`, { source: String(source) });
  };
  check("manycast limit", limit, SOURCE_LIMIT);
  check("number of manycast hops", hops, 255);
}
