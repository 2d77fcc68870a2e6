// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * ntpd-rs as server and as client, plain and with NTS, NTPv4 and NTPv5 drafts; asked through its own `ntp-ctl status`.
 *
 * Its calls to steer the clock succeed without effect (tests/support/no-clock.ts). It refuses a source at one of this
 * machine's own addresses unless that is of stratum 1.
 *
 * @module
 */

import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Peer, findProgram, freePort, freeTcpPort, freshDirectory, loopbackAlias, run, untilReady, writeLines, type Namespace } from "../support/peers.ts";
import { withoutClockCalls } from "../support/no-clock.ts";
import type { PkiFiles } from "../support/files-of-pki.ts";

/** An ntpd-rs that runs until disposed of. */
export interface NtpdRs extends AsyncDisposable {
  readonly peer: Peer;
  /** Where it serves; of no meaning for a client. */
  readonly address: string;
  readonly port: number;
  readonly kePort: number;
  /** What `ntp-ctl status` prints. */
  status(): Promise<string>;
}

export interface NtpdRsServerOptions {
  /** With it, keys are established. */
  readonly pki?: PkiFiles;
  readonly address?: string;
  readonly stratum?: number;
  /** What it answers. */
  readonly versions?: readonly number[];
  readonly namespace?: Namespace;
  /** Another daemon than the one that is installed, by its path. */
  readonly program?: string;
  /** More of its configuration. */
  readonly lines?: readonly string[];
}

/** A server of stratum 1 for NTPv3, v4 and v5, unless told otherwise. */
export async function ntpdRsServer({ pki, address = loopbackAlias(), stratum = 1, versions = [3, 4, 5], namespace, program, lines = [] }: NtpdRsServerOptions = {}): Promise<NtpdRs> {
  const port = namespace ? 123 : await freePort(address);
  const kePort = !pki ? 0 : namespace ? 4460 : await freeTcpPort(address);
  const accepted = (what: readonly number[]) => `accept-ntp-versions = [${what.join(", ")}]`;
  const plain = ["[synchronization]", `local-stratum = ${stratum}`, "[[server]]", `listen = "${address}:${port}"`, accepted(versions)];
  return start([...plain, ...(pki ? keyServer(pki, { address, port, kePort }) : []), ...lines], { address, port, kePort }, { namespace, program });

  function keyServer(files: PkiFiles, place: { address: string; port: number; kePort: number }): string[] {
    const { certificate, key } = files.issue(place.address);
    return [
      "[[nts-ke-server]]", `listen = "${place.address}:${place.kePort}"`, `ntp-port = ${place.port}`,
      `certificate-chain-path = "${certificate}"`, `private-key-path = "${key}"`, accepted(versions.filter((version) => version >= 4)),
    ];
  }
}

/** A source of a client. */
export interface NtpdRsSource {
  /** HOST:PORT, of the key server for NTS. */
  readonly address: string;
  readonly pki?: PkiFiles;
  readonly version?: 4 | 5 | "auto";
}

/** A client of `sources`, which it asks as often as it can, once a second. */
export function ntpdRsClient(sources: readonly NtpdRsSource[], { namespace, program, lines = [] }: { namespace?: Namespace; program?: string; lines?: readonly string[] } = {}): Promise<NtpdRs> {
  const blocks = sources.flatMap(({ address, pki, version }) => [
    "[[source]]", `mode = "${pki ? "nts" : "server"}"`, `address = "${address}"`,
    ...(pki ? [`certificate-authority = "${pki.ca}"`] : []),
    ...(version === undefined ? [] : [`ntp-version = ${JSON.stringify(version)}`]),
  ]);
  const often = ["[source-defaults]", "poll-interval-limits = { min = 0, max = 0 }", "initial-poll-interval = 0"];
  return start([...blocks, ...often, "[synchronization]", "minimum-agreeing-sources = 1", ...lines], { address: "", port: 0, kePort: 0 }, { namespace, program });
}

