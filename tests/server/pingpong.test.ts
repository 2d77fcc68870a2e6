// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Two of our servers made to talk to each other by a datagram that bears the other's address as its sender's: whatever it
 * holds, they exchange one answer at most, and then there is silence. And rules for IPv4 hold on a socket of IPv6. The forging
 * is done from a raw socket in a network of its own.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServe } from "../interop/ask.ts";
import { Namespace, Peer, escapement, findProgram, titled, whySkipped } from "../support/peers.ts";
import { request5 } from "../support/ntpv5.ts";
import { lacking } from "./built.ts";

const skipped = whySkipped(["ip", "nsenter", "unshare", "python3"], { root: true });
const [ONE, OTHER] = ["127.0.1.1", "127.0.1.2"];

/** Sends each line, an IPv4 packet in hexadecimal, as it is; the kernel fills in the checksum of the header. */
const FORGE = `
import socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for line in sys.stdin:
    octets = bytes.fromhex(line)
    raw.sendto(octets, (socket.inet_ntoa(octets[16:20]), 0))
`;

/** An IPv4 packet from port 123 of `from` to port 123 of `to`; UDP without a checksum. */
function forged(from: string, to: string, payload: Uint8Array): string {
  const packet = Buffer.alloc(28 + payload.length);
  packet.set([0x45, 0]);
  packet.writeUInt16BE(packet.length, 2);
  packet.set([64, 17], 8);
  packet.set([...from.split("."), ...to.split(".")].map(Number), 12);
  packet.writeUInt16BE(123, 20);
  packet.writeUInt16BE(123, 22);
  packet.writeUInt16BE(8 + payload.length, 24);
  packet.set(payload, 28);
  return packet.toString("hex");
}

/** Every version and mode, plain, and one with the mark of version 5 in it. */
const PAYLOADS = [
  ...Array.from({ length: 64 }, (_, flags) => Uint8Array.from({ length: 48 }, (_, at) => (at === 0 ? flags : at))),
  request5(), request5({ mode: 4 }), Uint8Array.of(0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), Uint8Array.of(0x96, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
];

interface Ended {
  readonly stats: { readonly received: number; readonly answered: number };
  readonly counters: { readonly control: number };
}

describe.skipIf(skipped !== undefined || lacking !== undefined)(titled("two servers of ours", skipped), () => {
  let network: Namespace;
  beforeAll(async () => {
    network = await Namespace.open();
  });
  afterAll(() => network?.[Symbol.asyncDispose]());

  const end = async (server: Peer) => JSON.parse((await server.stop()).stdout.trim().split("\n").at(-1)!) as Ended;

  it.each([["on the fast path", [], 1], ["on the runtime's own sockets", ["--portable"], 0]] as const)("%s never answer each other's answers, whatever is forged", async (_, options, apart) => {
    const servers = await Promise.all([ONE, OTHER].map((address) => startServe(["--listen", `${address}:123`, "--stratum", "2", "--interleaved", "--control", ...options], { namespace: network })));
    const lines = PAYLOADS.flatMap((payload) => [forged(ONE, OTHER, payload), forged(OTHER, ONE, payload)]);
    const [command, ...rest] = [...network.enter, findProgram("python3")!, "-c", FORGE];
    const { status, stderr } = spawnSync(command!, rest, { input: lines.join("\n"), encoding: "utf8" });
    expect(status, stderr).toBe(0);
    // A genuine client behind it all: by then everything before has been read, and an exchange without end would still go on.
    for (const address of [ONE, OTHER]) expect((await escapement(["query", address], { namespace: network })).status).toBe(0);
    const ends = await Promise.all(servers.map(end));
    for (const [index, { stats }] of ends.entries()) {
      const other = ends[1 - index]!;
      // What was forged, one question of the client's, and each answer of the other once; those to control messages, which the
      // main thread of the fast path gives, are counted apart.
      expect(stats.received).toBe(PAYLOADS.length + 1 + (other.stats.answered - 1) + apart * other.counters.control);
      expect(stats.answered).toBeLessThan(PAYLOADS.length);
      expect(stats.answered).toBeGreaterThan(5);
    }
  });

  it.each([["on the fast path", []], ["on the runtime's own sockets", ["--portable"]]])("%s on all addresses keep a rule for IPv4, though it may come by a socket of IPv6, and one for IPv6 apart", async (_, options) => {
    await using server = await startServe(["--listen", ":123", "--stratum", "2", "--deny", "127.0.0.0/8", ...options], { namespace: network });
    expect((await escapement(["query", ONE, "--timeout", "0.5"], { namespace: network })).status).toBe(1);
    expect((await escapement(["query", "[::1]"], { namespace: network })).status).toBe(0);
    expect(server.over).toBe(false);
  });
});
