// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A survey as a table and its verdict in words; shared by `query` and `demo`. Tested in command.test.ts.
 *
 * @module
 */

import type { Sample, Survey, SurveyEntry } from "#host";
import { isoTime, paint, seconds, secondsCell, table } from "./format.ts";

const HEAD = ["", "source", "offset", "± bound", "delay", "stratum", "refid", "stamps", "verdict"];
const RIGHT_ALIGNED = new Set([2, 3, 4, 5]);

const MARKS: Record<SurveyEntry["verdict"], { mark: string; colour: "green" | "red" | "yellow" | "dim" }> = {
  survivor: { mark: "✓", colour: "green" },
  falseticker: { mark: "✗", colour: "red" },
  unfit: { mark: "!", colour: "yellow" },
  silent: { mark: "·", colour: "dim" },
  duplicate: { mark: "=", colour: "dim" },
  undecided: { mark: "?", colour: "yellow" },
};

/** The table of all sources. */
export function sourceTable({ entries }: Survey): string {
  return table([HEAD.map((text) => paint(text, "dim")), ...entries.map(row)], RIGHT_ALIGNED);
}

function row(entry: SurveyEntry): string[] {
  const { mark, colour } = MARKS[entry.verdict];
  const { sample } = entry;
  const measured = sample && !sample.kiss;
  return [
    paint(mark, colour),
    shortSource(entry.source),
    measured ? secondsCell(sample.offset, { sign: true }) : "",
    measured ? secondsCell(sample.rootDistance) : "",
    sample ? secondsCell(sample.delay) : "",
    measured ? (sample.roughtime ? "-" : String(sample.stratum)) : "",
    sample?.roughtime ? `Roughtime/${sample.roughtime.transport}` : (sample?.refid ?? ""),
    sample ? stamps(sample.timestamps) : "",
    paint(why(entry), colour),
  ];
}

/** A Roughtime source without its key: who asks has just written it, and it is longer than all the rest. */
function shortSource(source: string): string {
  return source.replace(/^(roughtime:[^#]*)#.*$/i, "$1");
}

function stamps({ t1, t4 }: { t1: string; t4: string }): string {
  return t1 === t4 ? t1 : `${t1}/${t4}`;
}

/** In the table a word; {@link errorLines} say it all. */
const SHORT: Readonly<Record<string, string>> = { TIMEOUT: "silent", DNS: "no address", UNREACHABLE: "unreachable", TLS: "no TLS", NTS_KE: "no keys", UNSUPPORTED: "not supported" };

/** Why sources gave no sample, a line each. */
export function errorLines({ entries }: Survey): string[] {
  return entries.flatMap(({ source, error }) => (error ? [`${shortSource(source)}: ${error.message}`] : []));
}

function why({ verdict, sample, error, duplicateOf }: SurveyEntry): string {
  if (verdict === "duplicate") return `duplicate of ${shortSource(duplicateOf ?? "")}: the same server, no second vote`;
  if (verdict === "survivor") return "agrees";
  if (verdict === "falseticker") return "lies: its interval misses the majority's";
  if (verdict === "undecided") return "no majority";
  if (verdict === "silent") return SHORT[error?.code ?? "TIMEOUT"] ?? "failed";
  if (sample?.kiss) return `sends a kiss: ${kissText(sample)}`;
  return sample?.problems().map(({ test, message }) => `${test}: ${message}`).join("; ") ?? "";
}

/** The code and what it asks for. */
function kissText(sample: Sample): string {
  return sample.problems().find(({ test }) => test === "testA")?.message.replace(/^kiss-o'-death /, "") ?? sample.refid;
}

/** What the sources agree on, and the time with its bound. `readAt` is this host's clock, ns, read just now. */
export function verdictText({ consensus, entries, agreeing, quorum }: Survey, readAt: bigint): string {
  const liars = entries.filter(({ verdict }) => verdict === "falseticker").map(({ source }) => source);
  if (!consensus && entries.length === 1) return `${paint("No usable answer", "red")}. The time is not known.`;
  if (!consensus) {
    return `${paint("No agreement", "red")}: ${agreeing} of ${entries.length} sources agree, ${quorum} must. The time is not known.`;
  }
  const lines = [
    `${agreeing} of ${entries.length} sources agree${liars.length ? `; ${paint(`${liars.join(" and ")} ${liars.length > 1 ? "lie" : "lies"}`, "red")}` : ""}.`,
    `The time is ${paint(isoTime(readAt + consensus.offsetNs, consensus.uncertainty), "bold")} ± ${seconds(consensus.uncertainty)}.`,
    clockText(consensus),
  ];
  return lines.join("\n");
}

function clockText({ offset, uncertainty }: { offset: number; uncertainty: number }): string {
  if (Math.abs(offset) <= uncertainty) return `This machine's clock agrees with it (${seconds(offset, { sign: true })} needed, within the bound).`;
  return `This machine's clock is ${seconds(Math.abs(offset))} ${offset > 0 ? "slow" : "fast"}.`;
}
