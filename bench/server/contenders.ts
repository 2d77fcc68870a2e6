// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The servers that are compared: as processes on one core, stopped by their own pid, their processor time read from /proc.
 *
 * @module
 */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import dgram from "node:dgram";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import process from "node:process";
import { issue, makeCa } from "../../tests/support/pki.ts";
import type { LoadPlan, LoadResult } from "./load.ts";

/** Prefixes that are denied, none of them the load's: an access list of some hundred rules, the same for all. */
export const DENIED = [...Array.from({ length: 200 }, (_, index) => `198.18.${index}.0/24`), ...Array.from({ length: 100 }, (_, index) => `2001:db8:${index.toString(16)}::/48`)];
/** Access list, a rate limit that nobody reaches, log of clients, interleaved mode. */
const FEATURES = ["--interleaved", "--client-log", "--rate-limit", "0.000001,255,0", ...DENIED.flatMap((prefix) => ["--deny", prefix])];

/** The core of the servers, and that of the load. */
const SERVER_CORE = "0";
const LOAD_CORE = "1";

export interface Contender {
  readonly name: string;
  /** Where it establishes NTS keys. */
  readonly kePort?: number;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

export function available(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function pinned(command: string, args: readonly string[]): ChildProcess {
  return spawn("taskset", ["-c", SERVER_CORE, command, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

async function freePort(): Promise<number> {
  const socket = dgram.createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

/** `escapement serve` with all features on, at one address or at all; one worker. */
export async function ours(name: string, address: string, options: readonly string[] = []): Promise<Contender> {
  const child = pinned(process.execPath, ["dist/cli/main.js", "serve", "--listen", `${address}:0`, "--stratum", "3", "--json", ...FEATURES, ...options]);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once("data", (data: Buffer) => resolve(String(data)));
    child.once("exit", (status) => reject(new Error(`${name} ended with status ${status}`)));
  });
  const { addresses, nts } = JSON.parse(line) as { addresses: { port: number }[]; nts?: { port: number }[] };
  return { name, ...(nts ? { kePort: nts[0]!.port } : {}), port: addresses[0]!.port, pid: child.pid!, stop: () => stop(child) };
}

/** PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** A certificate for 127.0.0.1 and who vouches for it. */
export function certify(): CertificateFiles & { remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-pki-"));
  const ca = makeCa();
  const leaf = issue(ca, { dns: ["localhost"], ips: ["127.0.0.1"] });
  const write = (name: string, text: string) => {
    writeFileSync(path.join(folder, name), text, { mode: 0o600 });
    return path.join(folder, name);
  };
  return { ca: write("ca.pem", ca.certificate), certificate: write("server.pem", leaf.certificate), key: write("server.key", leaf.key), remove: () => rmSync(folder, { recursive: true }) };
}

/** chronyd with the same features, of which it always has the client log and interleaved mode. */
export async function chronyd(name: string, address: string, certificate?: CertificateFiles): Promise<Contender> {
  const port = await freePort();
  const kePort = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), "bench-chrony-"));
  const file = path.join(folder, "chrony.conf");
  writeFileSync(file, [`port ${port}`, "local stratum 3", "allow", "allow ::/0", ...DENIED.map((prefix) => `deny ${prefix}`), "ratelimit interval -19 burst 255", ...(address ? [`bindaddress ${address}`] : []), "cmdport 0", `bindcmdaddress ${folder}/socket`, `pidfile ${folder}/pid`,
    ...(certificate ? [`ntsserverkey ${certificate.key}`, `ntsservercert ${certificate.certificate}`, `ntsport ${kePort}`, `ntsdumpdir ${folder}`] : []), ""].join("\n"));
  const child = pinned("chronyd", ["-x", "-d", "-U", "-u", userInfo().username, "-f", file]);
  const contender = { name, kePort, port, pid: child.pid!, stop: () => stop(child).then(() => rmSync(folder, { recursive: true })) };
  for (let tries = 0; (await runLoad({ port, seconds: 0.05, sources: 1, window: 1 })).answered === 0; tries++) {
    if (tries > 40) throw new Error("chronyd does not answer");
  }
  return contender;
}

/** Run the load in a process of its own on the other core. */
export function runLoad(plan: LoadPlan): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = spawn("taskset", ["-c", LOAD_CORE, process.execPath, process.argv[1]!, `--load=${JSON.stringify(plan)}`], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (data: Buffer) => (output += String(data)));
    child.once("exit", (status) => (status === 0 ? resolve(JSON.parse(output) as LoadResult) : reject(new Error(`the load ended with status ${status}`))));
  });
}

/** Processor time of all threads of a process, s; to the nanosecond. */
export function cpuSeconds(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]) / 1e9, 0);
}

/** Resident memory, MiB. */
export function memoryMiB(pid: number): number {
  return (Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096) / 2 ** 20;
}
