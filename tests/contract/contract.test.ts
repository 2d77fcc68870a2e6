// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Packs escapement as npm would, installs it in an empty folder, and runs the contract suite on every runtime there; in Chromium
 * and in workerd, which no command runs, by beside.ts. One core and one session for all.
 */

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import type { Report } from "./all.ts";
import { BESIDE } from "./beside.ts";
import { RUNS, missing, type RuntimeRun } from "./runtimes.ts";

const run = promisify(execFile);
/** Outside the repository, whose own node_modules and tsconfig.json must not help. */
const FOLDER = await mkdtemp(path.join(os.tmpdir(), "escapement-contract-"));
afterAll(() => rm(FOLDER, { recursive: true, force: true }));

/** A folder with the packed package in node_modules, with or without koffi beside it, and the bundled suite. */
async function install(folder: string, tarball: string, koffi: boolean): Promise<void> {
  const target = path.join(folder, "node_modules/escapement");
  await mkdir(target, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
  const packages = ["@noble", ...(koffi ? ["koffi", "@koromix"] : [])];
  for (const name of packages) await symlink(path.resolve("node_modules", name), path.join(folder, "node_modules", name));
  await writeFile(path.join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await cp(path.join(FOLDER, "main.js"), path.join(folder, "main.js"));
}

async function prepare(): Promise<void> {
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", FOLDER]);
  const tarball = path.join(FOLDER, (JSON.parse(stdout) as [{ filename: string }])[0].filename);
  await build({
    entryPoints: ["tests/contract/main.ts"],
    outfile: path.join(FOLDER, "main.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: ["node:*", "escapement", "escapement/*"],
    tsconfigRaw: "{}",
  });
  await install(path.join(FOLDER, "with-koffi"), tarball, true);
  await install(path.join(FOLDER, "without-koffi"), tarball, false);
}

/** What a whole run may take on a crowded machine, ms. A process that does not end by itself has left something open. */
const RUN_LIMIT = 300_000;

async function runOn({ command, flags, args, koffi = true, environment }: RuntimeRun): Promise<Report> {
  const cwd = path.join(FOLDER, koffi ? "with-koffi" : "without-koffi");
  const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...environment };
  const { stdout } = await run(command, [...flags, "main.js", ...args], { cwd, env, timeout: RUN_LIMIT });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Report;
}

await prepare();
const reports = new Map<string, Report | Error>();
for (const one of RUNS.filter((candidate) => !missing(candidate))) {
  reports.set(one.name, await runOn(one).catch((error: Error) => error));
}

for (const { name, missing: absent, report } of BESIDE) if (!absent) reports.set(name, await report().catch((error: Error) => error));

const ALL = [...RUNS.map((one) => ({ name: one.name, absent: missing(one) })), ...BESIDE.map(({ name, missing: absent }) => ({ name, absent }))];

for (const { name, absent } of ALL) {
  const report = reports.get(name);
  describe(name, () => {
    if (!report) return test.skip(`skipped: ${absent}`, () => {});
    test("runs the suite", () => {
      // Its message has what the process said.
      if (report instanceof Error) throw report;
      console.log(`${report.runtime} ${report.version}, ${report.clock}, core ${report.core}, session ${report.session}, recorded ${report.recorded}`);
    });
    if (report instanceof Error) return;
    for (const { name: contract, error, leftOut } of report.results) {
      test(leftOut ? `not under contract here: ${contract}: ${leftOut}` : contract, () => expect(error).toBeUndefined());
    }
  });
}

describe("one core for all", () => {
  const all = [...reports.values()].flatMap((report) => (report instanceof Error ? [] : [report]));
  test("the same wasm runs everywhere", () => expect(new Set(all.map(({ core }) => core)).size).toBe(1));
  test("the same packets give the same bits everywhere", () => expect(new Set(all.map(({ session }) => session)).size).toBe(1));
  test("a recorded session, TLS and NTS and Roughtime, gives the same octets and the same samples everywhere", () => expect(new Set(all.map(({ recorded }) => recorded)).size).toBe(1));
  test("every contract is held somewhere, and all of them where a runtime serves itself", () => {
    for (const { runtime, results } of all) {
      expect(results.map(({ name }) => name)).toEqual(all[0]!.results.map(({ name }) => name));
      if (runtime !== "browser" && runtime !== "edge") expect(results.filter(({ leftOut }) => leftOut)).toEqual([]);
    }
  });
});
