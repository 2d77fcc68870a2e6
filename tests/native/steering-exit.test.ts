// SPDX-License-Identifier: MIT OR Apache-2.0
/** However a process ends, its clock is put back: on Node, and on Deno and Bun where they are installed. @module */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const installed = (path: string): string => fileURLToPath(new URL(`../runtimes/node_modules/${path}`, import.meta.url));
const RUNTIMES = [
  ["Node", process.execPath, []],
  ["Deno", installed("@deno/linux-x64-glibc/deno"), ["run", "--allow-all"]],
  ["Bun", installed("@oven/bun-linux-x64-baseline/bin/bun"), ["run"]],
] as const;

const folder = mkdtempSync(join(tmpdir(), "exit-"));
const child = join(folder, "child.mjs");

beforeAll(async () => {
  const entry = fileURLToPath(new URL("steering-exit-child.ts", import.meta.url));
  await build({ entryPoints: [entry], outfile: child, bundle: true, format: "esm", platform: "node", logLevel: "error" });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(RUNTIMES.filter(([, path]) => existsSync(path)))("on %s", (_name, path, flags) => {
  it.each([
    ["return", "restored", { status: 0 }],
    ["exit", "restored", { status: 3 }],
    ["throw", "restored", { status: 1 }],
    ["reject", "restored", { status: 1 }],
    ["SIGINT", "restored", { signal: "SIGINT" }],
    ["SIGTERM", "restored", { signal: "SIGTERM" }],
    ["SIGHUP", "restored", { signal: "SIGHUP" }],
    ["heard", "still steering\nrestored", { status: 4 }],
    ["undone", "", { status: 5 }],
  ])("%s", (ending, output, end) => {
    const result = spawnSync(path, [...flags, child, ending], { encoding: "utf8", timeout: 120_000 });
    expect(result.stdout.trim()).toBe(output);
    expect(result).toMatchObject(end);
  });
});
