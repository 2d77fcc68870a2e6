// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement clients`: who asks the daemon's server, in chronyc's manner. Tested in serverstats.test.ts.
 *
 * @module
 */

import type { ClientState } from "../hosts/common/server/clients.ts";
import { OBSERVE_HELP, reportCommand } from "./observe.ts";

const HELP = `usage: escapement clients [OPTION...]

Show who asked the running daemon's server last, at most 1000: IPv4 addresses and IPv6 networks. The daemon knows them where
its configuration says client-log or rate-limit.

${OBSERVE_HELP}`;

const HEAD = "Address                       Requests  Dropped   Auth  Xleave  Interval  Last";
const RULE = "=".repeat(HEAD.length);

/** Of the observation socket; null where nobody is served. */
export type ClientsReport = readonly ClientState[] | null;

export const run = reportCommand<ClientsReport>({ topic: "clients", help: HELP, show: clientsText });

/** The table. */
export function clientsText(clients: ClientsReport): string {
  if (!clients) return "The daemon serves nobody: its configuration has no [server].";
  return [HEAD, RULE, ...clients.map(row)].join("\n");
}

function row({ address, requests, dropped, authenticated, interleaved, interval, last }: ClientState): string {
  const cells = [address.padEnd(27), String(requests).padStart(10), String(dropped).padStart(8), String(authenticated).padStart(6), String(interleaved).padStart(7)];
  return [...cells, (interval === undefined ? "-" : `${interval.toFixed(1)}`).padStart(9), last.toFixed(0).padStart(5)].join(" ").trimEnd();
}
