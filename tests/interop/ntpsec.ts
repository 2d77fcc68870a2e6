// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPsec's ntpd as server and as client with NTS, asked through ntpq. It insists on ports 123 and 4460, so that it runs in a
 * network namespace, and has no right to set the clock.
 *
 * A newer one asks nobody at an address of the loopback interface: it needs two namespaces and a cable.
 *
 * @module
 */

import { Peer, freshDirectory, run, untilReady, writeLines, type Namespace } from "../support/peers.ts";
import type { PkiFiles } from "../support/files-of-pki.ts";
import type { NtsPlace } from "./chrony-nts.ts";

/** Which ntpd: that of this machine's release, or of a newer one (build/peers.sh). */
export type NtpsecProgram = "ntpd" | "ntpd-new";

/** Where NTPsec establishes keys; it cannot be told otherwise. */
const NTPSEC_KE_PORT = 4460;

/** An ntpd that runs until disposed of. */
export interface Ntpsec extends AsyncDisposable {
  readonly peer: Peer;
  /** What ntpq prints. */
  ask(...command: string[]): Promise<string>;
  /** What `ntpq -c ntsinfo` counts, by name. */
  counts(): Promise<ReadonlyMap<string, number>>;
}

export interface NtpsecOptions {
  readonly namespace: Namespace;
  readonly program?: NtpsecProgram;
  readonly lines?: readonly string[];
}

/** A server of NTS of stratum 1 at `address`. */
export async function ntpsecNtsServer({ pki, address, lines = [], ...options }: NtpsecOptions & { readonly pki: PkiFiles; readonly address: string }): Promise<Ntpsec & NtsPlace> {
  const { certificate, key } = pki.issue(address);
  const place = freshDirectory();
  const nts = ["nts enable", `nts cert ${certificate}`, `nts key ${key}`, `nts cookie ${place}/cookies`];
  // Its own clock as the reference, looked at every second.
  const clock = ["refclock local stratum 0 minpoll 0 maxpoll 0 prefer"];
  return { ...(await startNtpsec({ ...options, lines: [...nts, ...clock, ...lines] }, place)), address, kePort: NTPSEC_KE_PORT };
}

/** A client of `server` by NTS. */
export function ntpsecNtsClient(server: NtsPlace, { pki, lines = [], ...options }: NtpsecOptions & { readonly pki: PkiFiles }): Promise<Ntpsec> {
  const source = `server ${server.address}:${server.kePort} nts ca ${pki.ca} iburst minpoll 0 maxpoll 0`;
  return startNtpsec({ ...options, lines: [source, ...lines] });
}

/** An ntpd once it answers ntpq. */
export async function startNtpsec({ namespace, program = "ntpd", lines = [] }: NtpsecOptions, ...owns: string[]): Promise<Ntpsec> {
  const directory = freshDirectory();
  const file = writeLines(directory, "ntp.conf", ["tos minsane 1", "restrict default", "restrict 127.0.0.1", ...lines]);
  const peer = new Peer(program, ["-n", "-g", "-c", file, "-p", `${directory}/ntpd.pid`], { namespace, owns: [directory, ...owns] });
  const ask = async (...command: string[]) => (await run("ntpq", [...command.flatMap((one) => ["-c", one]), "127.0.0.1"], { namespace })).stdout;
  await untilReady("ntpd to answer ntpq", async () => ((await ask("rv 0 stratum")).includes("stratum=") ? true : undefined), peer);
  const counts = async () => new Map([...(await ask("ntsinfo")).matchAll(/^([^:\n]+):\s+(\d+)/gm)].map(([, name = "", count]) => [name.trim(), Number(count)] as const));
  return { peer, ask, counts, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}
