// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who has asked this server: the core's table of clients as a snapshot, and its counters.
 *
 * Tested in assembly/server/clients.test.ts.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import { addressText } from "./address.ts";

/** One client of a server that keeps a log or limits. */
export interface ClientState {
  /** IPv4 address, or IPv6 prefix of 64 bits as "2001:db8::/64". */
  readonly address: string;
  readonly requests: number;
  /** Of those, over the rate limit and not answered with time. */
  readonly dropped: number;
  /** Of those, with a good MAC or good NTS. */
  readonly authenticated: number;
  /** Answers in interleaved mode. */
  readonly interleaved: number;
  /** Typical time between requests, s; absent before the second. */
  readonly interval?: number;
  /** How long ago the last request came, s. */
  readonly last: number;
}

/** What a server has seen since its start; see docs/server.md. */
export interface ServerCounters {
  readonly received: number;
  readonly answered: number;
  readonly malformed: number;
  readonly unanswerable: number;
  readonly denied: number;
  readonly limited: number;
  readonly hushed: number;
  readonly control: number;
  readonly kissesRate: number;
  readonly kissesDeny: number;
  readonly leaked: number;
  readonly interleaved: number;
  readonly authenticated: number;
  readonly nts: number;
  readonly stamps: number;
  readonly evicted: number;
  readonly hardwareReceived: number;
  readonly hardwareSent: number;
  readonly hardwareRefused: number;
}

/** Names of the counters, and of their fields in the core. */
export const COUNTERS = {
  received: "RECEIVED", answered: "ANSWERED", malformed: "MALFORMED", unanswerable: "UNANSWERABLE", denied: "DENIED", limited: "LIMITED",
  hushed: "HUSHED", control: "CONTROL", kissesRate: "KISSES_RATE", kissesDeny: "KISSES_DENY", leaked: "LEAKED", interleaved: "INTERLEAVED",
  authenticated: "AUTHENTICATED", nts: "NTS", stamps: "STAMPS", evicted: "EVICTED",
  hardwareReceived: "HARDWARE_RECEIVED", hardwareSent: "HARDWARE_SENT", hardwareRefused: "HARDWARE_REFUSED",
} as const satisfies Record<keyof ServerCounters, string>;

/** The core's counters. They are exact up to 2^53. */
export function countersOf(core: Core): ServerCounters {
  const at = core.constant("COUNTERS");
  return Object.fromEntries(
    Object.entries(COUNTERS).map(([name, field]) => [name, Number(core.u64(at + core.constant(`COUNTERS_${field}`)))]),
  ) as unknown as ServerCounters;
}

const FIELDS = ["HIGH", "LOW", "LAST", "REQUESTS", "DROPPED", "AUTHENTICATED", "INTERLEAVED", "INTERVAL"] as const;
/** An interval of n in the core is 2^(n/256) s. */
const LOG_GRAIN = 256;

/** All clients in the table, in no order. `now`: a timestamp on the clock that the core was given. */
export function clientsOf(core: Core, now: bigint): ClientState[] {
  const { exports, view } = core;
  const offset = Object.fromEntries(FIELDS.map((name) => [name, core.constant(`CLIENT_${name}`)])) as Record<(typeof FIELDS)[number], number>;
  const clients: ClientState[] = [];
  for (let index = exports.clientNext(0); index >= 0; index = exports.clientNext(index + 1)) {
    const at = exports.clientOut(index);
    const high = core.u64(at + offset.HIGH);
    const low = core.u64(at + offset.LOW);
    const requests = core.u32(at + offset.REQUESTS);
    const mapped = high === 0n && low >> 32n === 0xffffn;
    clients.push({
      address: addressText({ high, low }) + (mapped ? "" : "/64"),
      requests,
      dropped: core.u32(at + offset.DROPPED),
      authenticated: core.u32(at + offset.AUTHENTICATED),
      interleaved: core.u32(at + offset.INTERLEAVED),
      ...(requests > 1 && { interval: 2 ** (view.getInt16(at + offset.INTERVAL, true) / LOG_GRAIN) }),
      last: Math.max(0, exports.intervalToSeconds(exports.elapsed(core.i64(at + offset.LAST), BigInt.asIntN(64, now)))),
    });
  }
  return clients;
}

/** One list of those of several threads, among which a client's ports may have been shared out: one entry an address. */
export function mergeClients(lists: readonly (readonly ClientState[])[]): ClientState[] {
  const merged = new Map<string, ClientState>();
  for (const client of lists.flat()) {
    const other = merged.get(client.address);
    merged.set(client.address, other ? together(other, client) : client);
  }
  return [...merged.values()];
}

function together(a: ClientState, b: ClientState): ClientState {
  // Rates add up: 1/a + 1/b requests a second. Who has no interval yet asked one of them once, which says nothing of it.
  const known = [a.interval, b.interval].filter((interval) => interval !== undefined);
  const interval = known.length === 2 ? 1 / (1 / known[0]! + 1 / known[1]!) : known[0];
  return {
    address: a.address,
    requests: a.requests + b.requests,
    dropped: a.dropped + b.dropped,
    authenticated: a.authenticated + b.authenticated,
    interleaved: a.interleaved + b.interleaved,
    ...(interval !== undefined && { interval }),
    last: Math.min(a.last, b.last),
  };
}
