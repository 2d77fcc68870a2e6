// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The servers that the contracts ask, by name. A runtime that can serve starts each itself, when a contract asks for it; for a
 * page and a Worker, which cannot, contract.test.ts starts all of them beside it.
 *
 * @module
 */

import { delegations, generateKey, serveRoughtime } from "escapement/roughtime";
import type { Host, ServeOptions, Server } from "../../hosts/node/index.ts";

type Starting = Pick<ServeOptions, "listen" | "stratum" | "refid" | "rootDispersion">;
const NEAR = ["127.0.0.1"] as const;

/** NTP servers: what they are told, and how far their clocks are ahead of the host's, ns. */
export const NTP_SERVERS = {
  good: [{ stratum: 2, refid: "192.0.2.1", rootDispersion: 0.001 }, 0n],
  untold: [{}, 0n],
  exact: [{ listen: NEAR, stratum: 1, rootDispersion: 0.0005 }, 0n],
  early: [{ listen: NEAR, stratum: 1, rootDispersion: 0.0005 }, 200_000n],
  late: [{ listen: NEAR, stratum: 1, rootDispersion: 0.0005 }, -300_000n],
  liar: [{ listen: NEAR, stratum: 1, rootDispersion: 0.0005 }, 500_000_000n],
  ahead: [{ listen: NEAR, stratum: 1, rootDispersion: 0.0001 }, 250_000_000n],
} as const satisfies Record<string, readonly [Starting, bigint]>;

/** Roughtime servers, and how far they are ahead, s. */
export const ROUGHTIME_SERVERS = { roughOwn: 0, roughLiar: 3600, roughOne: 0, roughTwo: 0, roughGone: 0 } as const;

export type ServerName = keyof typeof NTP_SERVERS | keyof typeof ROUGHTIME_SERVERS | "silent";
export const SERVER_NAMES = [...Object.keys(NTP_SERVERS), ...Object.keys(ROUGHTIME_SERVERS), "silent"] as readonly ServerName[];

/** One of them, running. On 127.0.0.1 all of them, the first two on ::1, too. */
export interface Asked extends AsyncDisposable {
  readonly port: number;
  /** Of Roughtime. */
  readonly publicKey?: Uint8Array;
  /** Where this runtime serves itself. */
  readonly server?: Server;
}

type Serve = (options: ServeOptions) => Promise<Server>;

export async function startServer(host: Host, serve: Serve, name: ServerName): Promise<Asked> {
  if (name === "silent") return silent(host);
  if (name in ROUGHTIME_SERVERS) return roughtime(host, ROUGHTIME_SERVERS[name as keyof typeof ROUGHTIME_SERVERS]);
  const [options, ahead] = NTP_SERVERS[name as keyof typeof NTP_SERVERS];
  const server = await serve({ ...options, port: 0, clock: () => host.clock.now() + ahead });
  return { port: server.addresses[0]!.port, server, [Symbol.asyncDispose]: () => server.close() };
}

/** Somebody is there, and says nothing. */
async function silent(host: Host): Promise<Asked> {
  const socket = await host.openUdp!({ family: 4, address: "127.0.0.1" }, { onDatagram() {}, onError() {} });
  return { port: socket.local.port, [Symbol.asyncDispose]: async () => socket.close() };
}

async function roughtime(host: Host, ahead: number): Promise<Asked> {
  const key = generateKey(host);
  const start = BigInt(Math.floor(Date.now() / 1000) + ahead);
  const clock = () => host.clock.now() + BigInt(ahead) * 1_000_000_000n;
  const server = await serveRoughtime(host, {
    listen: [{ address: "127.0.0.1", port: 0 }], keys: delegations(host, key, { start, days: 1, count: 1 }), radius: () => 0.01, grease: 0, clock,
  });
  return { port: server.addresses[0]!.port, publicKey: key.publicKey, [Symbol.asyncDispose]: () => server.close() };
}

/** What a page or a Worker is told of servers that were started beside it: plain data. */
export type Elsewhere = Record<ServerName, { readonly port: number; readonly publicKey?: readonly number[] }>;

export function elsewhere(started: ReadonlyMap<ServerName, Asked>): Elsewhere {
  return Object.fromEntries([...started].map(([name, { port, publicKey }]) => [name, { port, ...(publicKey ? { publicKey: [...publicKey] } : {}) }])) as unknown as Elsewhere;
}

/** They run on when a contract has done with them. */
export function askedElsewhere(servers: Elsewhere): (name: ServerName) => Promise<Asked> {
  return async (name) => {
    const { port, publicKey } = servers[name];
    return { port, ...(publicKey ? { publicKey: Uint8Array.from(publicKey) } : {}), [Symbol.asyncDispose]: async () => {} };
  };
}
