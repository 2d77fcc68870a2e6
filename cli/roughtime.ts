// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement roughtime`: a measurement over a server list (RFC 10049 §8), its bounds of the present, and the proof of a lie.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { lendHost } from "#host";
import { listedServers } from "../daemon/secrets.ts";
import { boundsOf, type TimeBounds } from "../hosts/common/roughtime/bootstrap.ts";
import { LEAST_SERVERS, measure, type Measurement } from "../hosts/common/roughtime/quorum.ts";
import { paint, seconds } from "./format.ts";
import { FAMILY_OPTIONS, UsageError, command, familyOption, fileOption, numberOption } from "./usage.ts";

const HELP = `usage: escapement roughtime --list FILE [OPTION...]

Ask three Roughtime servers or more, one after the other and twice, each request bound to the answer before, and say where
the present lies. Answers that contradict each other prove that somebody lied.

  --list FILE        servers and their keys, the JSON of RFC 10049
  --count N          how many of them to ask, chosen at random (default 3, at least 3)
  --timeout S        seconds to wait for each answer (default 5)
  --report FILE      where to write the proof of a lie; nothing is sent to anybody
  -4, -6             only IPv4, only IPv6
  --json             one JSON document on standard output: {answers, lost, bounds, contradictions}
  --help             this text

Exit status: 0 when a majority agrees and nobody lied, 1 when not, 2 for wrong usage.`;

const OPTIONS = {
  list: { type: "string" },
  count: { type: "string" },
  timeout: { type: "string" },
  report: { type: "string" },
  ...FAMILY_OPTIONS,
  json: { type: "boolean" },
} as const;

export const run = command(HELP, OPTIONS, async ({ values, positionals }) => {
  if (values.list === undefined || positionals.length > 0) throw new UsageError(`roughtime: expected --list FILE${positionals.length > 0 ? `, got "${positionals[0]}"; one server is asked by "escapement query roughtime:…"` : ""}`);
  const family = familyOption(values);
  const count = numberOption("count", values.count, { min: LEAST_SERVERS, max: 1000, integer: true }) ?? LEAST_SERVERS;
  const timeout = numberOption("timeout", values.timeout, { min: 0.1, max: 300 }) ?? 5;
  const { list } = values;
  const servers = await fileOption("list", list, () => listedServers(list));
  const host = await lendHost();
  const measured = await measure(host, servers, { count, timeout, ...family });
  const bounds = boundsOf(measured.exchanges, host.clock.monotonic());
  if (measured.report && values.report !== undefined) await writeFile(values.report, `${JSON.stringify(measured.report)}\n`);
  if (values.json) console.log(JSON.stringify(toJson(measured, bounds), null, 2));
  else print(measured, bounds, values.report);
  return bounds && measured.contradictions.length === 0 ? 0 : 1;
});

function answersOf({ exchanges, servers }: Measurement) {
  return exchanges.map(({ answer, transport }, i) => ({
    server: servers[i]!.name, midpoint: Number(answer.midpoint), radius: answer.radius, version: answer.version, transport,
  }));
}

function toJson(measured: Measurement, bounds: TimeBounds | undefined): object {
  const { lost, contradictions } = measured;
  return {
    answers: answersOf(measured),
    lost: lost.map(({ server, error }) => ({ server: server.name, code: error.code, message: error.message })),
    bounds: bounds ? { low: new Date(bounds.low).toISOString(), high: new Date(bounds.high).toISOString(), agreeing: bounds.agreeing, answered: bounds.answered } : null,
    contradictions,
  };
}

function print(measured: Measurement, bounds: TimeBounds | undefined, reportFile: string | undefined): void {
  for (const { server, midpoint, radius, transport } of answersOf(measured)) console.log(`${server}: ${isoOf(midpoint)} ± ${seconds(radius)}, over ${transport}`);
  for (const { server, error } of measured.lost) console.log(paint(`${server.name}: ${error.message}`, "dim"));
  console.log();
  if (bounds) console.log(`${bounds.agreeing} of ${bounds.answered} servers agree: the present is between ${paint(new Date(bounds.low).toISOString(), "bold")} and ${paint(new Date(bounds.high).toISOString(), "bold")}.`);
  else console.log(`${paint("No agreement", "red")}: there is no time that a majority signed.`);
  if (measured.contradictions.length === 0) return;
  const kept = reportFile === undefined ? "--report FILE keeps the proof" : `the proof is in ${reportFile}`;
  console.log(`${paint("Somebody lied", "red")}: ${measured.contradictions.length} pairs of answers contradict each other; ${kept}.`);
}

function isoOf(unix: number): string {
  // Whoever lies may name a year that no Date has.
  const date = new Date(unix * 1000);
  return Number.isNaN(date.getTime()) ? `${unix} s after 1970` : date.toISOString().replace(".000Z", "Z");
}
