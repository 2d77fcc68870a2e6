// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What users copy: each program of examples/ and each snippet of README and docs, run against a real server of ours on
 * loopback; and the documents themselves: links that lead somewhere, figures that are not stale.
 *
 * They run what is built, as a user's program would. A snippet marked `js run` is run, every `js` one is type-checked;
 * in one that runs, names under .example and example.org stand for the server on loopback.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { base64 } from "../hosts/common/roughtime/list.ts";
import { judgeReport } from "../hosts/common/roughtime/report.ts";
import { lendHost, serve, type Server, type UdpSocket } from "../hosts/node/index.ts";
import { SockFeed } from "../hosts/common/refclock/foreign-clocks.ts";
import { freshDirectory, hasIPv6, titled, whySkipped } from "./support/peers.ts";
import { everySecond, openLine, receiver, type Line } from "./support/receiver.ts";
import { issue, makeCa } from "./support/pki.ts";
import { ownServer } from "./support/roughtime.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Inside the package, where `escapement` means itself. */
const SNIPPETS = path.join(ROOT, ".cache/snippets");
const built = existsSync(path.join(ROOT, "dist/node/index.js"));
if (!built) console.warn('SKIPPED: examples and snippets need a build; run "node build/build.mjs"');

/** Starting a clock takes six seconds; the rest is a busy machine. */
const PATIENCE_MS = 40_000;

interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sees all output so far; for programs that wait for a signal. */
type OnOutput = (output: string, stop: () => void) => void;

