// SPDX-License-Identifier: MIT OR Apache-2.0
/** `roughtime-key`, `serve --roughtime` and `query roughtime:…` as their users run them. @module */

import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { judgeReport } from "../hosts/common/roughtime/report.ts";
import { eventually, freshDirectory } from "../tests/support/peers.ts";
import { ownServer, tcpHost, type OwnServer } from "../tests/support/roughtime.ts";

const COMMAND = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const built = existsSync(COMMAND);
if (!built) console.warn(`SKIPPED: the command's tests need ${COMMAND}; run "node build/build.mjs --no-types"`);

const FOLDER = freshDirectory();
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));
const at = (name: string) => path.join(FOLDER, name);
const ENVIRONMENT = { ...process.env, NO_COLOR: "1" };
const KEY = /^[\w+/]{43}=$/;

interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function escapement(...args: string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [COMMAND, ...args], { timeout: 120_000, env: ENVIRONMENT }, (_, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }));
  });
}

/** A server with these options; its first line, its other words, and its end. */
async function serving(...options: string[]) {
  const child = spawn(process.execPath, [COMMAND, "serve", "--listen", "127.0.0.1:0", "--stratum", "3", "--json", ...options], { env: ENVIRONMENT });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const closed = new Promise((resolve) => child.once("close", resolve));
  const first = await eventually("the server to listen", () => (stdout.includes("\n") ? stdout.split("\n")[0] : undefined));
  const { roughtime } = JSON.parse(first) as { roughtime: { address: string; port: number; transport: string }[] };
  const stop = async () => {
    child.kill("SIGTERM");
    await closed;
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as { stats: object; roughtime: Record<string, number> };
  };
  return { child, roughtime, port: roughtime[0]!.port, stop, said: () => stderr };
}

describe.skipIf(!built)("roughtime --list", () => {
  let honest: OwnServer[];
  let liar: OwnServer;
  beforeAll(async () => {
    const host = await tcpHost();
    honest = await Promise.all(["one", "two", "three"].map((name) => ownServer(host, { name })));
    liar = await ownServer(host, { name: "liar", ahead: 3600 });
  });
  afterAll(() => Promise.all([...honest, liar].map((server) => server[Symbol.asyncDispose]())));

  function listOf(...servers: OwnServer[]): string {
    const file = at(`list-${servers.map(({ entry }) => entry.name).join("-")}.json`);
    writeFileSync(file, JSON.stringify({ servers: servers.map(({ entry }) => ({
      name: entry.name, version: 1, publicKeyType: "ed25519", publicKey: Buffer.from(entry.publicKey).toString("base64"),
      addresses: entry.addresses.map(({ protocol, host, port }) => ({ protocol, address: `${host}:${port}` })),
    })) }));
    return file;
  }

  it("says where the present lies, by servers that agree", async () => {
    const { status, stdout } = await escapement("roughtime", "--list", listOf(...honest));
    expect([status, stdout]).toEqual([0, expect.stringContaining("3 of 3 servers agree: the present is between")]);
    expect(stdout.match(/^(one|two|three): \d{4}-\d\d-\d\dT[\d:]+Z ± 3/gm)).toHaveLength(6);
    const json = JSON.parse((await escapement("roughtime", "--list", listOf(...honest), "--json")).stdout) as { bounds: { low: string; high: string }; contradictions: unknown[] };
    expect(Date.parse(json.bounds.low)).toBeLessThan(Date.now());
    expect(Date.parse(json.bounds.high)).toBeGreaterThan(Date.now() - 20_000);
    expect(json.contradictions).toEqual([]);
  });

  it("finds the time past a liar, its exit status 1, and keeps the proof", async () => {
    const proof = at("proof.json");
    const { status, stdout } = await escapement("roughtime", "--list", listOf(honest[0]!, liar, honest[1]!), "--report", proof);
    expect([status, stdout]).toEqual([1, expect.stringMatching(/2 of 3 servers agree[^]*Somebody lied/)]);
    expect(judgeReport(JSON.parse(readFileSync(proof, "utf8"))).problems).toEqual([]);
    // The next client of NTS can do with the same list.
    expect((await escapement("query", "--cert-time", "roughtime", "--roughtime-list", listOf(honest[0]!, liar, honest[1]!), "--timeout", "0.2", "192.0.2.1")).status).toBe(1);
  });

  it("of too few servers, or without a list, is wrong usage", async () => {
    expect((await escapement("roughtime", "--list", listOf(honest[0]!, honest[1]!)))).toMatchObject({ status: 2, stderr: expect.stringContaining("expected 3 Roughtime servers or more, got 2") });
    expect((await escapement("roughtime"))).toMatchObject({ status: 2, stderr: expect.stringContaining("--list FILE") });
    expect((await escapement("query", "--roughtime-list", listOf(...honest), "192.0.2.1"))).toMatchObject({ status: 2, stderr: expect.stringContaining("--cert-time roughtime") });
  });
});

