// `npm run sim`: the table of facts/discipline.md with our figures beside the others'.
//   node report.js [--seeds 1,2,3,4,5] [--algorithm estimator|pll-fll] [--only WORDS]

import { parseArgs } from "node:util";
import type { Algorithm } from "./core.ts";
import type { Outcome } from "./run.ts";
import { run } from "./run.ts";
import type { Figures, Scenario } from "./scenario.ts";
import { TABLE, VARIATIONS } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1,2,3,4,5" },
    algorithm: { type: "string", default: "estimator" },
    only: { type: "string", default: "" },
    variations: { type: "boolean", default: false },
  },
});
const seeds = values.seeds.split(",").map(Number);
const algorithm = values.algorithm as Algorithm;

function mean(outcomes: readonly Outcome[], pick: (outcome: Outcome) => number): number {
  return outcomes.reduce((sum, outcome) => sum + pick(outcome), 0) / outcomes.length;
}

function short(value: number | undefined): string {
  if (value === undefined) return "–";
  if (!Number.isFinite(value)) return "never";
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

function others(figures: Partial<Figures>): string {
  return [figures.rms, figures.max, figures.frequency, figures.settling].map(short).join("/").padEnd(22);
}

const started = Date.now();
let logs = 0;
let counted = 0;
console.log(`${algorithm}, seeds ${seeds.join(" ")}: rms µs/max µs/frequency ppb/s to < 1 ms`);
const table: readonly Scenario[] = (values.variations ? VARIATIONS : TABLE).filter((scenario) => scenario.name.includes(values.only));
for (const scenario of table) {
  const outcomes = seeds.map((seed) => run(scenario, { algorithm, seed }));
  const ours: Figures = {
    rms: mean(outcomes, (o) => o.rms),
    max: mean(outcomes, (o) => o.max),
    frequency: mean(outcomes, (o) => o.frequency),
    settling: mean(outcomes, (o) => o.settling),
  };
  const ratio = scenario.chrony.rms === undefined ? NaN : ours.rms / scenario.chrony.rms;
  if (!Number.isNaN(ratio)) {
    logs += Math.log(ratio);
    counted++;
  }
  const fine = `${short(mean(outcomes, (o) => o.settlingFinely))} s < 100 µs, poll ${short(mean(outcomes, (o) => o.meanPoll))}`;
  const worst = outcomes.map((o) => o.rms).reduce((a, b) => Math.max(a, b), 0);
  console.log(
    `${scenario.name.padEnd(27)} ${others(ours)} ×${ratio.toFixed(2)} f×${(ours.frequency / (scenario.chrony.frequency ?? NaN)).toFixed(2)}` +
      ` chrony ${others(scenario.chrony)} ntpd ${others(scenario.ntpd)} ntpd-rs ${others(scenario.ntpdRs)} ${fine} worst ${short(worst)}`,
  );
}
console.log(`geometric mean of rms / chrony's: ${Math.exp(logs / counted).toFixed(3)}   (${((Date.now() - started) / 1000).toFixed(1)} s)`);