/** Run a program to its end. */
function run(file: string, args: readonly string[] = [], onOutput?: OnOutput, { cwd = ROOT, seconds = 8, environment = {} } = {}): Promise<Finished> {
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
const SURE = { listen: ["127.0.0.1"], port: 0, stratum: 1, rootDispersion: 0.001 };
/** A number of seconds as a pattern. */
const SECONDS = String.raw`-?[\d.e-]+`;

let server: Server;
let silent: UdpSocket;
let good: string;
let closed: string;
beforeAll(async () => {
  server = await serve({ port: 0, stratum: 1, refid: "PPS" });
  const { port } = server.addresses[0]!;
  good = `127.0.0.1:${port}`;
  const gone = await serve({ listen: ["127.0.0.1"], port: 0 });
  closed = `127.0.0.1:${gone.addresses[0]!.port}`;
  await gone.close();
  const host = await lendHost();
  silent = await host.openUdp!({ family: 4, address: "127.0.0.1" }, { onDatagram: () => {}, onError: () => {} });
});
afterAll(async () => {
  silent?.close();
  await server?.close();
});

/** A server list of three on loopback, the first with its clock so many seconds ahead. */
async function roughtimeList(ahead = 0) {
  const host = await lendHost();
  const own = await Promise.all([ahead, 0, 0].map((ahead, i) => ownServer(host, { ahead, name: `server ${i}` })));
  const servers = own.map(({ entry: { name, publicKey, addresses } }) => ({
    name, version: 1, publicKeyType: "ed25519", publicKey: base64(publicKey), addresses: addresses.map(({ protocol, host, port }) => ({ protocol, address: `${host}:${port}` })),
  }));
  const folder = freshDirectory();
  writeFileSync(path.join(folder, "list.json"), JSON.stringify({ servers }));
  const close = async () => {
    rmSync(folder, { recursive: true, force: true });
    await Promise.all(own.map((one) => one[Symbol.asyncDispose]()));
  };
  return { host, list: path.join(folder, "list.json"), close };
}

describe.skipIf(!built).concurrent("examples", () => {
  /** Its output, after a clean end. */
  async function output(name: string, ...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await run(`examples/${name}.mjs`, args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  }

  it("are all tested here, and say what they show and how to run them", () => {
    const tests = readFileSync(fileURLToPath(import.meta.url), "utf8");
    for (const file of readdirSync(path.join(ROOT, "examples")).filter((name) => name.endsWith(".mjs"))) {
      const name = path.basename(file, ".mjs");
      expect(tests, "a test").toContain(`it("${name} `);
      const head = readFileSync(path.join(ROOT, "examples", file), "utf8").slice(0, 700);
      expect(head).toContain(` *     node examples/${file}`);
      expect(head).toMatch(/^\/\/ SPDX-License-Identifier: .*\n\/\*\*\n \* [A-Z]/);
    }
  });

  it("nts-server gives keys, and nts-client believes it by them alone", async () => {
    const folder = freshDirectory();
    const at = (name: string) => path.join(folder, name);
    const ca = makeCa();
    const { certificate, key } = issue(ca, { ips: ["127.0.0.1"] });
    for (const [name, text] of [["ca.pem", ca.certificate], ["chain.pem", certificate], ["key.pem", key], ["other.pem", makeCa().certificate]] as const) writeFileSync(at(name), text);
    const told: Finished[] = [];
    let asked = false;
    const ask = async (port: string, stop: () => void) => {
      for (const trusted of ["ca.pem", "other.pem"]) told.push(await run("examples/nts-client.mjs", [`127.0.0.1:${port}`, at(trusted)]));
      stop();
    };
    const { status, stdout, stderr } = await run("examples/nts-server.mjs", [at("chain.pem"), at("key.pem"), "0", "0"], (text, stop) => {
      const port = /on 0\.0\.0\.0 port (\d+)/.exec(text)?.[1];
      if (port === undefined || asked) return;
      asked = true;
      void ask(port, stop);
    });
    rmSync(folder, { recursive: true, force: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("1 clients were given keys, 1 of 1 answers were authenticated");
    expect(told[0]).toMatchObject({ status: 0, stdout: expect.stringMatching(new RegExp(`^offset ${SECONDS} s ± ${SECONDS} s, authenticated\n$`)) as string });
    expect(told[1]).toMatchObject({ status: 1, stdout: "" });
  });

  it("nts-client has status 2 without a server", async () => {
    expect(await run("examples/nts-client.mjs")).toMatchObject({ status: 2, stdout: "" });
  });

  it("request prints offset and bound", async () => {
    const told = await output("request", good);
    expect(told).toMatch(new RegExp(`^offset ${SECONDS} s ± ${SECONDS} s, stratum 1, refid PPS\n$`));
  });

  it("request has status 1 and says why when nobody listens", async () => {
    const { status, stdout, stderr } = await run("examples/request.mjs", [closed]);
    expect([status, stdout, stderr]).toEqual([1, "", expect.stringMatching(/^UNREACHABLE: /)]);
  });

  it("request has status 1 and says why when the server is not synchronised", async () => {
    await using unsynchronised = await serve({ listen: ["127.0.0.1"], port: 0 });
    const { status, stderr } = await run("examples/request.mjs", [`127.0.0.1:${unsynchronised.addresses[0]!.port}`]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^test6: /)]);
  });

  it("timeout tells a timeout from an abort", async () => {
    const { address, port } = silent.local;
    const told = await output("timeout", `${address}:${port}`);
    expect(told).toMatch(/^timeout: TIMEOUT after (?:0\.[5-9]|[1-9]\.\d) s: no answer/);
    expect(told).toMatch(/^signal: ABORTED after 0\.[3-9] s: /m);
  });

  it("several-servers finds the majority and names the liar", async () => {
    const host = await lendHost();
    const errors = [500_000_000n, 0n, 0n];
    const servers = await Promise.all(errors.map((error) => serve({ ...SURE, clock: () => host.clock.now() + error })));
    const sources = servers.map(({ addresses }) => `127.0.0.1:${addresses[0]!.port}`);
    const told = await output("several-servers", good, ...sources, closed);
    expect(told).toContain(`${sources[0]}: falseticker, `);
    expect(told).toContain(`${closed}: silent, UNREACHABLE\n`);
    expect(told).toMatch(new RegExp(`\n3 agree: offset ${SECONDS} s ± ${SECONDS} s\n$`));
    await Promise.all(servers.map((one) => one.close()));
  });

  it("several-servers has status 1 without a majority", async () => {
    const { status, stdout } = await run("examples/several-servers.mjs", [closed]);
    expect([status, stdout]).toEqual([1, expect.stringContaining("no majority")]);
  });

  it("packet-details shows request and reply, whose origin is the request's transmit time stamp", async () => {
    const told = await output("packet-details", "127.0.0.1", good.split(":")[1]!);
    expect(told).toMatch(/mode +3 \(client\)[^]*mode +4 \(server\)[^]*PPS/);
    const [request, reply] = told.split("\nreply\n");
    expect(/^origin +(\S+)/m.exec(reply!)?.[1]).toBe(/^transmit +(\S+)/m.exec(request!)?.[1]);
  });

  it("packet-details has status 1 when nothing comes", async () => {
    const { address, port } = silent.local;
    const { status, stderr } = await run("examples/packet-details.mjs", [address, String(port)]);
    expect([status, stderr]).toEqual([1, "no reply within 2 s\n"]);
  });

  it("concurrent prints each answer as it comes, and goes on when one fails", async () => {
    const told = await output("concurrent", good, good, closed);
    expect(told.match(/^after [\d.]+ ms: /gm)).toHaveLength(2);
    expect(told).toMatch(/\n2 of 3 answered\n$/);
  });

  it("concurrent without sources is wrong usage", async () => {
    const { status, stderr } = await run("examples/concurrent.mjs");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^usage: /)]);
  });

  it("continuous agrees after some seconds, and ends with its signal", async () => {
    const agreed = new RegExp(`^synchronised: ${SECONDS} s to go, ± ${SECONDS} s, frequency ${SECONDS} ppm$`, "m");
    expect(await output("continuous", good)).toMatch(agreed);
  });

  it("clock tells the time, each reading later than the one before", async () => {
    const told = await output("clock", good);
    const readings = [...told.matchAll(/\((\d{19}) ns\)/g)].map(([, ns]) => BigInt(ns!));
    expect(readings).toHaveLength(3);
    expect(readings.every((reading, i) => i === 0 || reading > readings[i - 1]!)).toBe(true);
    expect(told).toMatch(/behind it by -?\d ms\.\n$/);
  });

  it("server answers, and ends with its counters when told to", async () => {
    let asked: Promise<Finished> | undefined;
    const finished = await run("examples/server.mjs", ["0", "5"], (told, stop) => {
      const port = /^answering on 0\.0\.0\.0 port (\d+)$/m.exec(told)?.[1];
      if (port) asked ??= run("examples/request.mjs", [`127.0.0.1:${port}`]).finally(stop);
    });
    expect(await asked).toMatchObject({ status: 0, stdout: expect.stringContaining("stratum 5") });
    expect(finished).toMatchObject({ status: 0, stderr: "" });
    expect(finished.stdout).toMatch(/\n1 received, 1 answered, 0 dropped\n$/);
  });

  it("socket-family asks over both families", async () => {
    const told = await output("socket-family", `localhost:${good.split(":")[1]}`);
    expect(told).toMatch(new RegExp(`^IPv4: 127\\.0\\.0\\.1, offset ${SECONDS} s, delay ${SECONDS} s\n`));
    expect(told).toMatch(/\nIPv6: .+\n$/);
  });

  it("socket-family says what is missing", async () => {
    expect(await output("socket-family", good)).toMatch(/\nIPv6: DNS\n$/);
    if (!(await hasIPv6())) return;
    expect(await output("socket-family", good.replace("127.0.0.1", "[::1]"))).toMatch(/^IPv4: DNS\nIPv6: ::1, /);
  });

  it("roughtime bounds the present by what three servers signed", async () => {
    const { host, list, close } = await roughtimeList();
    const told = await output("roughtime", list);
    expect(told.match(/ ± 3 s, over udp\n/g)).toHaveLength(6);
    const [low, high] = /between (\S+) and (\S+)\n$/.exec(told)!.slice(1).map((text) => Date.parse(text)) as [number, number];
    expect(high - low).toBeLessThan(10_000);
    const now = Number(host.clock.now() / 1_000_000n);
    expect(low < now && now - PATIENCE_MS < high).toBe(true);
    await close();
  });

  it("roughtime writes the proof of a lie down, and has status 1", async () => {
    const { list, close } = await roughtimeList(3600);
    const { status, stdout } = await run(path.join(ROOT, "examples/roughtime.mjs"), [list], undefined, { cwd: path.dirname(list) });
    expect([status, stdout]).toEqual([1, expect.stringMatching(/somebody lied: the proof is in malfeasance\.json\n$/)]);
    const report = JSON.parse(readFileSync(path.join(path.dirname(list), "malfeasance.json"), "utf8")) as Parameters<typeof judgeReport>[0];
    expect(judgeReport(report).problems).toEqual([]);
    await close();
  });

  it("core-only gets out the offset and delay that were put in", async () => {
    const told = await output("core-only");
    expect(told).toMatch(/^imports of the core: 0\n/);
    expect(told).toMatch(/\nverdict 1, problems 0\noffset 0\.250000 s, delay 0\.020000 s\n$/);
  });
});

