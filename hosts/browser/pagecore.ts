// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core for pages (assembly/page.ts): what hosts/browser/engine.ts calls, in seconds and nanoseconds.
 *
 * hosts/common/client/discipline.ts is the same for the whole core. Tested with engine.test.ts.
 *
 * @module
 */

interface PageExports {
  readonly memory: WebAssembly.Memory;
  timestampFromUnixNs(unixNs: bigint): bigint;
  timestampToUnixNs(timestamp: bigint, pivotNs: bigint): bigint;
  intervalToNs(interval: bigint): bigint;
  intervalFromSeconds(seconds: number): bigint;
  associationOpen(index: number, version: number, minPoll: number, maxPoll: number): void;
  associationTimer(index: number, now: bigint, random: bigint): number;
  associationSent(index: number, t1: bigint): void;
  associationCame(index: number, t4: bigint, came: bigint): void;
  associationReply(index: number, length: number, now: bigint): number;
  associationPrecision(precision: bigint): void;
  associationsDrop(): void;
  associationOut(index: number): number;
  actionOut(): number;
  systemOut(): number;
  systemUpdate(now: bigint): void;
  clockWatch(wall: bigint, monotonic: bigint): number;
  clockWatchReset(): void;
  disciplineReset(frequency: number, doubt: number): void;
  disciplineLimits(slewRate: number, frequency: number, minPoll: number, maxPoll: number): void;
  disciplineStepPolicy(least: number, count: number): void;
  disciplineTimer(now: bigint): void;
  steeringOut(): number;
  sourceOut(index: number): number;
}

/** A moment on the steered clock: its time, and its monotonic scale; ns. */
export interface Moment {
  readonly time: bigint;
  readonly monotonic: bigint;
}

/** What the core wants done after an event. */
export interface Wants {
  readonly send?: Uint8Array<ArrayBuffer>;
  /** When to call {@link PageCore.timer} again, monotonic ns. */
  readonly timerNs?: bigint;
  readonly steer: boolean;
  readonly stop: boolean;
}

const SEND = 1 << 0;
const TIMER = 1 << 1;
const STEER = 1 << 2;
const STOP = 1 << 4;
const SURVIVOR = 1;

export class PageCore {
  readonly #exports: PageExports;
  readonly #globals: WebAssembly.Exports;
  readonly #view: DataView;

  constructor(module: WebAssembly.Module) {
    this.#globals = new WebAssembly.Instance(module, {}).exports;
    this.#exports = this.#globals as unknown as PageExports;
    this.#view = new DataView(this.#exports.memory.buffer);
  }

  #constant(name: string): number {
    return (this.#globals[name] as WebAssembly.Global).value as number;
  }

  /** Begin: `precision` of the timer, s; what the clock can do, relative; poll exponents. */
  start(precision: number, { slew, frequency, minPoll, maxPoll }: { slew: number; frequency: number; minPoll: number; maxPoll: number }): void {
    const core = this.#exports;
    core.disciplineReset(0, 0);
    core.disciplineLimits(slew, frequency, minPoll, maxPoll);
    core.disciplineStepPolicy(0.1, 3);
    core.associationPrecision(core.intervalFromSeconds(precision));
    core.clockWatchReset();
  }

  open(index: number, minPoll: number, maxPoll: number): void {
    this.#exports.associationOpen(index, 4, minPoll, maxPoll);
  }

  timer(index: number, nowNs: bigint, random: bigint): Wants {
    return this.#wants(this.#exports.associationTimer(index, this.#time(nowNs), random));
  }

  reply(index: number, packet: Uint8Array, { sent, came, now }: { sent: Moment; came: Moment; now: bigint }): Wants {
    const core = this.#exports;
    new Uint8Array(core.memory.buffer).set(packet, this.#constant("SLOTS"));
    core.associationSent(index, this.#time(sent.time));
    core.associationCame(index, this.#time(came.time), this.#time(came.monotonic));
    return this.#wants(core.associationReply(index, packet.length, this.#time(now)));
  }

  /** The clock was just stepped by us, and it is `now`: what is under way measures nothing, and the watch begins anew. */
  drop(now: Moment): void {
    this.#exports.associationsDrop();
    this.#exports.clockWatchReset();
    // At once: a jump before the next look would pass for the first reading.
    this.watch(now);
  }

  steeringTimer(nowNs: bigint): void {
    this.#exports.disciplineTimer(this.#time(nowNs));
  }

  /** 0: undisturbed; else somebody moved the clock, or the machine slept. */
  watch({ time, monotonic }: Moment): number {
    return this.#exports.clockWatch(this.#time(time), this.#time(monotonic));
  }

  steering() {
    const at = (name: string) => this.#exports.steeringOut() + this.#constant(`STEERING_${name}`);
    const until = this.#view.getBigUint64(at("UNTIL"), true);
    return {
      rate: this.#view.getFloat64(at("RATE"), true),
      frequency: this.#view.getFloat64(at("FREQUENCY"), true),
      /** Still being slewed away, s. */
      offset: this.#view.getFloat64(at("REMAINING"), true),
      untilNs: until === 0n ? undefined : this.#nanoseconds(until),
      stepNs: this.#exports.intervalToNs(this.#view.getBigInt64(at("STEP"), true)),
    };
  }

  system(nowNs: bigint) {
    this.#exports.systemUpdate(this.#time(nowNs));
    const at = (name: string) => this.#exports.systemOut() + this.#constant(`SYSTEM_${name}`);
    const integer = (name: string) => this.#view.getInt32(at(name), true);
    return {
      synchronised: integer("PEER") >= 0,
      stratum: integer("STRATUM"),
      leap: integer("LEAP"),
      survivors: integer("SURVIVORS"),
      uncertainty: this.#view.getFloat64(at("BOUND"), true),
    };
  }

  source(index: number) {
    const association = (name: string) => this.#exports.associationOut(index) + this.#constant(`ASSOCIATION_${name}`);
    const source = (name: string) => this.#exports.sourceOut(index) + this.#constant(`SOURCE_${name}`);
    return {
      reach: this.#view.getUint8(association("REACH")),
      used: this.#view.getUint32(association("USED"), true),
      /** Bits of assembly/association/check.ts. */
      lastProblems: this.#view.getUint32(association("LAST_PROBLEMS"), true),
      survivor: this.#view.getInt32(source("SELECTION"), true) === SURVIVOR,
      offset: this.#view.getFloat64(source("OFFSET"), true),
      delay: this.#view.getFloat64(source("FLOOR"), true),
    };
  }

  #wants(bits: number): Wants {
    const at = this.#exports.actionOut();
    const slot = this.#constant("SLOTS");
    const length = this.#view.getInt32(at + this.#constant("ACTION_LENGTH"), true);
    return {
      ...(bits & SEND ? { send: new Uint8Array(this.#exports.memory.buffer as ArrayBuffer).slice(slot, slot + length) } : {}),
      ...(bits & TIMER ? { timerNs: this.#nanoseconds(this.#view.getBigUint64(at + this.#constant("ACTION_TIMER"), true)) } : {}),
      steer: (bits & STEER) !== 0,
      stop: (bits & STOP) !== 0,
    };
  }

  #time(ns: bigint): bigint {
    return this.#exports.timestampFromUnixNs(ns);
  }

  /** Pages live for less than 68 years. */
  #nanoseconds(time: bigint): bigint {
    return this.#exports.timestampToUnixNs(time, 0n);
  }
}
