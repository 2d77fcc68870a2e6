// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A session of packets with real servers, recorded once (tests/vectors/session.json), and a host that plays it again: the same
 * randomness, the same moments, the same octets. So every runtime must send the same octets, TLS handshake and NTS included, and
 * come to the same samples, bit for bit. tests/interop/session.test.ts records one anew and holds it against this.
 *
 * @module
 */

import type { Datagram, Escapement, Host } from "../../hosts/node/index.ts";
import { must } from "./suite.ts";

/** One question and everything that came from outside while it was answered. Octets in hex, times in ns as text. */
export interface Recorded {
  readonly source: string;
  /** Authorities, PEM. */
  readonly ca?: string;
  /** What the clock said, all the while. */
  readonly now: string;
  readonly precision: number;
  /** Each array of random octets that was asked for. */
  readonly random: readonly string[];
  readonly datagrams: readonly { readonly request: string; readonly sent: string; readonly reply: string; readonly came: string }[];
  /** What each TCP connection brought, in pieces; and all that was written to it. */
  readonly streams: readonly { readonly read: readonly string[]; readonly written: string }[];
}

export const hex = (octets: Uint8Array): string => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
const unhex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../g) ?? [], (octet) => parseInt(octet, 16));
export const sha256 = async (octets: Uint8Array<ArrayBuffer>): Promise<string> => hex(new Uint8Array(await crypto.subtle.digest("SHA-256", octets)));

/** Only what it was told by the recording; anything else that is done is an error. */
export function replayHost(recorded: Recorded): Host {
  const random = recorded.random.values();
  const datagrams = recorded.datagrams.values();
  const streams = recorded.streams.values();
  return {
    runtime: "node",
    version: "replay",
    clock: { now: () => BigInt(recorded.now), monotonic: () => BigInt(recorded.now), precision: recorded.precision, description: "replay" },
    random: (bytes) => {
      const { value = "" } = random.next();
      must(value.length === bytes.length * 2, `expected ${value.length / 2} random octets to be wanted, got ${bytes.length}`);
      bytes.set(unhex(value));
      return bytes;
    },
    openUdp: async ({ connect }, { onDatagram }) => ({
      local: { address: "127.0.0.1", port: 1 },
      stamps: "user",
      close() {},
      send: async (data) => {
        const { value } = datagrams.next();
        must(value !== undefined && hex(data) === value.request, `expected the request ${value?.request}, got ${hex(data)}`);
        const reply: Datagram = { data: unhex(value.reply), from: connect!, receivedNs: BigInt(value.came), stamp: "user" };
        queueMicrotask(() => onDatagram(reply));
        return { sentNs: BigInt(value.sent), stamp: "user" };
      },
    }),
    connectTcp: async () => {
      const { value } = streams.next();
      must(value !== undefined, "one connection too many");
      const pieces = value.read.values();
      const written: number[] = [];
      return {
        read: async () => {
          const { value: piece } = pieces.next();
          return piece === undefined ? undefined : unhex(piece);
        },
        write: async (data) => {
          written.push(...data);
          must(value.written.startsWith(hex(Uint8Array.from(written))), "other octets were written than when it was recorded");
        },
        close() {},
      };
    },
  };
}

/** Ask again what was asked then; one hash over all samples, whose numbers JSON writes exactly. */
export async function replayHash(session: readonly Recorded[], createApi: (lend: () => Promise<Host>) => Pick<Escapement, "query">): Promise<string> {
  const samples = [];
  for (const recorded of session) samples.push(await replay(recorded, createApi));
  return sha256(new TextEncoder().encode(samples.join("\n")));
}

/** The sample, as JSON. */
export async function replay(recorded: Recorded, createApi: (lend: () => Promise<Host>) => Pick<Escapement, "query">): Promise<string> {
  const { query } = createApi(async () => replayHost(recorded));
  return JSON.stringify(await query(recorded.source, recorded.ca ? { nts: { ca: recorded.ca } } : {}));
}