describe.skipIf(!built)("roughtime-key", () => {
  let publicKey: string;
  beforeAll(async () => {
    publicKey = (await escapement("roughtime-key", "generate", at("key"))).stdout.trim();
    await escapement("roughtime-key", "delegate", at("key"), at("delegations"), "--days", "10", "--count", "3", "--start", "2030-01-01T00:00:00Z");
  });

  it("generates a key that only its owner can read, and prints its public half", () => {
    expect(publicKey).toMatch(KEY);
    expect(statSync(at("key")).mode & 0o777).toBe(0o600);
  });

  it("never writes over a key", async () => {
    const before = readFileSync(at("key"), "utf8");
    const { status, stderr } = await escapement("roughtime-key", "generate", at("key"));
    expect([status, stderr]).toEqual([2, expect.stringContaining("expected a new file")]);
    expect(readFileSync(at("key"), "utf8")).toBe(before);
  });

  it("delegates into a file without the long-term key, and shows when each holds", async () => {
    const secret = (JSON.parse(readFileSync(at("key"), "utf8")) as { seed: string }).seed;
    expect(readFileSync(at("delegations"), "utf8")).not.toContain(secret);
    expect(statSync(at("delegations")).mode & 0o777).toBe(0o600);
    const { stdout } = await escapement("roughtime-key", "show", at("delegations"));
    expect(stdout.trim().split("\n")).toEqual([
      publicKey,
      "2029-12-31T23:00:00Z to 2030-01-11T01:00:00Z",
      "2030-01-10T23:00:00Z to 2030-01-21T01:00:00Z",
      "2030-01-20T23:00:00Z to 2030-01-31T01:00:00Z",
    ]);
    expect((await escapement("roughtime-key", "show", at("key"))).stdout.trim()).toBe(publicKey);
  });

  it("closes a file to others that it writes over with --force", async () => {
    writeFileSync(at("old"), "old", { mode: 0o644 });
    expect((await escapement("roughtime-key", "delegate", at("key"), at("old"))).status).toBe(2);
    expect((await escapement("roughtime-key", "delegate", at("key"), at("old"), "--force")).status).toBe(0);
    expect(statSync(at("old")).mode & 0o777).toBe(0o600);
  });

  it.each([
    [[]], [["generate"]], [["generate", "a", "b"]], [["delegate", at("key")]], [["forget", "a"]],
    [["delegate", at("key"), at("x"), "--days", "0"]], [["delegate", at("key"), at("x"), "--count", "1.5"]], [["delegate", at("key"), at("x"), "--start", "soon"]],
    [["delegate", at("delegations"), at("x")]], [["show", fileURLToPath(import.meta.url)]],
  ])("%j is wrong usage, and leaves no file behind", async (args) => {
    const { status, stderr } = await escapement("roughtime-key", ...args);
    expect([status, stderr]).toEqual([2, expect.stringContaining("expected")]);
    expect(existsSync(at("x"))).toBe(false);
  });
});

