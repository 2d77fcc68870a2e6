// The real core.wasm, seen by the simulator: raw exports over linear memory, as a host uses them.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Core {
  readonly memory: WebAssembly.Memory;
  measurement(): number;
  steeringOut(): number;
  disciplineReset(frequency: number, doubt: number): void;
  disciplineAlgorithm(algorithm: number): void;
  disciplineLimits(slewRate: number, frequency: number, minPoll: number, maxPoll: number): void;
  disciplineAddSource(index: number): void;
  disciplineRemoveSource(index: number): void;
  disciplineSample(index: number): void;
  disciplineTimer(now: bigint): void;
  disciplineStepped(interval: bigint, now: bigint): void;
}

export type Algorithm = "estimator" | "pll-fll";

let module: WebAssembly.Module | undefined;

function load(): WebAssembly.Module {
  const override = process.env["ESCAPEMENT_CORE"];
  const built = fileURLToPath(new URL("../../dist/core.wasm", import.meta.url));
  const path = override ?? built;
  if (!existsSync(path)) throw new Error(`${path} is missing: run "npm run build" first`);
  return new WebAssembly.Module(readFileSync(path));
}

/** A fresh instance: its own clock, its own sources. */
export function instantiate(): Core {
  module ??= load();
  return new WebAssembly.Instance(module, {}).exports as unknown as Core;
}

/** Byte offsets in the core's Measurement (assembly/discipline/index.ts). */
const MEASUREMENT = { when: 0, offset: 8, delay: 16, dispersion: 24, rootDelay: 32, rootDispersion: 40, stratum: 48, leap: 52 };
/** Byte offsets in the core's Steering (assembly/discipline/clock.ts). */
const STEERING = { rate: 0, frequency: 8, remaining: 16, until: 24, step: 32, poll: 40, synchronised: 44 };

export interface Sample {
  readonly when: bigint;
  readonly offset: bigint;
  readonly delay: bigint;
  readonly dispersion: bigint;
}

export interface Steering {
  readonly rate: number;
  readonly frequency: number;
  readonly until: bigint;
  readonly step: bigint;
  readonly poll: number;
}

/** The two structs through which the core talks. The memory never grows, so that the view stays valid. */
export class Window {
  private readonly view: DataView;
  private readonly input: number;
  private readonly output: number;

  constructor(core: Core) {
    this.view = new DataView(core.memory.buffer);
    this.input = core.measurement();
    this.output = core.steeringOut();
  }

  write(sample: Sample, stratum: number): void {
    const { view, input } = this;
    view.setBigUint64(input + MEASUREMENT.when, sample.when, true);
    view.setBigInt64(input + MEASUREMENT.offset, sample.offset, true);
    view.setBigInt64(input + MEASUREMENT.delay, sample.delay, true);
    view.setBigInt64(input + MEASUREMENT.dispersion, sample.dispersion, true);
    view.setBigInt64(input + MEASUREMENT.rootDelay, 0n, true);
    view.setBigInt64(input + MEASUREMENT.rootDispersion, 0n, true);
    view.setInt32(input + MEASUREMENT.stratum, stratum, true);
    view.setInt32(input + MEASUREMENT.leap, 0, true);
  }

  read(): Steering {
    const { view, output } = this;
    return {
      rate: view.getFloat64(output + STEERING.rate, true),
      frequency: view.getFloat64(output + STEERING.frequency, true),
      until: view.getBigUint64(output + STEERING.until, true),
      step: view.getBigInt64(output + STEERING.step, true),
      poll: view.getInt32(output + STEERING.poll, true),
    };
  }
}
