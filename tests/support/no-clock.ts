// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An environment in which a program's calls to set the clock succeed without effect: no-clock.c, compiled once per test file.
 *
 * @module
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { freshDirectory, run } from "./peers.ts";

const SOURCE = fileURLToPath(new URL("no-clock.c", import.meta.url));
let compiled: Promise<string> | undefined;

/** For the `env` of a peer. */
export async function withoutClockCalls(): Promise<Record<string, string>> {
  return { LD_PRELOAD: await (compiled ??= compile()) };
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
