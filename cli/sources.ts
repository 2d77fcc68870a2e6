// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement sources`: whom the daemon follows and what becomes of each, in chronyc's columns. Tested in observe.test.ts.
 *
 * @module
 */

import type { SourceReport } from "../daemon/report.ts";
import { OBSERVE_HELP, age, brief, reportCommand } from "./observe.ts";

const HELP = `usage: escapement sources [OPTION...]

Show the sources of the running daemon: state, stratum, poll, reach, and the offset that is believed of each.

  -v, --verbose  explain the columns
${OBSERVE_HELP}`;

const LEGEND = `
  M: mode. ^ server (one that broadcasts, too), = symmetric peer, # reference clock
  S: state. * followed, + combined with it, - usable but not combined, x falseticker, ? not (yet) usable
  Poll: log2 of the seconds between requests     Reach: the last eight requests, octal
  LastRx: since the last good answer             Last sample: offset that is believed after it (+: we are behind)
                                                 +/- its bound: half of the round trip to the reference clock, and
                                                 all dispersion
  Intl: samples that were taken in interleaved mode

`.slice(1);

const HEAD = "MS Name/IP address         Stratum Poll Reach LastRx Last sample";
const RULE = "=".repeat(79);

export const run = reportCommand<readonly SourceReport[]>({ topic: "sources", help: HELP, show: sourcesText });

/** The table, and below it why sources are not heard. */
export function sourcesText(sources: readonly SourceReport[], { verbose }: { verbose: boolean }): string {
  const complaints = sources.flatMap(({ address, name, source, lastError }) => (lastError === null ? [] : [`${address ?? name ?? source}: ${lastError}`]));
  return complaints.length > 0 ? `${table(sources, verbose)}\n\n${complaints.join("\n")}` : table(sources, verbose);
}

function table(sources: readonly SourceReport[], verbose: boolean): string {
  if (!verbose) return [HEAD, RULE, ...sources.map(row)].join("\n");
  const interleaved = sources.map((source) => `${row(source)} ${String(source.interleaved).padStart(6)}`);
  return `${LEGEND}${[`${HEAD.padEnd(75)}Intl`, RULE, ...interleaved].join("\n")}`;
}

function row({ mode, state, source, name, address, stratum, poll, reach, lastSample, offset, rootDistance }: SourceReport): string {
  const cells = [
    `${mode === "symmetric" ? "=" : mode === "refclock" ? "#" : "^"}${state}`,
    (address ?? name ?? source).padEnd(25),
    String(stratum).padStart(5),
    String(poll).padStart(4),
    reach.toString(8).padStart(5),
    age(lastSample).padStart(6),
    brief(offset).padStart(8),
    "+/-",
    brief(rootDistance, { sign: false }).padStart(6),
  ];
  return cells.join(" ");
}
