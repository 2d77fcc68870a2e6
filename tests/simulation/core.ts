// SPDX-License-Identifier: MIT OR Apache-2.0
// The real core.wasm, seen by the simulator: raw exports over linear memory, as a host uses them.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The part of the core's exports that the simulator calls; assembly/index.ts says where each is explained. */
export interface Core {
  readonly memory: WebAssembly.Memory;
  steeringOut(): number;
  actionOut(): number;
  disciplineReset(frequency: number, doubt: number): void;
  disciplineAlgorithm(algorithm: number): void;
  disciplineLimits(slewRate: number, frequency: number, minPoll: number, maxPoll: number): void;
  disciplineStepPolicy(least: number, count: number): void;
  disciplineStepLimits(single: number, startup: number, sum: number): void;
  measurement(): number;
  disciplineAddSource(index: number): void;
  disciplineRemoveSource(index: number): void;
  disciplineSample(index: number): void;
  disciplinePoll(attempt: number): number;
  disciplineTimer(now: bigint): void;
  disciplineStepped(interval: bigint, now: bigint): void;
  disciplineForget(now: bigint): void;
  disciplineBound(now: bigint): number;
  associationOpen(index: number, version: number, minPoll: number, maxPoll: number): void;
  associationTimer(index: number, now: bigint, random: bigint): number;
  associationSent(index: number, t1: bigint): void;
  associationCame(index: number, t4: bigint, came: bigint): void;
  associationReply(index: number, length: number, now: bigint): number;
  associationsDrop(): void;
  associationsRestart(): void;
  respond(packet: number, length: number, received: bigint, server: number): number;
  respondKiss(packet: number, length: number, code: number): number;
  stampTransmit(packet: number, transmit: bigint): void;
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

/** Bits of what associationTimer and associationReply return. */
export const ACTION = { send: 1, timer: 2, steer: 4, resolve: 8, stop: 16 } as const;

/** Packets and structs in an instance's memory, which never grows, so that the views stay valid. */
export class Window {
  private readonly core: Core;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;

  constructor(core: Core) {
    this.core = core;
    this.view = new DataView(core.memory.buffer);
    this.bytes = new Uint8Array(core.memory.buffer);
  }

  /** An exported address or offset. */
  constant(name: string): number {
    return ((this.core as unknown as Offsets)[name] as WebAssembly.Global).value as number;
  }

  /** A copy of the packet in slot 0. */
  takePacket(length: number): Uint8Array {
    const at = this.constant("SLOTS");
    return this.bytes.slice(at, at + length);
  }

  putPacket(packet: Uint8Array): number {
    const at = this.constant("SLOTS");
    this.bytes.set(packet, at);
    return at;
  }

  action(): { length: number; timer: bigint } {
    const at = this.core.actionOut();
    return {
      length: this.view.getInt32(at + this.constant("ACTION_LENGTH"), true),
      timer: this.view.getBigUint64(at + this.constant("ACTION_TIMER"), true),
    };
  }

  /** Make the instance's server one of stratum 1 whose clock reads to a nanosecond. Returns its address. */
  server(leap: number): number {
    const at = this.constant("SERVER");
    this.view.setUint8(at + this.constant("SERVER_LEAP"), leap);
    this.view.setUint8(at + this.constant("SERVER_STRATUM"), 1);
    this.view.setInt8(at + this.constant("SERVER_PRECISION"), -30);
    return at;
  }

  /** Fill the discipline's one Measurement, for tests that leave the association out. */
  write(sample: Sample, stratum: number): void {
    const { view } = this;
    const at = (name: string) => this.core.measurement() + this.constant(`MEASUREMENT_${name}`);
    view.setBigUint64(at("WHEN"), sample.when, true);
    view.setBigInt64(at("OFFSET"), sample.offset, true);
    view.setBigInt64(at("DELAY"), sample.delay, true);
    view.setBigInt64(at("DISPERSION"), sample.dispersion, true);
    view.setBigInt64(at("ROOT_DELAY"), 0n, true);
    view.setBigInt64(at("ROOT_DISPERSION"), 0n, true);
    view.setInt32(at("STRATUM"), stratum, true);
    view.setInt32(at("LEAP"), 0, true);
  }

  read(): Steering {
    const { view } = this;
    const at = (name: string) => this.core.steeringOut() + this.constant(`STEERING_${name}`);
    return {
      rate: view.getFloat64(at("RATE"), true),
      frequency: view.getFloat64(at("FREQUENCY"), true),
      until: view.getBigUint64(at("UNTIL"), true),
      step: view.getBigInt64(at("STEP"), true),
      poll: view.getInt32(at("POLL"), true),
      synchronised: view.getInt32(at("SYNCHRONISED"), true) === 1,
      flags: view.getInt32(at("FLAGS"), true),
      survivors: view.getInt32(at("SURVIVORS"), true),
    };
  }
}
