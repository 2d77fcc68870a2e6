// SPDX-License-Identifier: MIT OR Apache-2.0
// The core as such: no imports, no growth, the same bits every time, and no input that traps it.

import { describe, expect, it } from "vitest";
import type { Algorithm, Core } from "./core.ts";
import { instantiate, Window } from "./core.ts";
import { Random } from "./rng.ts";
import { run } from "./run.ts";
import { DEFAULTS, HOUR, scenario } from "./scenario.ts";

const SECOND = 1n << 32n;
const BOTH: readonly Algorithm[] = ["estimator", "pll-fll"];

function start(algorithm: Algorithm): { core: Core; window: Window } {
  const core = instantiate();
  core.disciplineAlgorithm(algorithm === "estimator" ? 1 : 0);
  core.disciplineReset(0, 0);
  core.disciplineLimits(0.1, 500e-6, 4, 10);
  for (let index = 0; index < 64; index++) core.disciplineAddSource(index);
  return { core, window: new Window(core) };
}

/** 64 bits that look like anything, extremes more often than not. */
function anything(random: Random): bigint {
  const extremes = [0n, 1n, -1n, 1n << 63n, (1n << 63n) - 1n, SECOND, -SECOND, 1000n * SECOND];
  const choice = Math.floor(random.uniform() * (extremes.length + 4));
  const extreme = extremes[choice];
  if (extreme !== undefined) return BigInt.asIntN(64, extreme);
  return BigInt.asIntN(64, BigInt(Math.floor(random.uniform() * 2 ** 53)) * BigInt(Math.floor(random.uniform() * 2 ** 53)));
}

describe.each(BOTH)("the discipline, %s", (algorithm) => {
  it("gives the same bits for the same seed", () => {
    const once = (): Float64Array => run(scenario("", { duration: 4 * HOUR }), { algorithm, seed: 5 }).trace;
    expect(once()).toEqual(once());
  });

  it("survives any input, keeps its rate within the limits, and finds the time again", () => {
    const { core, window } = start(algorithm);
    const random = new Random(1, algorithm);
    for (let round = 0; round < 5000; round++) {
      const index = Math.floor(random.uniform() * 100) - 10;
      window.write({ when: BigInt.asUintN(64, anything(random)), offset: anything(random), delay: anything(random), dispersion: anything(random) }, 1);
      core.disciplineSample(index);
      if (round % 7 === 0) core.disciplineTimer(BigInt.asUintN(64, anything(random)));
      if (round % 31 === 0) core.disciplineStepped(anything(random), BigInt.asUintN(64, anything(random)));
      if (round % 97 === 0) core.disciplineForget(BigInt.asUintN(64, anything(random)));
      const { rate } = window.read();
      expect(Math.abs(rate)).toBeLessThanOrEqual(0.1006);
    }
  });

  it("does not grow its memory, however much it is used", () => {
    const { core, window } = start(algorithm);
    const before = core.memory.buffer.byteLength;
    for (let round = 0; round < 20000; round++) {
      window.write({ when: BigInt(round) * SECOND, offset: 1000n, delay: 100000n, dispersion: 4n }, 1);
      core.disciplineSample(round % 64);
    }
    expect(core.memory.buffer.byteLength).toBe(before);
  });
});

describe("after garbage", () => {
  it("a source that tells the time again is believed again", () => {
    const { core, window } = start("estimator");
    for (let index = 1; index < 64; index++) core.disciplineRemoveSource(index);
    const random = new Random(2, "garbage");
    for (let round = 0; round < 200; round++) {
      window.write({ when: BigInt(round) * SECOND, offset: anything(random), delay: anything(random), dispersion: 4n }, 1);
      core.disciplineSample(0);
    }
    let offset = 0.02;
    let now = 300n * SECOND;
    for (let round = 0; round < 200; round++) {
      const delay = 0.002 + 0.0002 * random.exponential();
      const units = (seconds: number): bigint => BigInt(Math.round(seconds * 2 ** 32));
      window.write({ when: now, offset: units(offset), delay: units(delay), dispersion: 4n }, 1);
      core.disciplineSample(0);
      // The host obeys for 64 s, with one timer at the end of the slew.
      const { rate, until } = window.read();
      const end = now + 64n * SECOND;
      const ends = until !== 0n && until < end ? until : end;
      offset -= rate * Number(ends - now) / 2 ** 32;
      if (until !== 0n) core.disciplineTimer(ends);
      offset -= window.read().rate * Number(end - ends) / 2 ** 32;
      now = end;
    }
    expect(Math.abs(offset)).toBeLessThan(1e-4);
  });

  it("an offset beyond the panic threshold is refused and said so", () => {
    const { core, window } = start("estimator");
    core.disciplineStepLimits(1000, 1000, 0);
    for (let round = 1; round < 10; round++) {
      window.write({ when: BigInt(round) * 2n * SECOND, offset: 2000n * SECOND, delay: SECOND / 1000n, dispersion: 4n }, 1);
      core.disciplineSample(0);
    }
    const { rate, flags, synchronised } = window.read();
    expect([rate, flags & 1, synchronised]).toEqual([0, 1, false]);
  });
});

describe("the error bound", () => {
  it("holds at every second, of every seed tried", () => {
    const outside = [1, 2, 3].map((seed) => {
      const outcome = run({ ...DEFAULTS, duration: 6 * HOUR }, { algorithm: "estimator", seed });
      return outcome.beyondBound;
    });
    expect(outside).toEqual([0, 0, 0]);
  });
});
