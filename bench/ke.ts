// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What NTS key establishment costs a server: whole handshakes with request and answer, ours beside chronyd's where that is
 * installed, in turns, from this process over loopback.
 *
 * Two figures each. Establishments a second: what came of it with the asking on the same machine. Processor time for each: of
 * the server's processes alone (Linux), which is what a server can be sized by.
 */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import tls from "node:tls";
import { writeKeMessage } from "../hosts/common/core/cold.ts";
import { keRequest } from "../hosts/common/nts/establish.ts";
import { serveKe } from "../hosts/common/nts/server.ts";
import { lendHost } from "../hosts/node/index.ts";
import { testJar } from "../tests/support/cookies.ts";
import { issue, makeCa } from "../tests/support/pki.ts";

const ADDRESS = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
/** Rounds of each, and how long one takes, ms. */
const ROUNDS = 5;
const ROUND_MS = 2000;
/** Clients at one time. */
const CLIENTS = 8;
/** USER_HZ of every Linux that runs Node. */
const TICK_MS = 10;
const UNLIMITED = { connections: 1000, connectionsOfAddress: 1000, rate: { rate: 1e9, burst: 1e9, entries: 10 } };

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** This program as the server: a process of its own, so that its processor time can be told apart. */
async function serveOnly([certificate = "", key = "", address = ""]: readonly string[]): Promise<void> {
  const host = await lendHost({ native: false });
  const server = await serveKe(host, { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8"), jar: testJar(), listen: [address], port: 0, limits: UNLIMITED });
  console.log(server.addresses[0]!.port);
  process.stdin.resume().on("end", () => process.exit());
}

const REQUEST = writeKeMessage(keRequest({ aeads: [15] }));

/** One establishment by a bare client: what comes must have eight cookies, and nobody keeps them. */
function establishOnce(port: number, ca: tls.SecureContext): Promise<number> {
  return new Promise((resolve, reject) => {
    let octets = 0;
    const socket = tls.connect({ host: ADDRESS, port, secureContext: ca, ALPNProtocols: ["ntske/1"], checkServerIdentity: () => undefined });
    socket.on("secureConnect", () => socket.write(REQUEST));
    socket.on("data", (data) => (octets += data.length));
    socket.on("end", () => socket.end());
    socket.on("error", reject);
    socket.on("close", () => (octets > 800 ? resolve(octets) : reject(new Error(`expected eight cookies, got ${octets} octets`))));
  });
}

/** Ticks of processor time of a process and its children. */
function ticks(pid: number): number {
  const fields = (file: string) => {
    const text = readFileSync(file, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  };
  let sum = 0;
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = fields(`/proc/${name}/stat`);
      if (Number(name) === pid || Number(stat[1]) === pid) sum += Number(stat[11]) + Number(stat[12]);
    } catch {
      // It has ended since the list was made.
    }
  }
  return sum;
}

/** A TCP port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, ADDRESS, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

interface Contender {
  readonly name: string;
  readonly child: ChildProcess;
  readonly port: number;
  readonly rates: number[];
  readonly costs: number[];
}

async function ours(folder: string): Promise<Contender> {
  const child = spawn(process.execPath, [process.argv[1]!, "server", `${folder}/cert.pem`, `${folder}/key.pem`, ADDRESS], { stdio: ["pipe", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve) => createInterface(child.stdout!).once("line", (line) => resolve(Number(line))));
  return { name: "escapement", child, port, rates: [], costs: [] };
}

async function chronyd(folder: string): Promise<Contender> {
  const port = await freePort();
  writeFileSync(`${folder}/chrony.conf`, [
    `bindaddress ${ADDRESS}`, `port ${await freePort()}`, "allow", "local stratum 1", "cmdport 0", `bindcmdaddress ${folder}/chronyd.sock`, `pidfile ${folder}/chronyd.pid`,
    `ntsserverkey ${folder}/key.pem`, `ntsservercert ${folder}/cert.pem`, `ntsport ${port}`, `ntsdumpdir ${folder}`, "maxntsconnections 1000",
  ].join("\n"));
  const child = spawn("chronyd", ["-x", "-d", "-U", "-u", os.userInfo().username, "-f", `${folder}/chrony.conf`], { stdio: "ignore" });
  return { name: "chronyd", child, port, rates: [], costs: [] };
}

async function round({ child, port, rates, costs }: Contender, ca: tls.SecureContext): Promise<void> {
  const before = ticks(child.pid!);
  const start = performance.now();
  let count = 0;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (performance.now() - start < ROUND_MS) {
      await establishOnce(port, ca);
      count += 1;
    }
  }));
  rates.push((count * 1000) / (performance.now() - start));
  costs.push(((ticks(child.pid!) - before) * TICK_MS) / count);
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function compare(): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "escapement-bench-"));
  chmodSync(folder, 0o700);
  const authority = makeCa();
  const { certificate, key } = issue(authority, { ips: [ADDRESS] });
  writeFileSync(`${folder}/cert.pem`, certificate);
  writeFileSync(`${folder}/key.pem`, key, { mode: 0o600 });
  const contenders = [await ours(folder)];
  try {
    if (spawnSync("sh", ["-c", "command -v chronyd"]).status === 0) contenders.push(await chronyd(folder));
    else console.log("left out: chronyd is not installed (npm run peers)");
    const ca = tls.createSecureContext({ ca: authority.certificate, minVersion: "TLSv1.3" });
    await sleep(1000);
    for (const contender of contenders) await round(contender, ca);
    for (const { rates, costs } of contenders) rates.length = costs.length = 0;
    for (let i = 0; i < ROUNDS; i++) for (const contender of contenders) await round(contender, ca);
    console.log(`\nNTS key establishments, P-256 certificate, X25519, ${CLIENTS} clients at a time on this machine (median of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, least … most)`);
    for (const { name, rates, costs } of contenders) {
      const span = (values: readonly number[], digits: number) => `${median(values).toFixed(digits).padStart(7)} (${Math.min(...values).toFixed(digits)} … ${Math.max(...values).toFixed(digits)})`;
      console.log(`  ${name.padEnd(12)} ${span(rates, 0)} a second   ${span(costs, 2)} ms of the server's processor time each`);
    }
  } finally {
    for (const { child } of contenders) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === "server") await serveOnly(process.argv.slice(3));
else await compare();
