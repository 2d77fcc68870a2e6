// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's counters as text for monitoring systems: OpenMetrics 1.0. Names are documented in docs/metrics.md.
 *
 * Counters are never reset while the process lives, times are in seconds, and no label has a value that a client could choose.
 * Tested in metrics.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { Server } from "./serve.ts";

export const METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** What each counter means; one that is not listed here is told by its name alone. */
const HELP: Readonly<Record<string, string>> = {
  received: "Datagrams received.",
  answered: "Answers sent, kisses among them.",
  dropped: "Datagrams that had no right to an answer.",
  failed: "Answers that could not be sent.",
  shed: "Requests not answered because they had waited for too long.",
  malformed: "Not answered: not a whole NTP request.",
  unanswerable: "Not answered: a mode or version that never is.",
  denied: "Not answered: access rules.",
  limited: "Not answered: over the rate limit.",
  hushed: "Not answered: around a leap second.",
  control: "Control messages (mode 6) from who may send them.",
  kissesRate: "Kisses RATE.",
  kissesDeny: "Kisses DENY.",
  leaked: "Answered though over the rate limit.",
  interleaved: "Answers in interleaved mode.",
  authenticated: "Requests with a good MAC.",
  nts: "Requests with good NTS.",
  stamps: "Transmit timestamps that found their answer.",
  evicted: "Clients that others pushed out of the table.",
  hardwareReceived: "Receive timestamps that a network card took.",
  hardwareSent: "Transmit timestamps that a network card took.",
  hardwareRefused: "Timestamps of network cards that were not believed.",
  keAccepted: "Connections for key establishment that got through their handshake.",
  keRefused: "Connections for key establishment closed at once: too many, or too often.",
  keHandshakesFailed: "Handshakes for key establishment that failed.",
  keLate: "Clients of key establishment that took too long.",
  keGone: "Clients of key establishment that left early.",
  keServed: "Clients that were given keys and cookies.",
  keNothingInCommon: "Clients of key establishment that offered nothing that is served.",
  keUnknownCritical: "Requests for keys with a critical record that is not known.",
  keBadRequest: "Requests for keys that were malformed.",
  keInternalError: "Requests for keys that failed here.",
};

/** Counters of one kind: what their names begin with, and what each means. */
export interface MetricFamily {
  readonly prefix: string;
  readonly help: Readonly<Record<string, string>>;
  /** Those of them that tell a present state and may fall. */
  readonly gauges?: readonly string[];
}

const SERVER: MetricFamily = { prefix: "escapement_server_", help: HELP };

/** The text of a set of counters. `startNs`: when they were nought, ns since 1970. */
export function metricsText(stats: Readonly<Record<string, number>>, startNs: bigint, { prefix, help, gauges = [] } = SERVER): string {
  const created = (Number(startNs / 1_000_000n) / 1000).toFixed(3);
  const families = Object.entries(stats).map(([name, value]) => {
    // `aB` as `a_b`: names of the interface are camel case, those of metrics are not.
    const family = prefix + name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const gauge = gauges.includes(name);
    const values = gauge ? [`${family} ${value}`] : [`${family}_total ${value}`, `${family}_created ${created}`];
    return [`# TYPE ${family} ${gauge ? "gauge" : "counter"}`, `# HELP ${family} ${help[name] ?? `Counter ${name}.`}`, ...values].join("\n");
  });
  return `${families.join("\n")}\n# EOF\n`;
}

/** All that a server counts, by name: its own, the reasons, and those of key establishment as "ke…". */
export function countsOf({ stats, counters }: Pick<Server, "stats" | "counters">): Record<string, number> {
  const { ke = {}, ...own } = stats;
  // Both count what came and what left; those of the sockets are the truth.
  const established = Object.entries(ke).map(([name, value]) => [`ke${name[0]!.toUpperCase()}${name.slice(1)}`, value as number]);
  return { ...counters, ...own, ...Object.fromEntries(established) as Record<string, number> };
}

/** Where metrics are told; loopback unless another address is given. */
export interface MetricsPlace {
  readonly address?: string;
  readonly port: number;
}

/** Serve a server's counters at /metrics until the returned function is called. @throws {NtpError} `UNSUPPORTED`, `SOCKET` */
export function startMetrics(host: Host, server: Server, place: MetricsPlace): Promise<MetricsListener> {
  return listenForMetrics(host, place, (startNs) => metricsText(countsOf(server), startNs));
}

export interface MetricsListener {
  readonly local: Endpoint;
  close(): Promise<void>;
}

/** Serve `text` of the start, ns since 1970, at /metrics. @throws {NtpError} `UNSUPPORTED`, `SOCKET` */
export async function listenForMetrics(host: Host, { address = "127.0.0.1", port }: MetricsPlace, text: (startNs: bigint) => string): Promise<MetricsListener> {
  if (!host.listenHttp) throw new NtpError("UNSUPPORTED", `${host.runtime} cannot listen for HTTP, which metrics need`);
  const startNs = host.clock.now();
  try {
    return await host.listenHttp({ address, port }, (path) =>
      path === "/metrics" ? { status: 200, type: METRICS_TYPE, body: text(startNs) } : { status: 404, type: "text/plain; charset=utf-8", body: "expected /metrics\n" },
    );
  } catch (cause) {
    throw new NtpError("SOCKET", `could not listen for metrics on ${address} port ${port}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
