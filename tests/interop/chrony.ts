// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chronyd as server, as continuous client and for one question, always without a hand on the clock (`-x`, `-Q`).
 *
 * @module
 */

import { userInfo } from "node:os";
import { join } from "node:path";
import { Peer, eventually, freePort, freshDirectory, loopbackAlias, run, untilReady, writeLines, type Namespace } from "../support/peers.ts";

/** chronyc's report as it prints it, "Reference ID : 7F7F0101 ()", by the words before the colon. */
export type Report = ReadonlyMap<string, string>;

/** Which chronyd: this machine's, or that of a newer release (build/peers.sh). */
export type ChronyProgram = "chronyd" | "chronyd-new";

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
  readonly program?: ChronyProgram;
  /** Runs inside this network namespace, a server at the ports that are registered: there they are free. */
  readonly namespace?: Namespace;
}

/** What a client is started with, beside its lines. */
export type ChronyClientOptions = Pick<ChronydOptions, "keys" | "program" | "namespace">;

/** It stays who we are, root or not. */
const AS_WE_ARE = ["-U", "-u", userInfo().username] as const;

/** Start a server that says `local stratum 3`, unless told otherwise by `lines`. */
export async function chronyServer({ lines = ["local stratum 3"], listen = [loopbackAlias()], ...options }: ChronydOptions = {}): Promise<Chronyd> {
  const port = options.namespace ? 123 : await freePort(...listen);
  const places = [`port ${port}`, ...listen.map((address) => `bindaddress ${address}`), "allow", "allow ::/0"];
  return start([...places, ...lines], { address: listen[0] ?? "", port }, options);
}

/** Start a client of the sources in `lines`; it serves nobody. */
export function chronyClient(lines: readonly string[], options: ChronyClientOptions = {}): Promise<Chronyd> {
  return start(["port 0", ...lines], { address: "", port: 0 }, options);
}

async function start(lines: readonly string[], place: Pick<Chronyd, "address" | "port">, { keys, program = "chronyd", namespace }: ChronyClientOptions): Promise<Chronyd> {
  const directory = freshDirectory();
  const socket = join(directory, "chronyd.sock");
  const places = ["cmdport 0", `bindcmdaddress ${socket}`, `pidfile ${join(directory, "chronyd.pid")}`, `ntsdumpdir ${directory}`];
  if (keys) places.push(`keyfile ${writeLines(directory, "keys", keys)}`);
  const file = writeLines(directory, "chrony.conf", [...places, ...lines]);
  // A newer chronyc becomes another user, who may not enter our directory.
  const [chronyc, stay] = program === "chronyd" ? ["chronyc", []] : ["chronyc-new", ["-u", userInfo().username]];
  const within = namespace ? { namespace } : {};
  const peer = new Peer(program, ["-x", "-d", ...AS_WE_ARE, "-f", file], { ...within, owns: [directory] });
  const ask = async (...command: string[]) => {
    const { status, stdout, stderr } = await run(chronyc, [...stay, "-h", socket, "-n", ...command]);
    if (status !== 0) throw new Error(`expected chronyc ${command.join(" ")} to succeed: ${stdout}${stderr}`);
    return stdout;
  };
  // It answers commands only once its NTP sockets are open.
  await untilReady("chronyd to answer chronyc", () => ask("activity"), peer);
  return { peer, ...place, ask, report: async (...command) => reportOf(await ask(...command)), [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
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
export async function chronyOnce(lines: readonly string[], { seconds = 45 } = {}): Promise<Verdict> {
  const { status, stdout, stderr } = await run("chronyd", [...AS_WE_ARE, "-Q", "-t", String(seconds), ...lines]);
  const said = stdout + stderr;
  const match = /System clock wrong by (-?[\d.]+) seconds \(ignored\)/.exec(said);
  return { wrongBy: match?.[1] === undefined ? undefined : Number(match[1]), status, said };
}
