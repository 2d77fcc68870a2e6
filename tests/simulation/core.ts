// SPDX-License-Identifier: MIT OR Apache-2.0
// The real core.wasm, seen by the simulator: raw exports over linear memory, as a host uses them.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The part of the core's exports that the simulator calls; assembly/discipline/index.ts says what each does. */
export interface Core {
  readonly memory: WebAssembly.Memory;
  measurement(): number;
  steeringOut(): number;
  disciplineReset(frequency: number, doubt: number): void;
  disciplineAlgorithm(algorithm: number): void;
  disciplineLimits(slewRate: number, frequency: number, minPoll: number, maxPoll: number): void;
  disciplineStepPolicy(least: number, count: number): void;
  disciplineStepLimits(single: number, startup: number, sum: number): void;
  disciplineAddSource(index: number): void;
  disciplineRemoveSource(index: number): void;
  disciplineSample(index: number): void;
  disciplinePoll(attempt: number): number;
  disciplineTimer(now: bigint): void;
  disciplineStepped(interval: bigint, now: bigint): void;
  disciplineForget(now: bigint): void;
  disciplineBound(now: bigint): number;
}

/** Offsets of the core's structs are exported as globals. */
type Offsets = Record<string, WebAssembly.Global>;

export type Algorithm = "estimator" | "pll-fll";

let module: WebAssembly.Module | undefined;

function load(): WebAssembly.Module {
  const override = process.env["ESCAPEMENT_CORE"];
  const built = fileURLToPath(new URL("../../dist/core.wasm", import.meta.url));
  const path = override ?? built;
  if (!existsSync(path)) throw new Error(`${path} is missing: run "npm run build" first`);
  const module = new WebAssembly.Module(readFileSync(path));
  const exported = WebAssembly.Module.exports(module).some(({ name }) => name === "disciplineSample");
  if (!exported) throw new Error(`${path} has no discipline: assembly/index.ts must export ./discipline/index`);
  return module;
}

/** A fresh instance: its own clock, its own sources. */
export function instantiate(): Core {
  module ??= load();
  return new WebAssembly.Instance(module, {}).exports as unknown as Core;
}

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
  readonly synchronised: boolean;
  readonly flags: number;
  readonly survivors: number;
}

/** The two structs through which the core talks. The memory never grows, so that the view stays valid. */
export class Window {
  private readonly view: DataView;
  private readonly offsets: Offsets;
  private readonly input: number;
  private readonly output: number;

  constructor(core: Core) {
    this.view = new DataView(core.memory.buffer);
    this.offsets = core as unknown as Offsets;
    this.input = core.measurement();
    this.output = core.steeringOut();
  }

  write(sample: Sample, stratum: number): void {
    const { view } = this;
    view.setBigUint64(this.at("MEASUREMENT_WHEN"), sample.when, true);
    view.setBigInt64(this.at("MEASUREMENT_OFFSET"), sample.offset, true);
    view.setBigInt64(this.at("MEASUREMENT_DELAY"), sample.delay, true);
    view.setBigInt64(this.at("MEASUREMENT_DISPERSION"), sample.dispersion, true);
    view.setBigInt64(this.at("MEASUREMENT_ROOT_DELAY"), 0n, true);
    view.setBigInt64(this.at("MEASUREMENT_ROOT_DISPERSION"), 0n, true);
    view.setInt32(this.at("MEASUREMENT_STRATUM"), stratum, true);
    view.setInt32(this.at("MEASUREMENT_LEAP"), 0, true);
  }

  read(): Steering {
    const { view } = this;
    return {
      rate: view.getFloat64(this.at("STEERING_RATE"), true),
      frequency: view.getFloat64(this.at("STEERING_FREQUENCY"), true),
      until: view.getBigUint64(this.at("STEERING_UNTIL"), true),
      step: view.getBigInt64(this.at("STEERING_STEP"), true),
      poll: view.getInt32(this.at("STEERING_POLL"), true),
      synchronised: view.getInt32(this.at("STEERING_SYNCHRONISED"), true) === 1,
      flags: view.getInt32(this.at("STEERING_FLAGS"), true),
      survivors: view.getInt32(this.at("STEERING_SURVIVORS"), true),
    };
  }

  private at(name: string): number {
    const base = name.startsWith("MEASUREMENT") ? this.input : this.output;
    return base + ((this.offsets[name] as WebAssembly.Global).value as number);
  }
}
