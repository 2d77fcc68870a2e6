// SPDX-License-Identifier: MIT OR Apache-2.0
/** Running the programs of examples/ as a user does, from what is built. Used by tests/examples.test.ts, its neighbours, and tests/documents.test.ts. @module */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const built = existsSync(path.join(ROOT, "dist/node/index.js"));
if (!built) console.warn('SKIPPED: examples and snippets need a build; run "node build/build.mjs"');

/** Starting a clock takes six seconds; the rest is a busy machine. Only a failure takes so long. */
export const PATIENCE_MS = 120_000;
/** For programs that end by themselves after so many seconds, and are stopped once they have told what they should. */
export const PLENTY_S = 100;

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sees all output so far; for programs that wait for a signal. */
type OnOutput = (output: string, stop: () => void) => void;

/** Run a program to its end. */
export function run(file: string, args: readonly string[] = [], onOutput?: OnOutput, { cwd = ROOT, seconds = 8, environment = {} } = {}): Promise<Finished> {
  const options = { cwd, env: { ...process.env, NO_COLOR: "1", SECONDS: String(seconds), ...environment }, timeout: PATIENCE_MS };
  const child = spawn(process.execPath, [file, ...args], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    onOutput?.(stdout, () => child.kill("SIGTERM"));
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** A server that is sure of itself. */
export const SURE = { listen: ["127.0.0.1"], port: 0, stratum: 1, rootDispersion: 0.001 };
/** A number of seconds as a pattern. */
export const SECONDS = String.raw`-?[\d.e-]+`;

/** Its output, after a clean end. */
export async function output(name: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(`examples/${name}.mjs`, args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}
