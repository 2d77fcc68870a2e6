// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What one client, and all of them, may ask of a relay; and what the relay counts. Documented in docs/relay.md.
 * Tested in server.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { MetricFamily } from "../server/metrics.ts";

export interface RelayLimits {
  /** WebSockets at one time. */
  readonly connections: number;
  /** Of those from one address (IPv6: /64). */
  readonly connectionsPerAddress: number;
  /** Requests a second from one address, in the long run: datagrams, streams, times, HTTP. */
  readonly rate: number;
  /** And at once. */
  readonly burst: number;
  /** Datagrams under way on one connection. */
  readonly datagrams: number;
  /** Streams open on one connection. */
  readonly streams: number;
  /** Octets of one stream, in each direction. */
  readonly streamOctets: number;
  /** What a stream may take in all, and without an octet passing, s. */
  readonly streamTime: number;
  readonly streamIdle: number;
  /** How long a reply is waited for, s. */
  readonly replyTime: number;
  /** How long a connection may stand in all, and without a message, s. */
  readonly connectionTime: number;
  readonly connectionIdle: number;
}

export const DEFAULT_LIMITS: RelayLimits = {
  connections: 1024,
  connectionsPerAddress: 16,
  rate: 8,
  burst: 32,
  datagrams: 16,
  streams: 2,
  streamOctets: 65_536,
  streamTime: 10,
  streamIdle: 5,
  replyTime: 3,
  connectionTime: 3600,
  connectionIdle: 60,
};

/** A timer cannot wait longer than 2³¹ ms. */
const MOST = 2_000_000;

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedLimits(given: Partial<RelayLimits> = {}): RelayLimits {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw new NtpError("INVALID_ARGUMENT", `expected a limit out of ${Object.keys(DEFAULT_LIMITS).join(", ")}; got "${name}"`);
    if (value !== undefined && !(value > 0 && value <= MOST)) throw new NtpError("INVALID_ARGUMENT", `expected a limit above 0 and at most ${MOST} as ${name}, got ${String(value)}`);
  }
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

/** Counters since the start; `open…` are the present state. */
export interface RelayStats {
  openConnections: number;
  openStreams: number;
  connections: number;
  /** Upgrades refused: origin, or too many. */
  refusedConnections: number;
  datagrams: number;
  replies: number;
  /** Datagrams that came from the target and were no reply to the request. */
  passedOver: number;
  timeouts: number;
  streams: number;
  streamOctets: number;
  /** Times told: NTP packets and JSON. */
  times: number;
  /** Requests refused, by reason. */
  forbidden: number;
  limited: number;
  unfit: number;
  malformed: number;
  failed: number;
}

export function newStats(): RelayStats {
  return {
    openConnections: 0, openStreams: 0, connections: 0, refusedConnections: 0, datagrams: 0, replies: 0, passedOver: 0, timeouts: 0,
    streams: 0, streamOctets: 0, times: 0, forbidden: 0, limited: 0, unfit: 0, malformed: 0, failed: 0,
  };
}

/** As metrics: docs/relay.md. */
export const RELAY_METRICS: MetricFamily = {
  prefix: "escapement_relay_",
  gauges: ["openConnections", "openStreams"],
  help: {
    openConnections: "WebSockets that are open.",
    openStreams: "Streams that are open.",
    connections: "WebSockets accepted.",
    refusedConnections: "WebSockets refused: origin, too many, or too often.",
    datagrams: "Requests sent to a target.",
    replies: "Replies brought back.",
    passedOver: "Datagrams that came and were no reply to the request.",
    timeouts: "Requests that no reply came to.",
    streams: "Streams asked for.",
    streamOctets: "Octets of streams from targets.",
    times: "Times told: NTP packets and JSON.",
    forbidden: "Refused: no target of this relay.",
    limited: "Refused: too many requests from one address.",
    unfit: "Refused: no request for the time.",
    malformed: "Connections closed for what cannot be read.",
    failed: "Requests and streams that failed: name, network, limit.",
  },
};
