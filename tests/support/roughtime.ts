// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the Roughtime tests share: a host that can connect by TCP, servers of ours on loopback, and messages written by other
 * means than the core's.
 *
 * @module
 */

import net from "node:net";
import type { Host } from "../../hosts/common/host.ts";
import type { ByteStream } from "../../hosts/common/stream.ts";
import { delegations, generateKey, type LongTermKey } from "../../hosts/common/roughtime/keys.ts";
import type { RoughtimeServerEntry } from "../../hosts/common/roughtime/client.ts";
import { serveRoughtime, type RoughtimeServeOptions, type RoughtimeServer } from "../../hosts/common/roughtime/server.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { SocketStream } from "../../hosts/node/stream.ts";

/** This machine, with TCP both ways. */
export async function tcpHost(): Promise<Host> {
  const host = await lendHost();
  return { ...host, connectTcp: host.connectTcp ?? connectTcp };
}

export function connectTcp({ address, port }: { address: string; port: number }, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port, noDelay: true, signal }, () => resolve(new SocketStream(socket)));
    socket.once("error", reject);
  });
}

export const nowSeconds = () => BigInt(Math.floor(Date.now() / 1000));

export interface OwnServer extends AsyncDisposable {
  readonly server: RoughtimeServer;
  readonly key: LongTermKey;
  readonly port: number;
  /** How a list would have it. */
  readonly entry: RoughtimeServerEntry;
}

/** A server of ours on loopback, without grease and limit where not told otherwise. `ahead`: how far its clock is, s. */
export async function ownServer(host: Host, options: Partial<RoughtimeServeOptions> & { ahead?: number; name?: string; key?: LongTermKey } = {}): Promise<OwnServer> {
  const { ahead = 0, name = "ours", key = generateKey(host), ...rest } = options;
  const start = nowSeconds() + BigInt(Math.round(ahead)) - 1n;
  const server = await serveRoughtime(host, {
    listen: [{ address: "127.0.0.1", port: 0 }],
    keys: delegations(host, key, { start, days: 1, count: 1 }),
    radius: () => 0.01,
    grease: 0,
    rate: 0,
    clock: () => host.clock.now() + BigInt(Math.round(ahead * 1e9)),
    ...rest,
  });
  const { port } = server.addresses[0]!;
  const at = (protocol: "udp" | "tcp") => ({ protocol, host: "127.0.0.1", port });
  const entry = { name, publicKey: key.publicKey, addresses: [at("udp"), at("tcp")] };
  return { server, key, port, entry, [Symbol.asyncDispose]: () => server.close() };
}

/** A message of these tags, in order. */
export function message(values: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const tag = (name: string) => Buffer.from(name.padEnd(4, "\0"), "latin1").readUInt32LE();
  const entries = Object.entries(values).sort(([one], [other]) => tag(one) - tag(other));
  return rawMessage(entries.map(([name]) => tag(name)), entries.map(([, value]) => value));
}

/** A message of these tags and values as they are given, right or wrong. */
export function rawMessage(tags: readonly number[], values: readonly Uint8Array[]): Uint8Array {
  let at = 0;
  const offsets = values.map(({ length }) => (at += length) - length);
  const head = Uint32Array.from([tags.length, ...offsets.slice(1), ...tags]);
  return new Uint8Array(Buffer.concat([new Uint8Array(head.buffer), ...values]));
}

/** A packet of a message. */
export function framed(octets: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.from("ROUGHTIM"), Uint8Array.of(octets.length & 255, octets.length >> 8, 0, 0), octets]));
}

export const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
export const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer);