/** A receiver's sentences come so late, s. */
const LATE = 0.15;
const withoutLines = whySkipped(["socat"]);

describe.skipIf(!built || withoutLines).concurrent(titled("examples of reference clocks", withoutLines), () => {
  const directory = freshDirectory();
  const pulses = path.join(directory, "pulses.sock");
  const lines: Line[] = [];
  const running: Disposable[] = [];

  beforeAll(async () => {
    for (const name of ["gps", "gps-pps", "stratum1"]) lines.push(await openLine(directory, name));
    running.push(receiver(lines, LATE));
    const feed = new SockFeed((await lendHost()).devices ?? {}, pulses);
    running.push(everySecond(0.02, (ms) => {
      const second = BigInt(ms) * 1_000_000n;
      void feed.send({ receivedNs: second, timeNs: second, leap: 0, precision: -20, pulse: true });
    }));
  });
  afterAll(async () => {
    running.forEach((one) => one[Symbol.dispose]());
    await Promise.all(lines.map((line) => line.unplug()));
    rmSync(directory, { recursive: true, force: true });
  });

  it.each(["gps", "pps", "gps-pps", "stratum1-server"])("%s says that there is no device, and ends well", async (name) => {
    const { status, stdout, stderr } = await run(`examples/${name}.mjs`, ["/dev/nonexistent"]);
    expect([status, stderr, stdout]).toEqual([0, "", expect.stringMatching(/^There is no \/dev\/nonexistent.*: /)]);
  });

  it("gps is stratum 1 by a receiver's sentences", async () => {
    const { status, stdout, stderr } = await run("examples/gps.mjs", [path.join(directory, "gps"), "9600", String(LATE)], (told, stop) => /^stratum 1,/m.test(told) && stop(), { seconds: 30 });
    expect([status === 0 || status === null, stderr]).toEqual([true, ""]);
    expect(stdout).toMatch(/^stratum 1, ± 0\.\d+ s, the receiver's jitter 0\.\d+ s$/m);
  });

  it("gps says that its receiver has no fix", async () => {
    await using line = await openLine(directory, "void");
    using _ = everySecond(LATE, () => line.write("$GPRMC,,V,,,,,,,,,,N*53\r\n"));
    const { stdout, stderr } = await run("examples/gps.mjs", [path.join(directory, "void")], (told, stop) => /fix/.test(told) && stop(), { seconds: 30 });
    expect([stderr, stdout]).toEqual(["", "not synchronised: the receiver has no fix\n"]);
  });

  it("pps without a device driver behind its name says why there are no pulses", async () => {
    const { stdout, stderr } = await run("examples/pps.mjs", ["/dev/null", good], (told, stop) => /ENOTTY|UNSUPPORTED|expected/.test(told) && stop());
    expect(stderr).toBe("");
    expect(stdout).toMatch(/pulses: \/dev\/null: (ioctl ENOTTY|expected)/);
  });

  it("gps-pps is stratum 1 by pulses that sentences number", async () => {
    const { stdout, stderr } = await run("examples/gps-pps.mjs", [path.join(directory, "gps-pps"), pulses, String(LATE)], (told, stop) => /^stratum 1 by PPS/m.test(told) && stop(), { seconds: 30 });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^stratum 1 by PPS, ± \d\.\d+e-\d+ s$/m);
  });

  it("own-refclock is stratum 1 by what a command prints, wherever that lies", async () => {
    const { stdout, stderr } = await run("examples/own-refclock.mjs", ["sh", "-c", "while date -d '+3 hours' +%s.%N; do sleep 0.2; done"], (told, stop) => /^stratum 1/m.test(told) && stop(), { seconds: 30 });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^stratum 1 by CMD, offset -?\d+\.\d{6} s, ± 0\.\d{6} s: /m);
    const [, told] = /: (\S+Z)$/m.exec(stdout)!;
    expect(Math.abs(Date.parse(told!) - Date.now() - 3 * 3600_000)).toBeLessThan(60_000);
  });

  it("own-refclock says what is wrong with what a command prints", async () => {
    const finished = await run("examples/own-refclock.mjs", ["sh", "-c", "while echo noon; do sleep 0.2; done"]);
    expect(finished).toEqual({ status: 1, stderr: "", stdout: expect.stringMatching(/^expected sources that agree within 10 s, .*, expected seconds since 1970, got "noon";/) });
  });

  it("hardware-timestamping says what each interface can, or why it cannot", async () => {
    const { status, stdout, stderr } = await run("examples/hardware-timestamping.mjs", ["lo"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^lo: software time stamps, because lo has no clock of its own\n$|^This host cannot ask/);
  });

  it("hardware-timestamping asks with the card's stamps, or says why the kernel's have to do", async () => {
    const { status, stdout, stderr } = await run("examples/hardware-timestamping.mjs", ["lo"], undefined, { environment: { SERVER: good } });
    expect([status, stderr]).toEqual([0, ""]);
    if (/^This host cannot ask/.test(stdout)) return;
    expect(stdout).toMatch(new RegExp(`\nthe kernel stamps: lo has no clock of its own\nasked: t1 by the kernel, t4 by the kernel, offset ${SECONDS} s, delay ${SECONDS} s\n$`));
  });

  it("high-precision tells what its clock is worth, and who stamps", async () => {
    await using interleaving = await serve({ ...SURE, interleaved: true });
    const { stdout, stderr } = await run("examples/high-precision.mjs", [`127.0.0.1:${interleaving.addresses[0]!.port}`, "lo"], (told, stop) => /, [1-9]\d* interleaved/.test(told) && stop(), { seconds: 30 });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^this host reads its clock to \d\.\de-\d+ s by .+\n(the kernel stamps: lo has no clock of its own|the kernel stamps: \w+ cannot ask).*\n/);
    expect(stdout).toMatch(/: requests are stamped by the (kernel|user), answers by the (kernel|user), delay \d/);
    expect(stdout).toMatch(/^offset \S+ s, within \d\.\de-\d+ s, frequency to \d+\.\d{3} ppm; \d+ samples, [1-9]\d* interleaved, sd \S+ s, delay \S+ s$/m);
  });

  it("high-precision without a server says what it wants", async () => {
    expect(await run("examples/high-precision.mjs")).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(/^Name servers of your own network/) });
  });

  it("stratum1-server answers as stratum 1 once its receiver is heard", async () => {
    let asked: Promise<Finished> | undefined;
    const finished = await run("examples/stratum1-server.mjs", [path.join(directory, "stratum1"), String(LATE), "0"], (told, stop) => {
      const port = /^answering on 0\.0\.0\.0 port (\d+)$/m.exec(told)?.[1];
      if (port && /^stratum 1 by GPS$/m.test(told)) asked ??= run("examples/request.mjs", [`127.0.0.1:${port}`]).finally(stop);
    });
    expect(await asked).toMatchObject({ status: 0, stdout: expect.stringMatching(/stratum 1, refid GPS\n$/) });
    expect(finished).toMatchObject({ status: 0, stderr: "" });
  });
});

