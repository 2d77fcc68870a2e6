// SPDX-License-Identifier: MIT OR Apache-2.0
/** The server's threads on every runtime, from the package as it is installed: the fast path with FFI, one thread without. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RUNS, missing } from "../contract/runtimes.ts";
import { DIST, lacking } from "./built.ts";

const run = promisify(execFile);
/** Only a failure takes so long. */
const LIMIT_MS = 120_000;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "escapement-server-"));
  for (const name of ["with-koffi", "without-koffi"]) {
    const target = path.join(folder, name, "node_modules/escapement");
    await mkdir(target, { recursive: true });
    await cp(DIST, path.join(target, "dist"), { recursive: true });
    await cp("package.json", path.join(target, "package.json"));
    await writeFile(path.join(folder, name, "package.json"), '{ "private": true, "type": "module" }');
    await build({ entryPoints: ["tests/server/runtimes-child.ts"], outfile: path.join(folder, name, "child.js"), bundle: true, format: "esm", platform: "neutral", target: "es2022", external: ["node:*", "escapement"], tsconfigRaw: "{}" });
  }
  for (const name of ["koffi", "@koromix"]) await symlink(path.resolve("node_modules", name), path.join(folder, "with-koffi/node_modules", name));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(lacking !== undefined)("a server in threads", () => {
  for (const one of RUNS) {
    const reason = missing(one);
    const fast = one.args[0] === "kernel";
    test.skipIf(reason !== undefined)(`${one.name}: ${fast ? "the fast path" : "the runtime's own sockets"}${reason ? ` [${reason}]` : ""}`, async () => {
      const native = one.args.includes("native") || one.args.includes("portable");
      const cwd = path.join(folder, one.koffi === false ? "without-koffi" : "with-koffi");
      // Bun has its FFI always: the contract suite goes without it by an argument of its own.
      if (one.args.includes("portable") && native) return;
      const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...one.environment };
      const { stdout } = await run(one.command, [...one.flags, "child.js", fast ? "kernel" : "user"], { cwd, env, timeout: LIMIT_MS });
      const seen = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, unknown>;
      expect(seen).toMatchObject({ events: ["thread-failed", "thread-restarted"], usable: [true, true, true, true], strata: [2, 4, 4], metrics: true, threads: fast ? 3 : 2 });
      expect(seen["received"]).toBe(seen["answered"]);
      if (fast) expect(seen["received"]).toBe(seen["asked"]);
      if (fast) expect(seen["precision"]).toBeLessThan(-15);
      else expect(seen["precision"]).toBeGreaterThanOrEqual(-14);
      // By itself: a thread that does not is ended after a second.
      expect(seen["closedInMs"]).toBeLessThan(1000);
    });
  }
});
