// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime in the daemon, as processes on loopback: certificates judged by the time that three servers signed while the machine's
 * clock is years behind, no keys without them; and the daemon as a Roughtime server, silent until it is synchronised.
 */

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, describe, expect, it } from "vitest";
import { keyFile } from "../hosts/common/roughtime/keys.ts";
import { askServer } from "../hosts/common/roughtime/client.ts";
import { sourceText } from "../hosts/common/roughtime/list.ts";
import { serve } from "../hosts/node/index.ts";
import { issue, makeCa } from "../tests/support/pki.ts";
import { reportOf } from "../tests/support/daemon.ts";
import { COMMAND, Peer, eventually, freePort, freshDirectory, loopbackAlias } from "../tests/support/peers.ts";
import { ownServer, tcpHost } from "../tests/support/roughtime.ts";
import { generateKey } from "../hosts/common/roughtime/keys.ts";
import { radiusOf } from "./signing.ts";
import { readConfig } from "./config.ts";
import type { SourceReport, TrackingReport } from "./report.ts";

const built = existsSync(COMMAND);
if (!built) console.warn("SKIPPED: the daemon's tests need a build (node build/build.mjs)");
const directory = freshDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const host = await tcpHost();

const YEARS_S = Math.round(2.5 * 31_557_600);
let count = 0;

function start(lines: readonly string[]): { daemon: Peer; socket: string } {
  const name = join(directory, String(count++));
  const socket = `${name}.sock`;
  writeFileSync(`${name}.toml`, [...lines, "[clock]", 'mode = "virtual"', "[observe]", `socket = "${socket}"`].join("\n"));
  return { daemon: new Peer(process.execPath, [COMMAND, "daemon", "--config", `${name}.toml`]), socket };
}

const report = reportOf;

/** A server of NTS that lives so many years from now, where alone its certificate is valid. */
async function laterServer() {
  const address = loopbackAlias();
  const later = Date.now() + YEARS_S * 1000;
  const ca = makeCa({ notBefore: Date.now(), notAfter: later + 1e12 });
  const { certificate, key } = issue(ca, { ips: [address], notBefore: later - 864e5, notAfter: later + 864e5 });
  const server = await serve({
    listen: [address], port: await freePort(address), stratum: 1, workers: 0,
    clock: () => host.clock.now() + BigInt(YEARS_S) * 1_000_000_000n,
    nts: { certificate, key, port: 0 },
  });
  const caFile = join(directory, `ca${count++}.pem`);
  writeFileSync(caFile, ca.certificate);
  const kePort = server.nts!.addresses[0]!.port;
  const source = (certTime: string) => ["[[source]]", `address = "nts:${address}:${kePort}"`, "min-poll = 0", "max-poll = 0", `nts = { ca = "${caFile}", cert-time = "${certTime}" }`];
  return { server, source };
}

describe.skipIf(!built)("a daemon whose machine's clock is years behind", () => {
  it("is synchronised by NTS where three Roughtime servers agree, and not by its own clock", async () => {
    const { server, source } = await laterServer();
    await using _ = server;
    const signers = await Promise.all([1, 2, 3].map((n) => ownServer(host, { name: `signer ${n}`, ahead: YEARS_S })));
    const list = join(directory, "list.json");
    writeFileSync(list, JSON.stringify({ servers: signers.map(({ entry }) => ({
      name: entry.name, version: 1, publicKeyType: "ed25519", publicKey: Buffer.from(entry.publicKey).toString("base64"),
      addresses: entry.addresses.map(({ protocol, host: name, port }) => ({ protocol, address: `${name}:${port}` })),
    })) }));
    const named = ["[roughtime]", `servers = [${signers.map(({ entry }) => `"${sourceText(entry)}"`).join(", ")}]`];
    const listed = ["[roughtime]", `list = "${list}"`];
    try {
      for (const servers of [named, listed]) {
        const { daemon, socket } = start([...source("roughtime"), ...servers]);
        await using __ = daemon;
        const tracking = await eventually("the daemon to be synchronised", async () => {
          const latest = await report<TrackingReport>("tracking", socket);
          return latest.synchronised ? latest : undefined;
        }, daemon);
        expect(Math.abs(Number(BigInt(tracking.referenceTime!)) / 1e9 - Date.now() / 1000 - YEARS_S)).toBeLessThan(60);
        const [state] = await report<SourceReport[]>("sources", socket);
        expect(state!.authentication).toBe("nts");
      }
      const { daemon, socket } = start(source("system"));
      await using __ = daemon;
      const [state] = await eventually("an error", async () => {
        const sources = await report<SourceReport[]>("sources", socket);
        return sources[0]!.lastError === null ? undefined : sources;
      }, daemon);
      expect([state!.lastError, state!.used]).toEqual([expect.stringMatching(/valid from/), 0]);
    } finally {
      await Promise.all(signers.map((signer) => signer[Symbol.asyncDispose]()));
    }
  });

  it("asks for no keys where they do not agree, and says so", async () => {
    const { server, source } = await laterServer();
    await using _ = server;
    await using one = await ownServer(host, { name: "one", ahead: YEARS_S });
    await using two = await ownServer(host, { name: "two", ahead: YEARS_S / 2 });
    await using three = await ownServer(host, { name: "three", ahead: 0 });
    const { daemon, socket } = start([...source("roughtime"), "[roughtime]", `servers = [${[one, two, three].map(({ entry }) => `"${sourceText(entry)}"`).join(", ")}]`]);
    await using __ = daemon;
    const [state] = await eventually("an error", async () => {
      const sources = await report<SourceReport[]>("sources", socket);
      return sources[0]!.lastError === null ? undefined : sources;
    }, daemon);
    expect([state!.lastError, state!.used]).toEqual([expect.stringContaining("majority of Roughtime servers"), 0]);
    expect(server.nts!.stats.accepted).toBe(0);
  });
});

