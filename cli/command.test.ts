// SPDX-License-Identifier: MIT OR Apache-2.0
/** The command as its users run it: a process from dist, its output and its exit status. @module */

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve, type Server } from "../hosts/node/index.ts";

const COMMAND = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const built = existsSync(COMMAND);
if (!built) console.warn(`SKIPPED: the command's tests need ${COMMAND}; run "node build/build.mjs --no-types"`);

interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Far more than any run takes: a command that hangs is a failure, with what it said. */
const PATIENCE = 120_000;
const ENVIRONMENT = { ...process.env, NO_COLOR: "1" };

function escapement(...args: string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [COMMAND, ...args], { timeout: PATIENCE, env: ENVIRONMENT }, (_, stdout, stderr) => {
      resolve({ status: child.exitCode, stdout, stderr });
    });
  });
}

/** The one JSON document that standard output must be. */
function json({ stdout }: Finished): Record<string, unknown> {
  return JSON.parse(stdout) as Record<string, unknown>;
}

let server: Server;
let refusing: string;
let good: string;
/** Takes requests and never answers. */
let silent: string;
let deaf: Socket;

beforeAll(async () => {
  server = await serve({ listen: ["127.0.0.1"], port: 0, stratum: 2, refid: "192.0.2.7" });
  good = `127.0.0.1:${server.addresses[0]?.port}`;
  const gone = await serve({ listen: ["127.0.0.1"], port: 0 });
  refusing = `127.0.0.1:${gone.addresses[0]?.port}`;
  await gone.close();
  deaf = createSocket("udp4");
  await new Promise<void>((resolve) => deaf.bind(0, "127.0.0.1", resolve));
  silent = `127.0.0.1:${deaf.address().port}`;
});

afterAll(async () => {
  deaf.close();
  await server.close();
});

