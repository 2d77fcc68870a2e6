// SPDX-License-Identifier: MIT OR Apache-2.0
// `npm run sim`: the table of scenarios, ours beside the others', and an offset plot.
//   report.js [--seeds 1,2,3,4,5] [--only WORDS] [--variations] [--svg FILE]
// Figures: rms error µs / greatest error µs / rms frequency error ppb / seconds until it stays < 1 ms.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Algorithm } from "./core.ts";
import { plot } from "./plot.ts";
import type { Outcome } from "./run.ts";
import { run } from "./run.ts";
import type { Figures, Scenario } from "./scenario.ts";
import { TABLE, VARIATIONS } from "./scenario.ts";

const ALGORITHMS: readonly Algorithm[] = ["estimator", "pll-fll"];

interface Row {
  readonly scenario: Scenario;
  readonly ours: Record<Algorithm, Figures & { readonly meanPoll: number; readonly fine: number }>;
}

function mean(outcomes: readonly Outcome[], pick: (outcome: Outcome) => number): number {
  return outcomes.reduce((sum, outcome) => sum + pick(outcome), 0) / outcomes.length;
}

function measure(scenario: Scenario, algorithm: Algorithm, seeds: readonly number[]): Row["ours"]["estimator"] {
  const outcomes = seeds.map((seed) => run(scenario, { algorithm, seed }));
  return {
    rms: mean(outcomes, (outcome) => outcome.rms),
    max: mean(outcomes, (outcome) => outcome.max),
    frequency: mean(outcomes, (outcome) => outcome.frequency),
    settling: mean(outcomes, (outcome) => outcome.settling),
    meanPoll: mean(outcomes, (outcome) => outcome.meanPoll),
    fine: mean(outcomes, (outcome) => outcome.settlingFinely),
  };
}

function short(value: number | undefined): string {
  if (value === undefined) return "–";
  if (!Number.isFinite(value)) return "never";
  return value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

function cell(figures: Partial<Figures>): string {
  return [figures.rms, figures.max, figures.frequency, figures.settling].map(short).join("/").padEnd(23);
}

function line({ scenario, ours }: Row): string {
  const { estimator } = ours;
  const ratio = scenario.chrony.rms === undefined ? "" : `×${(estimator.rms / scenario.chrony.rms).toFixed(2)}`;
  const cells = [estimator, ours["pll-fll"], scenario.chrony, scenario.ntpd, scenario.ntpdRs].map(cell).join(" ");
  const polls = `${short(estimator.meanPoll)}/${short(ours["pll-fll"].meanPoll)}`.padEnd(10);
  return `${scenario.name.padEnd(35)} ${ratio.padEnd(6)}${cells} ${polls} ${short(estimator.fine)}`;
}

/** Geometric mean of ours / theirs over the rows where both are known. */
function geometric(rows: readonly Row[], ratio: (row: Row) => number): string {
  const logs = rows.map((row) => Math.log(ratio(row))).filter(Number.isFinite);
  return Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length).toFixed(3);
}

function summary(rows: readonly Row[]): string {
  const known = rows.filter((row) => row.scenario.chrony.frequency !== undefined);
  const better = known.filter((row) => row.ours.estimator.frequency <= (row.scenario.chrony.frequency ?? 0));
  return [
    `estimator / chrony, rms, geometric mean: ${geometric(rows, (r) => r.ours.estimator.rms / (r.scenario.chrony.rms ?? NaN))}`,
    `frequency error no worse than chrony's in ${better.length} of ${known.length}`,
    `pll-fll / ntpd, rms, geometric mean: ${geometric(rows, (r) => r.ours["pll-fll"].rms / (r.scenario.ntpd.rms ?? NaN))}`,
  ].join("\n");
}

function main(): void {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1,2,3,4,5" },
      only: { type: "string", default: "" },
      variations: { type: "boolean", default: false },
      svg: { type: "string" },
    },
  });
  const seeds = values.seeds.split(",").map(Number);
  const list = (values.variations ? VARIATIONS : TABLE).filter(({ name }) => name.includes(values.only));
  const head = ["estimator", "pll-fll", "chrony", "ntpd", "ntpd-rs"].map((name) => name.padEnd(23)).join(" ");
  console.log(`seeds ${values.seeds}; rms µs/max µs/frequency ppb/s to < 1 ms; last: mean polls s, estimator's s to < 100 µs`);
  console.log(`${"".padEnd(42)}${head}`);
  const rows: Row[] = [];
  for (const scenario of list) {
    const [estimator, pll] = ALGORITHMS.map((algorithm) => measure(scenario, algorithm, seeds));
    const row: Row = { scenario, ours: { estimator: estimator!, "pll-fll": pll! } };
    rows.push(row);
    console.log(line(row));
  }
  if (!values.variations) console.log(summary(rows));
  if (values.svg !== undefined) writeFileSync(values.svg, plot(list, seeds[0] ?? 1));
}

main();
