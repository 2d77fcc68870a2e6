// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement sourcestats`: what the samples of each source say, in chronyc's columns as far as they apply.
 * Tested in observe.test.ts.
 *
 * @module
 */

import type { SourcestatsReport } from "../daemon/report.ts";
import { OBSERVE_HELP, brief, reportCommand, signed } from "./observe.ts";

const HELP = `usage: escapement sourcestats [OPTION...]

Show what the running daemon has made of each source's samples: frequency, offset, delay, and how certain they are.

  -v, --verbose  explain the columns
${OBSERVE_HELP}`;

const LEGEND = `
  NP: samples taken                 Frequency: of the source relative to our clock, ppm; Freq Skew: its deviation
  Offset: believed (+: we are behind); Std Dev: its deviation
  Delay: the least round trip       Jitter: what round trips exceed it by on average

`.slice(1);

const HEAD = "Name/IP Address             NP  Frequency  Freq Skew  Offset  Std Dev   Delay  Jitter";
const RULE = "=".repeat(HEAD.length);

export const run = reportCommand<readonly SourcestatsReport[]>({ topic: "sourcestats", help: HELP, show: sourcestatsText });

/** The table. */
export function sourcestatsText(sources: readonly SourcestatsReport[], { verbose }: { verbose: boolean }): string {
  return `${verbose ? LEGEND : ""}${[HEAD, RULE, ...sources.map(row)].join("\n")}`;
}

function row({ source, name, address, samples, frequencyPpm, skewPpm, offset, offsetDeviation, delay, jitter }: SourcestatsReport): string {
  const cells = [
    (address ?? name ?? source).padEnd(25),
    String(samples).padStart(4),
    signed(frequencyPpm, 3).padStart(10),
    (skewPpm === null ? "-" : skewPpm.toFixed(3)).padStart(10),
    brief(offset).padStart(7),
    brief(offsetDeviation, { sign: false }).padStart(8),
    brief(delay, { sign: false }).padStart(7),
    brief(jitter, { sign: false }).padStart(7),
  ];
  return cells.join(" ");
}
