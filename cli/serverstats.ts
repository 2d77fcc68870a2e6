// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement serverstats`: what became of the datagrams that the daemon's server received. Tested in serverstats.test.ts.
 *
 * @module
 */

import type { ServerCounters } from "../hosts/common/server/clients.ts";
import type { ServerStats } from "../hosts/common/server/serve.ts";
import { OBSERVE_HELP, reportCommand } from "./observe.ts";

const HELP = `usage: escapement serverstats [OPTION...]

Show what became of the datagrams that the running daemon's server received, since its start.

${OBSERVE_HELP}`;

/** Of the observation socket; null where nobody is served. */
export type ServerstatsReport = { readonly stats: ServerStats; readonly counters: ServerCounters } | null;

export const run = reportCommand<ServerstatsReport>({ topic: "serverstats", help: HELP, show: serverstatsText });

/** The report, a line each. */
export function serverstatsText(report: ServerstatsReport): string {
  if (!report) return "The daemon serves nobody: its configuration has no [server].";
  const { ke, ...stats } = report.stats;
  const { received: _received, answered: _answered, ...reasons } = report.counters;
  const lines = [...Object.entries(stats), ...Object.entries(reasons), ...Object.entries(ke ?? {}).map(([name, value]) => [`ke ${name}`, value] as const)];
  return lines.map(([name, value]) => `${wordsOf(name).padEnd(24)}: ${String(value)}`).join("\n");
}

/** "kissesRate" as "kisses rate". */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
