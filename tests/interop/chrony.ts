// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chronyd as server, as continuous client and for one question, always without a hand on the clock (`-x`, `-Q`).
 *
 * @module
 */

import { userInfo } from "node:os";
import { join } from "node:path";
import { Peer, eventually, freePort, freshDirectory, loopbackAlias, run, writeLines } from "../support/peers.ts";

/** chronyc's report as it prints it, "Reference ID : 7F7F0101 ()", by the words before the colon. */
export type Report = ReadonlyMap<string, string>;

/** A chronyd that runs until disposed of. */
export interface Chronyd extends AsyncDisposable {
  readonly peer: Peer;
  /** Where it serves; of no meaning for a client. */
  readonly address: string;
  readonly port: number;
  /** What chronyc prints when it asks this chronyd. */
  ask(...command: string[]): Promise<string>;
  /** The same as a table of its lines. */
  report(...command: string[]): Promise<Report>;
}

export interface ChronydOptions {
  /** Lines of its configuration beside those about places. */
  readonly lines?: readonly string[];
  /** Where it serves; an address of its own when absent, `"nowhere"` for a client. */
  readonly listen?: readonly string[];
  /** Lines of a key file. */
  readonly keys?: readonly string[];
}

/** It stays who we are, root or not. */
const AS_WE_ARE = ["-U", "-u", userInfo().username] as const;

/** Start a server that says `local stratum 3`, unless told otherwise by `lines`. */
export async function chronyServer({ lines = ["local stratum 3"], listen = [loopbackAlias()], keys }: ChronydOptions = {}): Promise<Chronyd> {
  const port = await freePort(...listen);
  const places = [`port ${port}`, ...listen.map((address) => `bindaddress ${address}`), "allow", "allow ::/0"];
  return start([...places, ...lines], { address: listen[0] ?? "", port, keys });
}

/** Start a client of the sources in `lines`; it serves nobody. */
export function chronyClient(lines: readonly string[], keys?: readonly string[]): Promise<Chronyd> {
  return start(["port 0", ...lines], { address: "", port: 0, keys });
}

async function start(lines: readonly string[], { address, port, keys }: { address: string; port: number; keys?: readonly string[] | undefined }): Promise<Chronyd> {
  const directory = freshDirectory();
  const socket = join(directory, "chronyd.sock");
  const places = ["cmdport 0", `bindcmdaddress ${socket}`, `pidfile ${join(directory, "chronyd.pid")}`];
  if (keys) places.push(`keyfile ${writeLines(directory, "keys", keys)}`);
  const file = writeLines(directory, "chrony.conf", [...places, ...lines]);
  const peer = new Peer("chronyd", ["-x", "-d", ...AS_WE_ARE, "-f", file], { owns: [directory] });
  const ask = async (...command: string[]) => {
    const { status, stdout, stderr } = await run("chronyc", ["-h", socket, "-n", ...command]);
    if (status !== 0) throw new Error(`expected chronyc ${command.join(" ")} to succeed: ${stdout}${stderr}`);
    return stdout;
  };
  // It answers commands only once its NTP sockets are open.
  await eventually("chronyd to answer chronyc", () => ask("activity"), peer);
  return { peer, address, port, ask, report: async (...command) => reportOf(await ask(...command)), [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

function reportOf(text: string): Report {
  return new Map([...text.matchAll(/^([^:\n]+?)\s*: (.*)$/gm)].map(([, name = "", value = ""]) => [name, value.trim()]));
}

/** The number a line of a report begins with. */
export function numberIn(report: Report, name: string): number {
  const value = parseFloat(report.get(name) ?? "");
  if (Number.isNaN(value)) throw new Error(`expected a number after "${name}", got ${report.get(name)} in ${[...report]}`);
  return value;
}

/**
 * Wait until `chronyd` has selected a source and knows it well: after its first few samples it thinks its own clock so bad
 * that its dispersion may grow by a second in a second.
 */
export async function settled({ ask, report, peer }: Chronyd): Promise<void> {
  await eventually("chronyd to select a source and know it well", async () => {
    const selected = (await ask("sources")).includes("^*");
    return selected && numberIn(await report("tracking"), "Skew") < 1000 && numberIn(await report("ntpdata"), "Total good RX") >= 8 ? true : undefined;
  }, peer);
}

/** What chronyd found out by asking once: seconds that the clock is wrong by, or undefined when no source was good enough. */
export interface Verdict {
  readonly wrongBy: number | undefined;
  readonly status: number | null;
  readonly said: string;
}

/** `chronyd -Q`: ask the sources of `lines`, print what the clock is wrong by, set nothing. */
export async function chronyOnce(lines: readonly string[], { seconds = 15 } = {}): Promise<Verdict> {
  const { status, stdout, stderr } = await run("chronyd", [...AS_WE_ARE, "-Q", "-t", String(seconds), ...lines]);
  const said = stdout + stderr;
  const match = /System clock wrong by (-?[\d.]+) seconds \(ignored\)/.exec(said);
  return { wrongBy: match?.[1] === undefined ? undefined : Number(match[1]), status, said };
}