describe.skipIf(!built)("a daemon that serves Roughtime", () => {
  it("signs the time of its clock once that is synchronised, and says nothing before and without a source", async () => {
    const address = loopbackAlias();
    const [ntpPort, port, source] = [await freePort(address), await freePort(address), await freePort(address)];
    const key = generateKey(host);
    const file = join(directory, "long-term.key");
    writeFileSync(file, keyFile(key), { mode: 0o600 });
    const { daemon, socket } = start([
      "[[source]]", `address = "${address}:${source}"`, "min-poll = 0", "max-poll = 0",
      "[server]", `listen = ["${address}"]`, `port = ${ntpPort}`, `roughtime = { key = "${file}", port = ${port}, grease = 0 }`,
    ]);
    await using _ = daemon;
    const entry = { name: "daemon", publicKey: key.publicKey, addresses: [{ protocol: "udp" as const, host: address, port }] };
    await eventually("the daemon to serve", () => report("tracking", socket), daemon);
    await expect(askServer(host, entry, { timeout: 1 })).rejects.toMatchObject({ code: "TIMEOUT" });
    // An hour ahead of the machine: what is signed is the daemon's clock, not the machine's.
    await using __ = await serve({ listen: [address], port: source, stratum: 1, workers: 0, rootDispersion: 0.01, clock: () => host.clock.now() + 3_600_000_000_000n });
    await eventually("the daemon to be synchronised", async () => ((await report<TrackingReport>("tracking", socket)).synchronised ? true : undefined), daemon);
    const { answer } = await eventually("an answer", () => askServer(host, entry, { timeout: 2 }), daemon);
    expect(Math.abs(Number(answer.midpoint) - Date.now() / 1000 - 3600)).toBeLessThan(10);
    expect(answer.radius).toBe(3);
    const stats = await report<{ roughtime: { answered: number; unready: number } }>("serverstats", socket);
    expect([stats.roughtime.answered > 0, stats.roughtime.unready > 0]).toEqual([true, true]);
  });
});

describe("the radius", () => {
  it("is the clock's root distance, and grows while nothing is heard of it, until it is nobody's", () => {
    const told = { stratum: 2, rootDelay: 0.2, rootDispersion: 0.05 };
    expect(radiusOf(told, 0)).toBeCloseTo(0.15, 12);
    expect(radiusOf(told, 60)).toBeCloseTo(0.15 + 60 * 15e-6, 12);
    expect([radiusOf(told, 61), radiusOf({ ...told, stratum: undefined }, 0), radiusOf(undefined, 0)]).toEqual([undefined, undefined, undefined]);
  });
});

describe("the configuration", () => {
  const KEY = "Ixu7gqjJ9TU6IxsO8wxZxAFT5te6FcZZQq5vXFl35JE=";
  const nts = (certTime: string) => `[[source]]\naddress = "nts:a.example"\nnts = { cert-time = "${certTime}" }\n`;
  const servers = (n: number) => `[roughtime]\nservers = [${Array.from({ length: n }, (_, i) => `"roughtime:s${i}.example#${KEY}"`).join(", ")}]\n`;

  it("hands on whom to ask", () => {
    expect(readConfig(nts("roughtime") + servers(3), "f").sources[0]!.nts).toMatchObject({ certTime: "roughtime", roughtime: [0, 1, 2].map((i) => `roughtime:s${i}.example#${KEY}`) });
    expect(readConfig(`${nts("roughtime")}[roughtime]\nlist = "/l.json"\n`, "f").sources[0]!.nts).toEqual({ certTime: "roughtime", roughtimeList: "/l.json" });
    expect(readConfig(`${nts("saved")}[clock]\ndrift-file = "/drift"\n`, "f").sources[0]!.nts).toEqual({ certTime: "saved", savedFile: "/drift" });
  });

  it.each([
    [nts("roughtime"), /f:3:\d+: source\[0\]\.nts\.cert-time: expected a section \[roughtime\]/],
    [nts("saved"), /f:3:\d+: source\[0\]\.nts\.cert-time: expected clock\.drift-file/],
    [nts("roughtime") + servers(2), /f:5:\d+: roughtime\.servers: expected 3 Roughtime servers or more, or a list.*got 2/],
    [`${nts("roughtime")}[roughtime]\n`, /f:4:\d+: roughtime: expected 3 Roughtime servers or more, or a list.*got 0/],
    [`${nts("roughtime")}[roughtime]\nservers = ["a.example"]\n`, /roughtime\.servers\[0\]: expected a Roughtime server like/],
    [`${nts("roughtime")}[roughtime]\nservers = ["roughtime:a.example#AAAA"]\n`, /roughtime\.servers\[0\]: .*key/],
    ['[[source]]\naddress = "a.example"\n[server]\nroughtime = { port = 2002 }\n', /server\.roughtime: expected a key "key" here/],
    ['[[source]]\naddress = "a.example"\n[server]\nroughtime = { key = "/k", grease = 1 }\n', /server\.roughtime\.grease: expected a number of 0\.\.0\.5/],
  ])("is refused with its place: %j", (text, message) => {
    expect(() => readConfig(text, "f")).toThrow(message);
  });
});