async function start(lines: readonly string[], place: Pick<NtpdRs, "address" | "port" | "kePort">, { namespace, program = "ntp-daemon" }: { namespace?: Namespace | undefined; program?: string | undefined }): Promise<NtpdRs> {
  const directory = freshDirectory();
  const observed = ["[observability]", `observation-path = "${join(directory, "observe")}"`, 'log-level = "debug"', "ansi-colors = false"];
  const file = writeLines(directory, "ntp.toml", [...observed, ...lines]);
  const peer = new Peer(program, ["-c", file], { ...(namespace ? { namespace } : {}), env: await withoutClockCalls(), owns: [directory] });
  const status = async () => {
    const { status: code, stdout, stderr } = await run("ntp-ctl", ["status", "-c", file]);
    if (code !== 0) throw new Error(`expected ntp-ctl status to succeed: ${stdout}${stderr}`);
    return stdout;
  };
  await untilReady("ntpd-rs to answer ntp-ctl", status, peer);
  return { peer, ...place, status, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

const SPOKEN = "draft-ietf-ntp-ntpv5-08";

/**
 * A copy of the daemon that speaks another draft of NTPv5, whose name is as long as that of its own: that is all in which these
 * drafts differ. Returns its path, in a directory of its own.
 */
export function ntpdRsOfDraft(draft: string): string {
  const installed = findProgram("ntp-daemon");
  if (installed === undefined || draft.length !== SPOKEN.length) throw new Error(`expected ntp-daemon and a draft like ${SPOKEN}, got ${draft}`);
  const root = join(dirname(installed), "../../root");
  const directory = freshDirectory();
  mkdirSync(join(directory, "usr/bin"), { recursive: true });
  mkdirSync(join(directory, "root/usr/bin"), { recursive: true });
  symlinkSync(join(root, "usr/lib"), join(directory, "root/usr/lib"));
  const program = readFileSync(join(root, "usr/bin/ntp-daemon"));
  // The compiler has put its end into the instructions that compare it, too.
  const [end, other] = [SPOKEN.slice(-8), draft.slice(-8)];
  for (let at = program.indexOf(end); at >= 0; at = program.indexOf(end, at + 1)) program.write(other, at, "latin1");
  writeFileSync(join(directory, "root/usr/bin/ntp-daemon"), program, { mode: 0o755 });
  copyFileSync(installed, join(directory, "usr/bin/ntp-daemon"));
  return join(directory, "usr/bin/ntp-daemon");
}

/** What `ntp-ctl status` tells of a source. */
export interface NtpdRsSourceState {
  /** As the configuration has it, and where that is. */
  readonly name: string;
  readonly address: string;
  readonly nts: boolean;
  readonly offset: number;
  readonly delay: number;
  readonly missingPolls: number;
  /** Cookies at hand; undefined without NTS. */
  readonly cookies: number | undefined;
}

/** The sources of which it tells a measurement. */
export async function sourcesOf({ status }: Pick<NtpdRs, "status">): Promise<NtpdRsSourceState[]> {
  const [, ...blocks] = (await status()).split(/^(?=\S+ \S+ (?:\[NTS\] )?\(\d+\)$)/m);
  return blocks.map((block) => {
    const [, name = "", address = ""] = /^(\S+) (\S+)/.exec(block) ?? [];
    const number = (label: string) => parseFloat(new RegExp(`${label}:\\s+±?(\\S+)`).exec(block)?.[1] ?? "");
    const cookies = number("NTS cookies");
    return {
      name, address, nts: block.includes("[NTS]"), offset: number("Offset"), delay: number("Delay"), missingPolls: number("Missing polls"),
      cookies: Number.isNaN(cookies) ? undefined : cookies,
    };
  });
}

/** What a server counts, by the name that `ntp-ctl status` gives it: "NTS Accepted". */
export async function countsOf({ status }: Pick<NtpdRs, "status">): Promise<ReadonlyMap<string, number>> {
  const servers = (await status()).split(/^Servers:$/m)[1] ?? "";
  return new Map([...servers.matchAll(/^\s+(\S.*?)\s+(\d+)$/gm)].map(([, name = "", count]) => [name, Number(count)] as const));
}
