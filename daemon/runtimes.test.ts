// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon and its commands on Deno and Bun, from the package as it is installed: it follows a server of ours in NTPv5, serves
 * in its turn, tells what it knows, on its page too, and ends when told to. On Node: daemon.test.ts.
 */

import { existsSync } from "node:fs";
import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RUNS, missing } from "../tests/contract/runtimes.ts";
import { startServe } from "../tests/interop/ask.ts";
import { COMMAND, Peer, eventually, freePort, freeTcpPort, freshDirectory, loopbackAlias, run, titled, whySkipped, writeLines, type Ended } from "../tests/support/peers.ts";
import type { SourceReport, TrackingReport } from "./report.ts";

const built = existsSync(COMMAND);
if (!built) console.warn('SKIPPED: the daemon on Deno and Bun needs a build; run "node build/build.mjs --no-types"');
const skipped = whySkipped([]);
/** Of the contract's runs, and how each says that it reads the system's clock. */
const RUNTIMES = [["Deno with FFI", "Deno.dlopen"], ["Bun with FFI", "bun:ffi"]] as const;
/** The package's own, beside koffi, which both do without. */
const NEEDED = ["@noble", "smol-toml", "ws"];
/** A runtime takes a second to start, and more among others. */
const LIMIT_MS = 60_000;

describe.skipIf(!built || skipped)(titled("a daemon on", skipped), () => {
  const folder = freshDirectory();
  const installed = path.join(folder, "node_modules/escapement");
  beforeAll(async () => {
    // Outside the repository, whose tsconfig.json Bun would follow to another host.
    await mkdir(installed, { recursive: true });
    await cp(path.resolve("dist"), path.join(installed, "dist"), { recursive: true });
    await cp(path.resolve("package.json"), path.join(installed, "package.json"));
    await writeFile(path.join(folder, "package.json"), '{ "private": true, "type": "module" }');
    for (const name of NEEDED) await symlink(path.resolve("node_modules", name), path.join(folder, "node_modules", name));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(RUNTIMES)("%s follows and serves, in NTPv5, too, and tells of it", async (name, readings) => {
    const one = RUNS.find((candidate) => candidate.name === name)!;
    const lacking = missing(one);
    if (lacking) return console.warn(`SKIPPED: ${name}: ${lacking}`);
    const program = (...args: string[]) => [...one.flags, path.join(installed, "dist/cli/main.js"), ...args];
    const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
    const ask = (...args: string[]): Promise<Ended> => run(one.command, program(...args), { env, timeoutMs: LIMIT_MS });
    const [theirs, other, ours] = [loopbackAlias(), loopbackAlias(), loopbackAlias()];
    const port = await freePort(theirs, other, ours);
    const page = await freeTcpPort("127.0.0.1");
    await using server = await startServe(["--listen", `${theirs}:${port}`, "--listen", `${other}:${port}`, "--stratum", "1", "--refid", "GPS"]);
    const directory = freshDirectory();
    const socket = path.join(directory, "observe.sock");
    const config = writeLines(directory, "daemon.toml", [
      "[[source]]", `address = "${theirs}:${port}"`, "version = 5", "min-poll = 0", "max-poll = 0",
      "[[source]]", `address = "${other}:${port}"`, "min-poll = 0", "max-poll = 0",
      "[clock]", 'mode = "observe"', "[observe]", `socket = "${socket}"`, `dashboard = { port = ${page} }`, "[server]", `listen = ["${ours}"]`, `port = ${port}`,
    ]);
    await using daemon = new Peer(one.command, program("daemon", "--config", config), { env, owns: [directory] });
    const told = await eventually("the daemon to be synchronised", async () => {
      const tracking = JSON.parse((await ask("tracking", "--json", "--socket", socket)).stdout) as TrackingReport;
      return tracking.synchronised ? tracking : undefined;
    }, daemon, LIMIT_MS);
    expect(told).toMatchObject({ stratum: 2, leap: 0 });
    expect([theirs, other]).toContain(told.address);
    expect(daemon.said).toContain(readings);
    const sources = await eventually("both to be measured", async () => {
      const latest = JSON.parse((await ask("sources", "--json", "--socket", socket)).stdout) as SourceReport[];
      return latest.every(({ used, problems }) => used > 0 && problems.length === 0) ? latest : undefined;
    }, daemon, LIMIT_MS);
    // NTPv5 tells no reference identifier.
    expect(sources).toMatchObject([{ stratum: 1, refid: null, problems: [] }, { stratum: 1, refid: "GPS", problems: [] }]);
    for (const version of [4, 5]) {
      const { status, stdout, stderr } = await ask("query", `${ours}:${port}`, "--ntp-version", String(version), "--json");
      expect(status, stdout + stderr).toBe(0);
      expect((JSON.parse(stdout) as { samples: object[] }).samples).toMatchObject([{ version, stratum: 2, problems: [] }]);
    }
    expect((await ask("serverstats", "--socket", socket)).stdout).toMatch(/^answered +: 2$/m);
    const shown = (await (await fetch(`http://127.0.0.1:${page}/state.json`)).json()) as { tracking: TrackingReport; time: string };
    expect(shown.tracking).toMatchObject({ mode: "observe", synchronised: true });
    expect(Math.abs(Number(BigInt(shown.time) / 1_000_000n) - Date.now())).toBeLessThan(5000);
    expect(await (await fetch(`http://127.0.0.1:${page}/`)).text()).toContain("/dashboard.js");
    const ended = await daemon.stop();
    expect(ended.status, ended.stderr).toBe(0);
    expect(ended.stderr).toContain("stopped");
    expect(server.over).toBe(false);
  });
});
