// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement relay`: a relay in the foreground, until SIGINT or SIGTERM. docs/relay.md tells what it carries.
 *
 * @module
 */

import { lendHost } from "#host";
import { formatEndpoint } from "../hosts/common/address.ts";
import { startRelay, type Relay, type RelayLimits } from "../hosts/common/relay/index.ts";
import { stopSignal } from "./foreground.ts";
import { UsageError, command, defined, listenOption, metricsOption, needStratum, numberOption, onlyOptions } from "./usage.ts";

const HELP = `usage: escapement relay [OPTION...]

Carry requests for the time out of WebSockets to the targets allowed, and their replies back.

  --listen A:P       address and port; ":P" for all addresses (default :8123)
  --allow HOST:PORT  a target; with "udp:" or "tcp:" before it for one of them only; may be repeated.
                     A name must have a public address; one on this network is allowed as an address.
  --origin O         pages of this origin only, like https://example.org; may be repeated (default any)
  --rate N           requests a second from one address, in the long run (default 8)
  --connections N    WebSockets at one time (default 1024)
  --stratum N        1..15: tell this host's time, too, N steps from a reference clock
  --refid TEXT       what it is synchronised to: four letters at stratum 1, an IPv4 address above
  --root-dispersion S  error of this host's clock, seconds (default 0.01)
  --id NAME          who answers, in the JSON (default escapement)
  --metrics A:P      tell the counters over HTTP, OpenMetrics at /metrics; ":P" for loopback
  --json             print the address, and at the end the counters, as JSON
  --help             this text`;

const OPTIONS = {
  listen: { type: "string" },
  allow: { type: "string", multiple: true },
  origin: { type: "string", multiple: true },
  rate: { type: "string" },
  connections: { type: "string" },
  stratum: { type: "string" },
  refid: { type: "string" },
  "root-dispersion": { type: "string" },
  id: { type: "string" },
  metrics: { type: "string" },
  json: { type: "boolean" },
} as const;

export const run = command(HELP, OPTIONS, async ({ values, positionals }) => {
  onlyOptions("relay", positionals);
  needStratum("relay", values);
  const { address, port } = listenOption("listen", values.listen ?? ":8123");
  const stratum = numberOption("stratum", values.stratum, { min: 1, max: 15, integer: true });
  const rootDispersion = numberOption("root-dispersion", values["root-dispersion"], { min: 0, max: 15 });
  if (!values.allow && stratum === undefined) throw new UsageError("relay: expected at least one --allow HOST:PORT, or --stratum to tell this host's time");
  const relay = await startRelay(await lendHost(), {
    listen: { ...defined({ address }), port },
    allow: values.allow ?? [],
    ...defined({ origins: values.origin, id: values.id, metrics: values.metrics === undefined ? undefined : metricsOption(values.metrics) }),
    ...(stratum !== undefined && { time: { stratum, ...defined({ refid: values.refid, rootDispersion }) } }),
    limits: limitsOf(values.rate, values.connections),
  });
  const stopped = stopSignal();
  announce(relay, values.json ?? false, values.allow ?? []);
  await stopped;
  await relay.close();
  if (values.json) console.log(JSON.stringify({ stats: relay.stats }));
  return 0;
});

function limitsOf(rateText: string | undefined, connectionsText: string | undefined): Partial<RelayLimits> {
  const rate = numberOption("rate", rateText, { min: 0.01, max: 100_000 });
  const connections = numberOption("connections", connectionsText, { min: 1, max: 1_000_000, integer: true });
  return { ...(rate !== undefined && { rate, burst: Math.max(4, 4 * rate) }), ...defined({ connections }) };
}

function announce({ local, metrics }: Relay, json: boolean, allow: readonly string[]): void {
  if (json) return console.log(JSON.stringify({ address: local.address, port: local.port, ...(metrics && { metrics }) }));
  console.log(`Relaying on ws://${formatEndpoint(local)}/ to ${allow.join(", ") || "nobody: telling the time only"}. Stop with Ctrl-C.`);
}