describe.skipIf(!built)("escapement", () => {
  it.each([["--help"], ["-h"], ["help"]])("%s lists the commands on standard output", async (help) => {
    const { status, stdout, stderr } = await escapement(help);
    expect([status, stderr]).toEqual([0, ""]);
    for (const name of ["query", "serve", "demo"]) expect(stdout).toContain(name);
  });

  it("help COMMAND is COMMAND --help", async () => {
    expect(await escapement("help", "query")).toEqual(await escapement("query", "--help"));
  });

  it("--version prints the package's version and nothing else", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
    expect(await escapement("--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  it.each(["query", "serve", "demo"])("%s --help explains itself, its exit status 0", async (name) => {
    const { status, stdout, stderr } = await escapement(name, "--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^usage: escapement ${name}`));
    expect(stdout).toContain("--json");
  });

  it.concurrent.each<[string, string[], string]>([
    ["no command", [], "expected a command, got none"],
    ["an unknown command", ["frobnicate"], 'got "frobnicate"'],
    ["a command that is only an object's property", ["constructor"], 'got "constructor"'],
    ["query without a source", ["query"], "at least one SOURCE"],
    ["query with an unknown option", ["query", "--frob", "192.0.2.1"], "--frob"],
    ["query with both families", ["query", "-4", "-6", "192.0.2.1"], "got both"],
    ["roughtime with both families", ["roughtime", "--list", "/nowhere/list", "-4", "-6"], "got both"],
    ["roughtime with a list that is not there", ["roughtime", "--list", "/nowhere/list"], '--list: expected a file that can be read, got "/nowhere/list"'],
    ["query with a server list that is not there", ["query", "--cert-time", "roughtime", "--roughtime-list", "/nowhere/list", "nts:192.0.2.1"], '--roughtime-list: expected a file that can be read, got "/nowhere/list"'],
    ["query with a timeout in milliseconds", ["query", "--timeout", "2000", "192.0.2.1"], "0.01..300"],
    ["query in version 6", ["query", "--ntp-version", "6", "192.0.2.1"], "3..5"],
    ["query of what is no source", ["query", "http://example.org"], "expected a source"],
    ["query with a port that is none", ["query", "192.0.2.1:70000"], "1..65535"],
    ["query of a service by name", ["query", "192.0.2.1:ntp"], "1..65535"],
    ["query of an IPv6 address and a port without brackets", ["query", "::1:25123"], "[2001:db8::1]:123"],
    ["query of an address that is none", ["query", "999.1.1.1"], 'got "999.1.1.1"'],
    ["query without an option's value", ["query", "192.0.2.1", "--timeout"], "--timeout"],
    ["query with a pin that is none", ["query", "--pin", "sha256", "nts:192.0.2.1"], 'got "sha256"'],
    ["query with a key file that is not there", ["query", "--key", "/nowhere/keys:1", "192.0.2.1"], '--key: expected a file that can be read, got "/nowhere/keys"'],
    ["demo with an unknown option", ["demo", "--frob"], "--frob"],
    ["help of an unknown command", ["help", "frobnicate"], 'got "frobnicate"'],
    ["serve with keys that are not there", ["serve", "--keys", "/nowhere/keys"], '--keys: expected a file that can be read, got "/nowhere/keys"'],
    ["serve with a root delay of no stratum", ["serve", "--root-delay", "0.1"], "expected --stratum with --root-delay"],
    ["serve with a root dispersion of no stratum", ["serve", "--root-dispersion", "0.1"], "expected --stratum with --root-dispersion"],
    ["relay with a refid of no stratum", ["relay", "--allow", "192.0.2.1:123", "--refid", "GPS"], "expected --stratum with --refid"],
    ["serve with a refid of no stratum", ["serve", "--refid", "GPS"], "expected --stratum with --refid"],
    ["serve with an argument", ["serve", "now"], 'got "now"'],
    ["serve at stratum 16", ["serve", "--stratum", "16"], "1..15"],
    ["serve nowhere", ["serve", "--listen", "here"], "ADDRESS:PORT"],
    ["serve on two ports", ["serve", "--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"], "one port"],
    ["serve with a refid that is none", ["serve", "--listen", "127.0.0.1:0", "--stratum", "2", "--refid", "GPS"], "IPv4 address"],
  ])("%s is wrong usage: status 2, said on standard error, nothing on standard output", async (_, args, message) => {
    const { status, stdout, stderr } = await escapement(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^escapement: /);
    expect(stderr).not.toContain("    at "); // no stack trace
  });
});

describe.skipIf(!built)("escapement query", () => {
  it("of a good server prints a table and the time, status 0, and ends at once", async () => {
    const { status, stdout, stderr } = await escapement("query", good);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(good);
    expect(stdout).toContain("192.0.2.7");
    expect(stdout).toMatch(/The time is \d{4}-\d\d-\d\dT.*Z ± /);
  });

  it("--json prints one JSON document and nothing else", async () => {
    const finished = await escapement("query", "--json", good, refusing);
    expect([finished.status, finished.stderr]).toEqual([0, ""]);
    const { samples, errors } = json(finished) as { samples: Record<string, unknown>[]; errors: Record<string, unknown>[] };
    expect(samples.length).toBe(1);
    expect(samples[0]).toMatchObject({ source: good, stratum: 2, refid: "192.0.2.7", problems: [], t1: expect.stringMatching(/^\d{19}$/) });
    expect(errors).toEqual([{ source: refusing, code: "UNREACHABLE", message: expect.any(String) }]);
  });

  it("with a network card that cannot stamp says why, and has the stamps of before", async () => {
    const [plain, finished] = [await escapement("query", good, "--json"), await escapement("query", good, "--json", "--hardware-timestamps", "lo")];
    const stamps = (of: typeof plain) => (json(of) as { samples: { timestamps: object }[] }).samples[0]!.timestamps;
    expect(stamps(finished)).toEqual(stamps(plain));
    expect([finished.status, finished.stderr]).toEqual([0, expect.stringMatching(/^escapement: the kernel stamps, not the network card: (lo|\w+ cannot ask).*\n$/)]);
  });

  it("of nothing but a closed port has status 1, and --json is a document still", async () => {
    const finished = await escapement("query", refusing, "--json", "--timeout", "2");
    expect(finished.status).toBe(1);
    expect(json(finished)).toMatchObject({ samples: [], consensus: null, errors: [{ code: "UNREACHABLE" }] });
  });

  it("for people says in the table that it came to nothing, and once below it why", async () => {
    const { status, stdout } = await escapement("query", refusing, silent, "--timeout", "0.5");
    expect(status).toBe(1);
    const lines = stdout.split("\n");
    expect(lines.find((line) => line.includes(refusing))).toMatch(/ unreachable$/);
    expect(lines.find((line) => line.includes(silent))).toMatch(/ silent$/);
    expect(stdout.match(/ECONNREFUSED/g)).toHaveLength(1);
    expect(stdout).toContain(`${silent}: no answer from "${silent}" within 0.5 s`);
    expect(stdout).toContain("No agreement: 0 of 2 sources agree");
  });

  it("of one source that came to nothing does not speak of agreement", async () => {
    const { stdout } = await escapement("query", refusing);
    expect(stdout).toContain("No usable answer. The time is not known.");
    expect(stdout).not.toContain("No agreement");
  });

  it("of a name that does not exist has status 1", async () => {
    const finished = await escapement("query", "name.invalid", "--json");
    expect(finished.status).toBe(1);
    expect(json(finished)).toMatchObject({ errors: [{ source: "name.invalid", code: "DNS" }] });
  });

  it("of a server that is not synchronised has status 1: an answer, but no usable one", async () => {
    await using unsynchronised = await serve({ listen: ["127.0.0.1"], port: 0 });
    const finished = await escapement("query", `127.0.0.1:${unsynchronised.addresses[0]?.port}`, "--json");
    expect(finished.status).toBe(1);
    expect(json(finished)).toMatchObject({ samples: [{ leap: 3, verdict: "unfit" }], consensus: null });
  });

  it("asks in version 3 and with fine-root when told to", async () => {
    const { samples } = json(await escapement("query", good, "--json", "--ntp-version", "3", "-4", "--fine-root")) as { samples: unknown[] };
    expect(samples[0]).toMatchObject({ version: 3 });
  });
});

describe.skipIf(!built)("escapement serve", () => {
  /** A server process that has announced itself. */
  async function start(...args: string[]): Promise<{ child: ChildProcess; announced: string; ended: Promise<Finished> }> {
    const child = spawn(process.execPath, [COMMAND, "serve", "--listen", "127.0.0.1:0", ...args], { stdio: ["ignore", "pipe", "pipe"], env: ENVIRONMENT });
    let stdout = "";
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const ended = new Promise<Finished>((resolve) => child.once("close", (status) => resolve({ status, stdout, stderr })));
    const announced = new Promise<string>((resolve, reject) => {
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
        if (stdout.includes("\n")) resolve(stdout);
      });
      void ended.then(() => reject(new Error(`ended before it announced itself: ${stderr}`)));
    });
    return { child, announced: await announced, ended };
  }

  it.each(["SIGTERM", "SIGINT"] as const)("announces itself, answers, and ends with status 0 on %s", async (signal) => {
    const { child, announced, ended } = await start("--stratum", "3");
    expect(announced).toMatch(/^Answering on 127\.0\.0\.1:\d+, stratum 3\. Stop with Ctrl-C\.\n$/);
    const address = /127\.0\.0\.1:\d+/.exec(announced)?.[0] ?? "";
    const { samples } = json(await escapement("query", address, "--json")) as { samples: unknown[] };
    expect(samples[0]).toMatchObject({ stratum: 3 });
    child.kill(signal);
    expect(await ended).toMatchObject({ status: 0, stderr: "" });
  });

  it("--json announces in JSON and ends with its counters; unsynchronised unless told otherwise", async () => {
    const { child, announced, ended } = await start("--json");
    const { addresses } = JSON.parse(announced) as { addresses: { address: string; port: number }[] };
    expect(addresses).toEqual([{ address: "127.0.0.1", port: expect.any(Number) }]);
    expect((await escapement("query", `127.0.0.1:${addresses[0]?.port}`)).status).toBe(1);
    child.kill("SIGTERM");
    const { status, stdout } = await ended;
    expect(status).toBe(0);
    expect(JSON.parse(stdout.slice(announced.length))).toMatchObject({ stats: { received: 1, answered: 1, dropped: 0, failed: 0 } });
  });

  it("ends with status 0 when the signal comes the moment it announces itself", async () => {
    const { child, ended } = await start();
    child.kill("SIGTERM");
    expect((await ended).status).toBe(0);
  });

  it("on a port that is taken has status 1, said on standard error", async () => {
    const { status, stdout, stderr } = await escapement("serve", "--listen", good);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^escapement: could not listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE/);
  });
});

