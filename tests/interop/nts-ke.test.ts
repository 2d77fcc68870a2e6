// SPDX-License-Identifier: MIT OR Apache-2.0
/** Key establishment live: with chronyd in both roles, and between the runtimes. NTP packets show that the keys are the same. */
import { createSocket } from "node:dgram";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { establishKeys, type KeClientOptions } from "../../hosts/common/nts/client.ts";
import { serveKe, type KeServerOptions } from "../../hosts/common/nts/server.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { TestJar, testJar } from "../support/cookies.ts";
import { cookieOf, isAuthenticReply, isAuthenticRequest, ntsRequest } from "../support/nts-packet.ts";
import { Peer, eventually, freePort, freshDirectory, loopbackAlias, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";
import { RUNS, missing } from "../contract/runtimes.ts";
import { chronyClient, chronyServer, type Chronyd } from "./chrony.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
const host = await lendHost({ native: false });
const ca = makeCa();
const folder = freshDirectory();
/** OpenSSL 3.5 and later. */
const hybridHere = Number(process.versions.openssl.split(".").slice(0, 2).map((part) => part.padStart(2, "0")).join("")) >= 305;
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const caFile = writeLines(folder, "ca.pem", [ca.certificate]);

/** A certificate for an address, as files. */
function certified(address: string, name = address): { pair: { certificate: string; key: string; pin: string }; files: readonly [certificate: string, key: string] } {
  const pair = issue(ca, { ips: [address], dns: ["ke.example"] });
  return { pair, files: [writeLines(folder, `${name}.pem`, [pair.certificate]), writeLines(folder, `${name}.key`, [pair.key])] };
}

/** The first reply to a datagram. */
function ask(address: string, port: number, request: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => { socket.close(); reject(new Error("no reply in 30 s")); }, 30_000);
    socket.on("message", (reply) => { clearTimeout(timer); socket.close(); resolve(Uint8Array.from(reply)); });
    socket.send(request, port, address);
  });
}

describe.skipIf(skipped)(titled("our client with chronyd's server", skipped), () => {
  let chronyd: Chronyd;
  let kePort = 0;

  beforeAll(async () => {
    const address = loopbackAlias();
    kePort = await freePort(address);
    const { files: [certificate, key] } = certified(address);
    const lines = ["local stratum 1", `ntsserverkey ${key}`, `ntsservercert ${certificate}`, `ntsport ${kePort}`, `ntsdumpdir ${folder}`];
    chronyd = await chronyServer({ lines, listen: [address] });
  });
  afterAll(() => chronyd?.[Symbol.asyncDispose]());
  const establish = (options: Partial<KeClientOptions> = {}) => establishKeys(host, { host: chronyd.address, kePort, ca: ca.certificate, ...options });

  it("gets keys and cookies that chronyd's NTP server honours, each once", async () => {
    const { aead, c2s, s2c, cookies, host: ntpHost, port, group } = await establish();
    expect({ aead, ntpHost, port }).toEqual({ aead: 15, ntpHost: chronyd.address, port: chronyd.port });
    expect(cookies.length).toBe(8);
    expect(group).toMatch(/^X25519/);
    for (const cookie of cookies) {
      const request = ntsRequest(cookie, c2s);
      const reply = await ask(ntpHost, port, request);
      expect(isAuthenticReply(request, reply, s2c)).toBe(true);
      expect(isAuthenticReply(request, reply, c2s), "the keys of the two directions differ").toBe(false);
    }
  });

  it("is told that nothing is in common when it offers only what chronyd 4.3 has not", async () => {
    await expect(establish({ aeads: [16, 17] })).rejects.toMatchObject({ code: "NTS_KE", message: expect.stringContaining("none of the AEAD algorithms") });
    await expect(establish({ protocols: [0x8001], draft: "draft-ietf-ntp-ntpv5-08" })).rejects.toMatchObject({ code: "NTS_KE", message: expect.stringContaining("none of the protocols") });
  });

  it("does not trust it without its root, nor under another name", async () => {
    await expect(establish({ ca: undefined })).rejects.toMatchObject({ code: "TLS" });
    await expect(establish({ ca: makeCa().certificate })).rejects.toMatchObject({ code: "TLS" });
    await expect(establish({ host: "127.0.0.1" })).rejects.toMatchObject({ code: expect.stringMatching(/^(UNREACHABLE|TLS)$/) });
  });

  it("takes its pinned key and no other", async () => {
    expect(await establish({ pins: [ca.pin] })).toMatchObject({ aead: 15 });
    await expect(establish({ pins: [issue(ca).pin] })).rejects.toMatchObject({ code: "TLS" });
  });
});