// --- documents ---

const DOCUMENTS = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
  ...readdirSync(path.join(ROOT, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];

function text(document: string): string {
  return readFileSync(path.join(ROOT, document), "utf8");
}

interface Snippet {
  readonly title: string;
  readonly code: string;
  readonly runs: boolean;
  readonly file: string;
}

/** Fenced `js` and `ts` blocks. */
const FENCED = /^```(?:js|ts)( run)?\n([^]*?)^```$/gm;
const snippets = DOCUMENTS.flatMap((document) =>
  [...text(document).matchAll(FENCED)].map(({ 1: runs, 2: code = "", index }): Snippet => {
    const line = text(document).slice(0, index).split("\n").length;
    const file = path.join(SNIPPETS, `${document.replace(/\W/g, "-")}-${line}`);
    return { title: `${document}:${line}`, code, runs: runs !== undefined, file };
  }),
);

/** What snippets use of Deno, whose own types are not those of Node. */
const DENO = "declare const Deno: { serve(handler: (request: Request, info: { remoteAddr: { hostname: string } }) => Response | Promise<Response>): unknown };\n";

describe("snippets", () => {
  beforeAll(() => {
    rmSync(SNIPPETS, { recursive: true, force: true });
    mkdirSync(SNIPPETS, { recursive: true });
  });

  it("have the right types", { timeout: 120_000 }, () => {
    const files = snippets.map(({ file, code }) => {
      writeFileSync(`${file}.ts`, `${code}\nexport {};\n`);
      return `${file}.ts`;
    });
    const deno = path.join(SNIPPETS, "deno.d.ts");
    writeFileSync(deno, DENO);
    const { config } = ts.readConfigFile(path.join(ROOT, "tsconfig.json"), ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
    const program = ts.createProgram([...files, deno], { ...options, noEmit: true, noUnusedLocals: false });
    const complaints = ts.getPreEmitDiagnostics(program).flatMap(({ file, messageText }) => {
      if (!file || !files.includes(path.resolve(file.fileName))) return [];
      return [`${path.basename(file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`];
    });
    expect(complaints).toEqual([]);
  });

  describe.skipIf(!built).concurrent("that run", () => {
    it.each(snippets.filter(({ runs }) => runs))("$title ends well", async ({ code, file }) => {
      const names = new Map<string, string>();
      // An address for each name: one server under several names would have one vote.
      const addressOf = (name: string) => names.get(name) ?? names.set(name, good.replace("127.0.0.1", `127.0.0.${names.size + 1}`)).get(name)!;
      const here = code.replace(/\b[\w.]*\bexample(?:\.org)?\b(?=")/g, addressOf);
      // Node 20 does not know `await using`.
      const { code: lowered } = await transform(here, { loader: "ts", target: "es2022", format: "esm" });
      writeFileSync(`${file}.mjs`, lowered);
      const { status, stdout, stderr } = await run(`${file}.mjs`);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).not.toBe("");
    });
  });
});

describe("documents", () => {
  /** As GitHub makes them. */
  function anchors(document: string): string[] {
    const headings = [...text(document).replace(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm)];
    const plain = headings.map(([, heading = ""]) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, ""));
    return plain.map((heading) => heading.replaceAll(" ", "-"));
  }

  it.each(DOCUMENTS)("%s has links that lead somewhere", (document) => {
    for (const [, link = ""] of text(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [target = "", anchor] = link.split("#");
      const file = target === "" ? document : path.join(path.dirname(document), target);
      expect(existsSync(path.join(ROOT, file)), `${link} in ${document}`).toBe(true);
      if (anchor !== undefined) expect(anchors(file), `${link} in ${document}`).toContain(anchor);
    }
  });

  it.each(DOCUMENTS)("%s names files that exist", (document) => {
    const FILE = /`((?:assembly|hosts|daemon|build|cli|tests|bench|examples|docs)\/[\w./-]+\.(?:ts|mjs|md|sh|json))`/g;
    const named = [...text(document).matchAll(FILE)].map(([, file = ""]) => file);
    expect(named.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
  });

  it("errors.md has every code, and no other", () => {
    const declared = [...text("hosts/common/errors.ts").matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);
    const described = [...text("docs/errors.md").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(described.toSorted()).toEqual(declared.toSorted());
  });

  it("vocabulary.md has every packet test, and no other", () => {
    const source = text("hosts/common/client/problems.ts");
    const declared = [...source.matchAll(/^ {2}\["(test\w)"/gm)].map(([, name]) => name);
    const described = [...text("docs/vocabulary.md").matchAll(/^\| (test\w) \|/gm)].map(([, name]) => name);
    expect(described).toEqual(declared);
  });

  it("dependencies.md has every package at its version", () => {
    const manifest = JSON.parse(text("package.json")) as Record<string, Record<string, string>>;
    const kinds = [manifest["dependencies"], manifest["devDependencies"], manifest["optionalDependencies"]];
    for (const [name, version] of kinds.flatMap((kind) => Object.entries(kind ?? {}))) {
      expect(text("docs/dependencies.md")).toContain(`| ${name} ${version} `);
    }
  });

  it.skipIf(!built)("README's size of the core is right within 5 %", () => {
    const wasm = readFileSync(path.join(ROOT, "dist/core.wasm"));
    const stated = /\((\d+) kB, (\d+) kB gzipped/.exec(text("README.md").replace(/\s+/g, " ")) ?? [];
    const [, plain = 0, gzipped = 0] = stated.map(Number);
    expect(Math.abs(plain * 1000 - wasm.length) / wasm.length).toBeLessThan(0.05);
    const packed = gzipSync(wasm, { level: 9 }).length;
    expect(Math.abs(gzipped * 1000 - packed) / packed).toBeLessThan(0.05);
  });

  it("README states no number of tests, which would be stale tomorrow", () => {
    expect(text("README.md")).not.toMatch(/\d+ tests\b/);
  });

  it("have lines of at most 120 columns, tables aside", () => {
    for (const document of DOCUMENTS) {
      const long = text(document).split("\n").filter((line) => [...line].length > 120 && !line.startsWith("|"));
      expect(long, document).toEqual([]);
    }
  });
});
