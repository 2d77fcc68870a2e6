// SPDX-License-Identifier: MIT OR Apache-2.0
// The table of scenarios, as limits: our two disciplines against what chrony and ntpd reach. Two seeds each, so
// the limits leave room for luck; `npm run sim` prints the means of five.

import { describe, expect, it } from "vitest";
import type { Algorithm } from "./core.ts";
import type { Outcome } from "./run.ts";
import { run } from "./run.ts";
import type { Scenario } from "./scenario.ts";
import { TABLE } from "./scenario.ts";

const SEEDS = [1, 2];

function mean(outcomes: readonly Outcome[], pick: (outcome: Outcome) => number): number {
  return outcomes.reduce((sum, outcome) => sum + pick(outcome), 0) / outcomes.length;
}

function runs(scenario: Scenario, algorithm: Algorithm): Outcome[] {
  return SEEDS.map((seed) => run(scenario, { algorithm, seed }));
}

/** Share of chrony's rms that the estimator may have. Gaussian jitter and steps leave less to win. */
const SHARES: Record<string, number> = { gaussian: 0.95, "frequency steps each 2 h": 0.75 };
const SHARE = 0.6;

describe.each(TABLE)("estimator, $name", (scenario) => {
  const outcomes = runs(scenario, "estimator");
  const { rms, frequency, settling } = scenario.chrony;

  if (rms !== undefined) it(`stays within ${SHARES[scenario.name] ?? SHARE} of chrony's ${rms} µs rms`, () => {
    expect(mean(outcomes, (o) => o.rms)).toBeLessThan((SHARES[scenario.name] ?? SHARE) * (rms ?? 0));
  });

  if (frequency !== undefined) it(`has no more frequency error than chrony's ${frequency} ppb`, () => {
    expect(mean(outcomes, (o) => o.frequency)).toBeLessThan(1.1 * (frequency ?? 0));
  });

  if (settling !== undefined) it(`is within 1 ms in at most twice chrony's ${settling} s`, () => {
    expect(mean(outcomes, (o) => o.settling)).toBeLessThanOrEqual(2 * (settling ?? 0));
  });
});

describe.each(TABLE)("PLL/FLL, $name", (scenario) => {
  const outcomes = runs(scenario, "pll-fll");
  const { rms, settling } = scenario.ntpd;

  if (rms !== undefined) it(`is no worse than ntpd's ${rms} µs rms within 20 %`, () => {
    expect(mean(outcomes, (o) => o.rms)).toBeLessThan(1.2 * (rms ?? 0));
  });

  if (Number.isFinite(settling)) it(`is within 1 ms sooner than ntpd's ${settling} s`, () => {
    expect(mean(outcomes, (o) => o.settling)).toBeLessThan(settling ?? 0);
  });
});

describe("the whole table", () => {
  it("has a geometric mean of at most 0.45 of chrony's rms with seeds that nothing was tuned on", () => {
    const logs = TABLE.filter(({ chrony }) => chrony.rms !== undefined).map((scenario) => {
      const { rms } = run(scenario, { algorithm: "estimator", seed: 20261122 });
      return Math.log(rms / (scenario.chrony.rms ?? NaN));
    });
    expect(Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length)).toBeLessThan(0.45);
  });

  it("polls slower than the least interval when the clock is good", () => {
    const scenario = TABLE.find(({ name }) => name === "default polls, J 1 ms") as Scenario;
    expect(run(scenario, { algorithm: "estimator", seed: 1 }).meanPoll).toBeGreaterThan(256);
  });
});