describe.skipIf(skipped)(titled("chronyd's client with our server", skipped), () => {
  /** Our key establishment at an address, an NTP port that only listens, and a chronyd that follows both. */
  async function followed(options: Partial<KeServerOptions> = {}) {
    const address = loopbackAlias();
    const { pair } = certified(address);
    const jar = testJar();
    const ntp = createSocket("udp4");
    const requests: Uint8Array[] = [];
    ntp.on("message", (data) => requests.push(Uint8Array.from(data)));
    await new Promise<void>((resolve) => ntp.bind(0, address, resolve));
    const server = await serveKe(host, { ...pair, jar, listen: [address], port: 0, servers: [{ port: ntp.address().port }], ...options });
    const line = `server ${address} port 1 nts ntsport ${server.addresses[0]!.port} iburst minpoll 0 maxpoll 0`;
    const dump = path.join(folder, address);
    mkdirSync(dump, { mode: 0o700 });
    const client = await chronyClient([line, `ntstrustedcerts ${caFile}`, `ntsdumpdir ${dump}`]);
    const end = async () => {
      await client[Symbol.asyncDispose]();
      await server.close();
      ntp.close();
    };
    return { address, jar, server, client, requests, [Symbol.asyncDispose]: end };
  }

  it("establishes keys, says so, and asks for time at the port that we named, under the keys in our cookies", async () => {
    await using run = await followed();
    const request = await eventually("chronyd to ask for time", () => run.requests[0], run.client.peer);
    const [line = ""] = (await run.client.ask("authdata")).split("\n").filter((one) => one.startsWith(run.address));
    // Name, mode, key id, type, key length, seconds since, attempts (until time came under the keys), NAKs, cookies, cookie length.
    const [, mode, , type, keyLength, , attempts, naks, , cookieLength] = line.trim().split(/\s+/);
    expect({ mode, type, keyLength, attempts, naks }).toEqual({ mode: "NTS", type: "15", keyLength: "256", attempts: "1", naks: "0" });
    const cookie = cookieOf(request)!;
    expect(Number(cookieLength)).toBe(cookie.length);
    const session = run.jar.open(cookie)!;
    expect(session.aead).toBe(15);
    expect(isAuthenticRequest(request, session.c2s)).toBe(true);
    expect(isAuthenticRequest(request, session.s2c)).toBe(false);
    expect(run.server.stats).toMatchObject({ served: 1, badRequest: 0, unknownCritical: 0 });
  });

  it("gets nothing when we have no algorithm of its, and asks nobody for time", async () => {
    await using run = await followed({ aeads: [17] });
    await eventually("chronyd to have tried", () => (run.server.stats.nothingInCommon > 0 ? true : undefined), run.client.peer);
    expect(await run.client.ask("authdata")).not.toMatch(/\b15\s+256\b/);
    expect(run.requests).toEqual([]);
  });
});

// --- the runtimes ---

const bundles = new Map<string, string>();

/** The child for a runtime, with that runtime's host in it. */
async function childFor(name: string): Promise<string> {
  const kind = name.startsWith("Bun") ? "bun" : name.startsWith("Deno") ? "deno" : "node";
  const known = bundles.get(kind);
  if (known) return known;
  const outdir = path.join(folder, kind);
  const outfile = path.join(outdir, "nts-ke-child.mjs");
  await build({
    // In pieces, so that packages which only a relay needs are not asked for.
    entryPoints: ["tests/interop/nts-ke-child.ts"], outdir, splitting: true, outExtension: { ".js": ".mjs" }, bundle: true, format: "esm", platform: "neutral", target: "es2022",
    external: ["node:*", "bun:*", "koffi", "ws"], logLevel: "warning",
    alias: { "#wasm": "./dist/wasm/base64.js", "#as-bind": "./dist/wasm/as-bind.js", "#host": `./hosts/${kind}/index.ts` },
  });
  bundles.set(kind, outfile);
  return outfile;
}

