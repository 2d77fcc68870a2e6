// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An environment in which a program's calls to set the clock succeed without effect: no-clock.c, compiled once per test file.
 *
 * @module
 */

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { freshDirectory, run } from "./peers.ts";

const SOURCE = fileURLToPath(new URL("no-clock.c", import.meta.url));
let compiled: Promise<string> | undefined;

/** For the `env` of a peer; what it would have set is written to the file `log`, if one is named. */
export async function withoutClockCalls(log?: string): Promise<Record<string, string>> {
  return { LD_PRELOAD: await (compiled ??= compile()), ...(log !== undefined && { NO_CLOCK_LOG: log }) };
}

/** A call that would have set the clock. */
export interface ClockCall {
  readonly name: "adjtime" | "settimeofday" | "clock_settime";
  /** What it would have moved the clock by, s. */
  readonly by: number;
}

/** Some write adjtime() themselves: ADJ_OFFSET_SINGLESHOT, in µs. */
const SINGLE_SHOT = "adjtimex modes 0x8001 offset ";

/** The calls to move the clock that a program made, in order; those that only turn it are not among them. */
export function clockCalls(log: string): ClockCall[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, "utf8").split("\n");
  return lines.flatMap((line) => {
    if (line.startsWith(SINGLE_SHOT)) return [{ name: "adjtime" as const, by: Number(line.slice(SINGLE_SHOT.length)) / 1e6 }];
    const [, name, by] = /^(adjtime|settimeofday|clock_settime) (\S+)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name: name as ClockCall["name"], by: Number(by) }];
  });
}

async function compile(): Promise<string> {
  const directory = freshDirectory();
  const library = join(directory, "no-clock.so");
  const { status, stderr } = await run("cc", ["-shared", "-fPIC", "-O1", "-o", library, SOURCE]);
  if (status !== 0) throw new Error(`expected no-clock.c to compile: ${stderr}`);
  return library;
}

afterAll(async () => {
  const library = await compiled?.catch(() => undefined);
  if (library !== undefined) rmSync(join(library, ".."), { recursive: true, force: true });
});
