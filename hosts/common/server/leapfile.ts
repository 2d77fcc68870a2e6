// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * leap-seconds.list, as IERS and NIST publish it: when leap seconds came and come, until when that is known, and a hash.
 *
 *     #$  3676924800          when it was changed, seconds since 1900
 *     #@  3991593600          when it expires
 *     2272060800  10          from then on TAI − UTC is 10 s
 *     #h  848434d5 570f7ea8 d79ba227 a00fc821 f608e2d4       SHA-1 of all those digits
 *
 * The hash finds damage, not malice: fetch the file from somebody you trust, in a way that cannot be tampered with. A file
 * whose hash is wrong or missing is refused; one that has expired is told as such and says nothing of the future. Tested in
 * leapfile.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";

/** One change of TAI − UTC. */
export interface LeapEntry {
  /** When it takes effect, ns since 1970. */
  readonly atNs: bigint;
  /** TAI − UTC from then on, s. */
  readonly offset: number;
}

/** The table as read. */
export class LeapTable {
  readonly entries: readonly LeapEntry[];
  /** When it was changed and until when it holds, ns since 1970. */
  readonly updatedNs: bigint;
  readonly expiresNs: bigint;

  constructor(entries: readonly LeapEntry[], updatedNs: bigint, expiresNs: bigint) {
    this.entries = entries;
    this.updatedNs = updatedNs;
    this.expiresNs = expiresNs;
  }

  /** Does it say nothing any more of what comes? */
  expired(nowNs: bigint): boolean {
    return nowNs >= this.expiresNs;
  }

  /** TAI − UTC at a moment, s; undefined before 1972. */
  offsetAt(ns: bigint): number | undefined {
    return this.entries.findLast(({ atNs }) => atNs <= ns)?.offset;
  }

  /** The next leap second after a moment, as `serve()` and `update()` take it; undefined where none is known. */
  next(nowNs: bigint): { readonly leap: 1 | 2; readonly leapAtNs: bigint } | undefined {
    const index = this.entries.findIndex(({ atNs }) => atNs > nowNs);
    const [before, coming] = [this.entries[index - 1], this.entries[index]];
    return before && coming ? { leap: coming.offset > before.offset ? 1 : 2, leapAtNs: coming.atNs } : undefined;
  }
}

/** Seconds from 1900 to 1970. */
const UNIX_EPOCH = 2_208_988_800n;
const NS_PER_SECOND = 1_000_000_000n;
const LONGEST = 1 << 20;

function damaged(what: string): NtpError {
  return new NtpError("INVALID_ARGUMENT", `expected a leap-seconds.list: ${what}`);
}

/** Read a leap-seconds.list. @throws {NtpError} `INVALID_ARGUMENT` when it is none or damaged. */
export async function parseLeapFile(text: string): Promise<LeapTable> {
  if (text.length > LONGEST) throw damaged(`at most ${LONGEST} characters, got ${text.length}`);
  let updated: string | undefined;
  let expires: string | undefined;
  let hash: string | undefined;
  const lines: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const mark = /^#([$@h])\s*(.*?)\s*$/.exec(line);
    if (mark?.[1] === "h") hash = mark[2]!;
    else if (mark?.[1] === "$") updated = digits(mark[2]!, index);
    else if (mark?.[1] === "@") expires = digits(mark[2]!, index);
    else if (line.trim() !== "" && !line.startsWith("#")) lines.push(line.replace(/#.*$/, "").trim());
  }
  if (updated === undefined || expires === undefined) throw damaged("when it was changed (#$) and when it expires (#@)");
  if (hash === undefined) throw damaged("a hash (#h)");
  const entries = lines.map(entryOf);
  checkOrder(entries);
  const content = updated + expires + lines.map((line) => line.replace(/\s+/g, "")).join("");
  if ((await sha1(content)) !== wordsOf(hash)) throw damaged("a hash (#h) that fits its contents; it was damaged or changed");
  return new LeapTable(entries, unixNs(updated), unixNs(expires));
}

function digits(text: string, index: number): string {
  const value = text.split(/\s/)[0]!;
  if (!/^\d{1,10}$/.test(value)) throw damaged(`seconds since 1900 in line ${index + 1}, got "${text.slice(0, 40)}"`);
  return value;
}

function entryOf(line: string): LeapEntry {
  const match = /^(\d{1,10})\s+(\d{1,3})$/.exec(line);
  if (!match) throw damaged(`lines of two numbers, got "${line.slice(0, 40)}"`);
  return { atNs: unixNs(match[1]!), offset: Number(match[2]) };
}

function checkOrder(entries: readonly LeapEntry[]): void {
  if (entries.length === 0) throw damaged("at least one entry");
  for (const [index, { atNs, offset }] of entries.entries()) {
    const before = entries[index - 1];
    if (before && (atNs <= before.atNs || Math.abs(offset - before.offset) !== 1)) throw damaged(`entries in order, a second apart; entry ${index + 1} is not`);
  }
}

function unixNs(secondsSince1900: string): bigint {
  return (BigInt(secondsSince1900) - UNIX_EPOCH) * NS_PER_SECOND;
}

/** Five words of hexadecimal, some writers without leading zeros. */
function wordsOf(hash: string): string {
  const words = hash.trim().split(/\s+/);
  if (words.length !== 5 || !words.every((word) => /^[\da-f]{1,8}$/i.test(word))) throw damaged(`a hash (#h) of five words, got "${hash.slice(0, 60)}"`);
  return words.map((word) => word.toLowerCase().padStart(8, "0")).join("");
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
