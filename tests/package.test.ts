// SPDX-License-Identifier: MIT OR Apache-2.0
/** The package as npm would publish it: what is in it, and whether its entries and types resolve. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const built = existsSync(path.join(ROOT, "dist/types/hosts/node/index.d.ts"));
if (!built) console.warn('SKIPPED: the package needs a build with types; run "node build/build.mjs"');

/** npm, and a type checker that reads everything, on a machine that is busy. */
const PATIENCE_MS = 60_000;
const execute = promisify(execFile);

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

interface Ended {
  readonly status: number;
  readonly output: string;
}

/** A program of node_modules, by its file: no shell, no network. */
async function tool(script: string, args: readonly string[], cwd = ROOT): Promise<Ended> {
  try {
    const env = { ...process.env, NO_COLOR: "1" };
    const file = path.join(ROOT, "node_modules", script);
    const { stdout, stderr } = await execute(process.execPath, [file, ...args], { cwd, env });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, output: stdout + stderr };
  }
}

describe.skipIf(!built)("the package", { timeout: PATIENCE_MS }, () => {
  let folder: string;
  let packed: Packed;
  let tarball: string;
  let manifest: { exports: Record<string, unknown>; bin: Record<string, string> };

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "escapement-package-"));
    const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const { stdout } = await execute("npm", pack, { cwd: ROOT });
    [packed] = JSON.parse(stdout) as [Packed];
    tarball = path.join(folder, packed.filename);
    manifest = JSON.parse(await readFile(path.join(ROOT, "package.json"), "utf8"));
    const target = path.join(folder, "node_modules/escapement");
    await mkdir(target, { recursive: true });
    await execute("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
  }, PATIENCE_MS);
  afterAll(() => (folder ? rm(folder, { recursive: true, force: true }) : undefined));

  it("has what is built, what is to be read, and nothing else: no sources, no tests", () => {
    const WANTED = /^(dist\/.+\.(js|js\.LEGAL\.txt|d\.ts|wasm)|dist\/dashboard\/(index\.html|dashboard\.css|icon\.svg)|package\.json|README\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE))$/;
    const UNWANTED = /\.test\.|(^|\/)(tests|bench|examples|node_modules)\//;
    const names = packed.files.map((file) => file.path);
    expect(names.filter((name) => !WANTED.test(name) || UNWANTED.test(name))).toEqual([]);
  });

  it("has everything that package.json promises", () => {
    const names = new Set(packed.files.map((file) => `./${file.path}`));
    const promised = [manifest.bin, manifest.exports].flatMap((map) => leaves(map));
    expect(promised.filter((target) => !names.has(target))).toEqual([]);
    const ours = ["./README.md", "./CHANGELOG.md", "./LICENSE-MIT", "./LICENSE-APACHE"];
    const page = ["index.html", "dashboard.css", "dashboard.js", "dashboard.js.LEGAL.txt", "icon.svg"].map((name) => `./dist/dashboard/${name}`);
    expect([...ours, ...page].filter((name) => !names.has(name))).toEqual([]);
  });

  it("has nothing that publint finds fault with, in its strict mode", async () => {
    const installed = path.join(folder, "node_modules/escapement");
    const { status, output } = await tool("publint/src/cli.js", ["--strict", installed]);
    expect({ status, output }).toMatchObject({ status: 0, output: expect.stringContaining("All good!") });
  });

  it("has types that resolve for whoever imports it as an ES module (attw)", async () => {
    const args = [tarball, "--profile", "esm-only", "--no-color"];
    const { status, output } = await tool("@arethetypeswrong/cli/dist/index.js", args);
    expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });
  });

  it.each([
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ])("compiles in a strict program that has ES2022 and DOM alone (%s, %s)", async (module, resolution) => {
    const program = path.join(folder, `${resolution}.mts`);
    await writeFile(program, USER_PROGRAM);
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"];
    const args = [...options, "--module", module, "--moduleResolution", resolution, program];
    expect(await tool("typescript/bin/tsc", args, folder)).toEqual({ status: 0, output: "" });
  });

  it("runs for who has nothing else installed: no koffi, no other package", async () => {
    const args = ["--input-type=module", "--eval", LONE_PROGRAM];
    const { stdout } = await execute(process.execPath, args, { cwd: folder });
    expect(stdout).toBe("true\n");
  });
});

const USER_PROGRAM = `
  import { now, query, serve, startClock, survey, watch, NtpError, type Sample } from "escapement";
  import { Core, explainPacket } from "escapement/core";
  const sample: Sample = await query("localhost");
  const t1: bigint = sample.t1;
  console.log(t1, now, serve, startClock, survey, watch, NtpError, Core, explainPacket);
`;

const LONE_PROGRAM = `
  import { serve, query } from "escapement";
  const server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 1 });
  const { usable } = await query("127.0.0.1:" + server.addresses[0].port);
  await server.close();
  console.log(usable);
`;

/** All paths in a map of exports or bins, whatever its conditions. */
function leaves(map: unknown): string[] {
  if (typeof map === "string") return [map];
  return Object.values(map as object).flatMap(leaves);
}
