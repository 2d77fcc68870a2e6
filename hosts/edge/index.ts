// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement/edge`: escapement in a Worker (workerd). Datagrams go by a relay, key establishment by the Worker's own TCP where
 * `connect` is given; and a Worker can tell the time itself, by HTTP and WebSocket.
 *
 * What a Worker opens belongs to the request that it was opened for: make an {@link edge} for each request. docs/edge.md tells what
 * time in a Worker is worth. Tested in tests/edge/worker.test.ts, in workerd.
 *
 * @module
 */

import { createApi, type Escapement } from "../common/api.ts";
import type { Host } from "../common/host.ts";
import { relayHost, type RelayOptions } from "../common/relay/client.ts";
import { startRelay, type RelayServerOptions } from "../common/relay/server.ts";
import { workerClock } from "./clock.ts";
import { tcpBy, type WorkerConnect } from "./tcp.ts";
import { fetchBy } from "./websocket.ts";

export * from "../common/public.ts";
export type { WorkerConnect, WorkerSocket } from "./tcp.ts";

export interface EdgeOptions {
  /** The relay that carries datagrams; without one there are none. */
  readonly relay?: string | URL | RelayOptions;
  /** `connect` of "cloudflare:sockets". Without it streams go by the relay, too. */
  readonly connect?: WorkerConnect;
}

/** What a Worker lends. */
export function lendHost({ relay, connect }: EdgeOptions = {}): Host {
  const base: Host = {
    runtime: "edge",
    version: (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent ?? "",
    clock: workerClock(),
    random: (bytes) => crypto.getRandomValues(bytes),
    // Names are looked up by whoever connects.
    resolve: async (name) => [{ address: name, family: 4 }],
    ...(connect ? { connectTcp: tcpBy(connect) } : {}),
  };
  if (relay === undefined) return base;
  const lent = relayHost(base, typeof relay === "string" || relay instanceof URL ? { url: relay } : relay);
  return base.connectTcp ? { ...lent, connectTcp: base.connectTcp } : lent;
}

/** The public functions for one request of a Worker. */
export function edge(options: EdgeOptions = {}): Pick<Escapement, "now" | "query" | "survey"> {
  const { now, query, survey } = createApi(async () => lendHost(options));
  return { now, query, survey };
}

/**
 * A Worker that tells the time: JSON by HTTP, JSON and NTP packets by WebSocket, as a relay does. `time` says how its clock is
 * vouched for; without it it tells none. With `allow` and `connect` it carries streams to those targets, too, and leaves their names to
 * `connect`; it has no datagrams.
 *
 * The function's second argument is the client's address, by which limits are counted, where the platform tells it beside the
 * request; a Worker gets its bindings there, which are passed over, and its clients are told apart by `CF-Connecting-IP`.
 *
 * @example
 * export default { fetch: timeServer({ time: { stratum: 3, rootDispersion: 0.05 } }) };
 */
export function timeServer({ connect, ...options }: Omit<RelayServerOptions, "listen" | "allow"> & { allow?: readonly string[]; connect?: WorkerConnect } = {}): (request: Request, address?: unknown) => Promise<Response> {
  let answer: Promise<ReturnType<typeof fetchBy>> | undefined;
  const prepared = () =>
    new Promise<ReturnType<typeof fetchBy>>((resolve, reject) => {
      const listenWebSocket: NonNullable<Host["listenWebSocket"]> = async (server) => {
        resolve(fetchBy(server));
        return { local: server.endpoint, close: async () => {} };
      };
      // At the first request: before it a Worker has neither the time nor randomness.
      const { resolve: _, ...host } = lendHost(connect ? { connect } : {});
      startRelay({ ...host, listenWebSocket }, { allow: [], ...options }).catch(reject);
    });
  return async (request, address) => (await (answer ??= prepared()))(request, typeof address === "string" ? address : undefined);
}
