// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the discipline costs: RFC 5905's selection, cluster and combine for 5, 10 and 20 sources, a whole sample by either
 * discipline, and memory for each source.
 */

import { Core } from "../hosts/common/core/core.ts";
import { compare, printResults, type Contender } from "./measure.ts";

interface Discipline {
  measurement(): number;
  disciplineSelect(now: bigint): number;
  disciplineAddSource(index: number): void;
  disciplineSample(index: number): void;
}

const SECOND = 1n << 32n;

/** A core whose `sources` sources have each told eight samples, a few hundred µs apart. */
function filled(sources: number, algorithm: 0 | 1): { core: Core; raw: Discipline; when: bigint } {
  const core = new Core();
  const raw = core.exports as unknown as Discipline;
  core.exports.disciplineAlgorithm(algorithm);
  core.exports.disciplineReset(0, 0);
  core.exports.disciplineLimits(0.1, 500e-6, 6, 10);
  let when = SECOND;
  for (let index = 0; index < sources; index++) raw.disciplineAddSource(index);
  for (let round = 0; round < 8; round++) {
    for (let index = 0; index < sources; index++) {
      when += SECOND;
      tell(core, raw, { index, when, round });
    }
  }
  return { core, raw, when };
}

function tell(core: Core, raw: Discipline, { index, when, round }: { index: number; when: bigint; round: number }): void {
  const at = (name: string) => raw.measurement() + core.constant(`MEASUREMENT_${name}`);
  const spread = BigInt(((index * 7 + round * 3) % 11) - 5);
  core.setU64(at("WHEN"), when);
  core.setI64(at("OFFSET"), spread * 200_000n);
  core.setI64(at("DELAY"), 4_000_000n + BigInt((index * 5 + round) % 7) * 100_000n);
  core.setI64(at("DISPERSION"), 1000n);
  core.setI64(at("ROOT_DELAY"), 1_000_000n);
  core.setI64(at("ROOT_DISPERSION"), 1_000_000n);
  core.view.setInt32(at("STRATUM"), 2, true);
  core.view.setInt32(at("LEAP"), 0, true);
  raw.disciplineSample(index);
}

function selection(sources: number): Contender {
  const { raw, when } = filled(sources, 0);
  return {
    name: `select + cluster + combine, ${sources} sources`,
    run(times) {
      let survivors = 0;
      for (let i = 0; i < times; i++) survivors += raw.disciplineSelect(when);
      if (survivors === 0) throw new Error("nobody survived");
      return survivors;
    },
  };
}

function sample(algorithm: 0 | 1, sources: number): Contender {
  let { core, raw, when } = filled(sources, algorithm);
  return {
    name: `one sample, ${algorithm === 1 ? "estimator" : "PLL/FLL"}, ${sources} source${sources > 1 ? "s" : ""}`,
    run(times) {
      for (let i = 0; i < times; i++) {
        when += 64n * SECOND;
        tell(core, raw, { index: i % sources, when, round: i });
      }
      return times;
    },
  };
}

printResults("Selection by RFC 5905 §11.2", "ns", compare([selection(5), selection(10), selection(20)]));
printResults("A sample, from measurement to steering", "ns", compare([sample(1, 1), sample(1, 10), sample(0, 1), sample(0, 10)]));

const memory = new Core();
const perSource = memory.constant("SOURCE_OCTETS") + memory.constant("ASSOCIATION_SIZE");
console.log(`\nMemory for each source: ${perSource} octets, fixed; ${memory.bytes.length} octets for an instance in all.`);