describe.each([RUNS[1]!, ...RUNS.filter(({ name }) => name === "Node 24 with koffi" || name === "Bun without FFI" || name === "Deno without FFI, node:dgram")])("$name", (runtime) => {
  const why = missing(runtime);
  const start = async (...args: string[]): Promise<[string, string[]]> => [runtime.command, [...runtime.flags, await childFor(runtime.name), ...args]];
  const hybrid = !/^Node 2[01]\b/.test(runtime.name);

  it.skipIf(why)("is a client of our server, with equal keys; with ML-KEM only where both have it", async () => {
    const { pair } = certified("127.0.0.1", "client-of");
    const jar = testJar();
    const server = await serveKe(host, { ...pair, jar, listen: ["127.0.0.1"], port: 0 });
    const { port } = server.addresses[0]!;
    const [command, args] = await start("client", "127.0.0.1", String(port), caFile);
    const told = JSON.parse((await run(command, args)).stdout) as { aead: number; c2s: string; s2c: string; cookies: string[] };
    expect(told).toMatchObject({ aead: 30, host: "127.0.0.1", port: 123 });
    for (const cookie of told.cookies) {
      const inside = jar.open(Uint8Array.from(Buffer.from(cookie, "hex")))!;
      expect([inside.c2s, inside.s2c].map((key) => Buffer.from(key).toString("hex"))).toEqual([told.c2s, told.s2c]);
    }
    // Every client has the group, by our own TLS if need be. This Node's server may not: then one that insists MUST NOT connect.
    const [again, insisting] = await start("client", "127.0.0.1", String(port), caFile, "require");
    const required = JSON.parse((await run(again, insisting)).stdout) as { code?: string; group?: string };
    expect(required.code ?? required.group).toBe(hybridHere ? "X25519MLKEM768" : "TLS");
    await server.close();
  });

  // Deno's own TLS is not used.
  if (!runtime.name.startsWith("Deno")) {
    it.skipIf(why)("judges certificates, names, pins and protocols as every runtime does", async () => {
      const { pair, files: [certificate, key] } = certified("127.0.0.1", `judged-on-${runtime.name.replace(/\W/g, "-")}`);
      const [command, args] = await start("tls", certificate, key, caFile, pair.pin);
      expect(JSON.parse((await run(command, args)).stdout)).toEqual({
        "an address in the certificate": "ok", "a name in the certificate": "ok", "another name": "TLS", "another address": "TLS", "roots of its own": "TLS",
        "a pinned key": "ok", "another pinned key": "TLS", "another protocol": "TLS", "a given time": "UNSUPPORTED", "a signal that has fired": "ABORTED",
        "a renewed certificate": "ok", "a server that does not admit it": "TLS", "refused": "1", "a closed port": "UNREACHABLE",
      });
    });
  }

  it.skipIf(why)("is a server for our client and for itself, with ML-KEM where it has it", async () => {
    const { files: [certificate, key] } = certified("127.0.0.1", `server-on-${runtime.name.replace(/\W/g, "-")}`);
    const [command, args] = await start("server", certificate, key);
    const child = new Peer(command, args);
    if (runtime.name.startsWith("Deno")) {
      expect((await child.ended).stdout).toMatch(/UNSUPPORTED.*exporter/);
      return;
    }
    const { port } = await eventually("its port", () => (child.stdout.includes("\n") ? (JSON.parse(child.stdout) as { port: number }) : undefined), child);
    expect((await establishKeys(host, { host: "127.0.0.1", kePort: port, ca: ca.certificate })).cookies.length).toBe(8);
    const [again, self] = await start("client", "127.0.0.1", String(port), caFile, hybrid ? "require" : "prefer");
    const told = JSON.parse((await run(again, self)).stdout) as { group?: string; cookies: string[] };
    expect(told.cookies?.length, JSON.stringify(told)).toBe(8);
    if (hybrid) expect(told.group).toBe("X25519MLKEM768");
    await child.stop();
  });
});

describe("a fleet", () => {
  it("sends clients to servers by weight, whose cookies any of them opens", async () => {
    const { pair } = certified("127.0.0.1", "fleet");
    const key = { id: 9, fromMs: 0, key: new Uint8Array(32).fill(3) };
    const keys = () => ({ current: key, all: [key] });
    const chances = [0.1, 0.3, 0.6, 0.9];
    const server = await serveKe(host, { ...pair, jar: new TestJar(keys), listen: ["127.0.0.1"], port: 0, servers: [{ host: "a.example" }, { host: "b.example", port: 1123, weight: 3 }], random: () => chances.shift()! });
    const told = [];
    for (let i = 0; i < 4; i++) told.push(await establishKeys(host, { host: "127.0.0.1", kePort: server.addresses[0]!.port, ca: ca.certificate }));
    expect(told.map((one) => `${one.host}:${one.port}`)).toEqual(["a.example:123", "b.example:1123", "b.example:1123", "b.example:1123"]);
    for (const { cookies, c2s } of told) expect(new TestJar(keys).open(cookies[0]!)?.c2s).toEqual(c2s);
    await server.close();
  });
});