describe.skipIf(!built)("escapement demo", () => {
  interface Demo {
    agreeing: number;
    consensus: { offset: number; uncertainty: number };
    entries: { source: string; verdict: string; offset: number | null }[];
  }

  it("--json names the liar, and the truth lies within its bound", async () => {
    const finished = await escapement("demo", "--json");
    expect([finished.status, finished.stderr]).toEqual([0, ""]);
    const { agreeing, consensus, entries } = json(finished) as unknown as Demo;
    expect(Object.fromEntries(entries.map(({ source, verdict }) => [source, verdict]))).toEqual({
      gps: "survivor", atomic: "survivor", campus: "survivor", cellar: "survivor", liar: "falseticker", kisser: "unfit", silent: "silent",
    });
    expect(agreeing).toBe(4);
    // The demo's truth is this machine's clock: the true offset is zero.
    expect(Math.abs(consensus.offset)).toBeLessThanOrEqual(consensus.uncertainty);
    // Less than half of the lie, or a busy machine would have hidden it.
    expect(consensus.uncertainty).toBeLessThan(0.25);
    expect(Math.abs(entries.find(({ source }) => source === "liar")!.offset! - 0.5)).toBeLessThan(0.25);
  });

  it("for people tells who is who, who lies and what time it is", async () => {
    const { status, stdout, stderr } = await escapement("demo");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("4 of 7 sources agree; liar lies.");
    expect(stdout).toMatch(/silent +.*silent/);
    expect(stdout).toMatch(/kisser.*kiss: RATE/);
    expect(stdout).toMatch(/The time is \d{4}-.*Z ± .*s/);
    expect(stdout).not.toContain("\u001b"); // NO_COLOR, and no terminal
  });

  it("with a source asks that instead", async () => {
    const finished = await escapement("demo", good, "--json");
    expect(finished.status).toBe(0);
    expect(json(finished)).toMatchObject({ samples: [{ source: good }] });
  });

  it("with options of query passes them on", async () => {
    const finished = await escapement("demo", "-4", "--ntp-version", "3", good, "--json");
    expect(finished.status).toBe(0);
    expect(json(finished)).toMatchObject({ samples: [{ source: good, version: 3 }] });
  });
});
