// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement tracking`: the clock as the daemon knows it, in chronyc's words. Tested in observe.test.ts.
 *
 * @module
 */

import { codeOf, leapText } from "../daemon/numbers.ts";
import type { TrackingReport } from "../daemon/report.ts";
import { OBSERVE_HELP, reportCommand, signed } from "./observe.ts";

const HELP = `usage: escapement tracking [OPTION...]

Show how the running daemon knows the clock: whom it follows, what it is off by, how certain that is.

${OBSERVE_HELP}`;

export const run = reportCommand<TrackingReport>({ topic: "tracking", help: HELP, show: trackingText });

/** The report, a line each. */
export function trackingText(report: TrackingReport): string {
  const { refid, address, referenceTime, offset, frequencyPpm, updateInterval, rmsOffset } = report;
  const lines: [string, string][] = [
    ["Reference ID", `${refid} (${address ?? codeOf(refid)})`],
    ["Stratum", String(report.synchronised ? report.stratum : 0)],
    ["Ref time (UTC)", referenceTime === null ? "-" : dateText(BigInt(referenceTime))],
    ["System time", offset === null ? "not known" : `${Math.abs(offset).toFixed(9)} seconds ${offset < 0 ? "fast" : "slow"} of NTP time${report.mode === "virtual" ? " (virtual clock)" : ""}`],
    ["Last offset", `${signed(report.lastOffset, 9)} seconds`],
    ["RMS offset", `${rmsOffset === null ? "-" : rmsOffset.toFixed(9)} seconds`],
    ["Frequency", `${Math.abs(frequencyPpm).toFixed(3)} ppm ${frequencyPpm < 0 ? "fast" : "slow"}`],
    ["Residual freq", `${signed(report.residualFrequencyPpm, 3)} ppm`],
    ["Skew", `${report.skewPpm.toFixed(3)} ppm`],
    ["Root delay", `${report.rootDelay.toFixed(9)} seconds`],
    ["Root dispersion", `${report.rootDispersion.toFixed(9)} seconds`],
    ["Update interval", `${updateInterval === null ? "-" : updateInterval.toFixed(1)} seconds`],
    ["Leap status", leapText(report.leap)],
  ];
  return lines.map(([name, value]) => `${name.padEnd(16)}: ${value}`).join("\n");
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** As asctime() writes it. */
function dateText(unixNs: bigint): string {
  const date = new Date(Number(unixNs / 1_000_000n));
  const day = String(date.getUTCDate()).padStart(2, "0");
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 19)} ${date.getUTCFullYear()}`;
}