describe.skipIf(!built)("serve --roughtime and query roughtime:", () => {
  let publicKey: string;
  beforeAll(async () => {
    publicKey = (await escapement("roughtime-key", "generate", at("served"))).stdout.trim();
    await escapement("roughtime-key", "delegate", at("served"), at("now"), "--count", "2");
  });

  it("tell the time, and say how", async () => {
    const { port, roughtime, stop, said } = await serving("--roughtime", "127.0.0.1:0", "--roughtime-key", at("now"), "--roughtime-grease", "0");
    expect(roughtime.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
    const source = `roughtime:127.0.0.1:${port}#${publicKey}`;
    const { status, stdout } = await escapement("query", source);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^✓ +roughtime:127\.0\.0\.1:\d+ .*3\.5\d\d s .*Roughtime\/udp +\w+ +agrees$/m)]);
    expect(stdout).toMatch(/\nThe time is \d{4}-.* ± 3\.5/);
    const { samples } = JSON.parse((await escapement("query", "--json", source)).stdout) as { samples: object[] };
    expect(samples).toMatchObject([{ source, authenticated: true, roughtime: { radius: 3, transport: "udp" } }]);
    expect((await stop()).roughtime).toMatchObject({ received: 2, answered: 2, greased: 0 });
    expect(said()).toBe("");
  });

  it("under another key end in status 1", async () => {
    const { port, stop } = await serving("--roughtime", "127.0.0.1:0", "--roughtime-key", at("now"));
    const other = Buffer.alloc(32, 7).toString("base64");
    const { status, stdout } = await escapement("query", "--timeout", "0.5", `roughtime:127.0.0.1:${port}#${other}`);
    expect([status, stdout]).toEqual([1, expect.stringMatching(/check the key/)]);
    await stop();
  });

  it("take new delegations on SIGHUP, and keep the old when the new are faulty", async () => {
    writeFileSync(at("changing"), readFileSync(at("now")), { mode: 0o600 });
    const { child, port, stop, said } = await serving("--roughtime", "127.0.0.1:0", "--roughtime-key", at("changing"), "--roughtime-grease", "0");
    const notAfter = async () => (JSON.parse((await escapement("query", "--json", `roughtime:127.0.0.1:${port}#${publicKey}`)).stdout) as { samples: { roughtime: { notAfter: number } }[] }).samples[0]!.roughtime.notAfter;
    const before = await notAfter();
    await escapement("roughtime-key", "delegate", at("served"), at("changing"), "--force", "--days", "300", "--count", "1");
    child.kill("SIGHUP");
    await eventually("the new delegation", async () => ((await notAfter()) - before > 86400 * 200 ? true : undefined));
    writeFileSync(at("changing"), "nonsense");
    child.kill("SIGHUP");
    await eventually("the complaint", () => (said().includes("Roughtime key file: expected") ? true : undefined));
    expect((await notAfter()) - before).toBeGreaterThan(86400 * 200);
    await stop();
  });

  it("take a long-term key, too, and complain of one that others can read", async () => {
    writeFileSync(at("open"), readFileSync(at("served")));
    chmodSync(at("open"), 0o644);
    const { port, stop, said } = await serving("--roughtime", "127.0.0.1:0", "--roughtime-key", at("open"), "--roughtime-grease", "0");
    expect((await escapement("query", `roughtime:127.0.0.1:${port}#${publicKey}`)).status).toBe(0);
    expect(said()).toContain("can be read by others");
    await stop();
  });

  it.each([
    ["--roughtime without a key", ["--stratum", "3", "--roughtime", ":0"]],
    ["a key without --roughtime", ["--stratum", "3", "--roughtime-key", at("now")]],
    ["a clock that nobody vouches for", ["--roughtime", ":0", "--roughtime-key", at("now")]],
    ["too much grease", ["--stratum", "3", "--roughtime", ":0", "--roughtime-key", at("now"), "--roughtime-grease", "0.9"]],
    ["no address", ["--stratum", "3", "--roughtime", "here", "--roughtime-key", at("now")]],
  ])("with %s are wrong usage", async (_, args) => {
    const { status, stderr } = await escapement("serve", "--listen", "127.0.0.1:0", ...args);
    expect([status, stderr]).toEqual([2, expect.stringContaining("expected")]);
  });

  it("with a key file that is not there are wrong usage, and do not hang", async () => {
    const { status, stderr } = await escapement("serve", "--listen", "127.0.0.1:0", "--stratum", "3", "--roughtime", "127.0.0.1:0", "--roughtime-key", at("nothing"));
    expect([status, stderr]).toEqual([2, expect.stringContaining(`--roughtime-key: expected a file that can be read, got "${at("nothing")}"`)]);
  });
});
