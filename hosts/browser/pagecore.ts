// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core for pages (assembly/page.ts): what hosts/browser/engine.ts calls. Times go in as nanoseconds, and
 * come back, as all that it tells, in seconds.
 *
 * hosts/common/client/discipline.ts is the same for the whole core. Tested with engine.test.ts, and against the whole core in
 * tests/contract/page.test.ts.
 *
 * @module
 */

/** What the core does. After each call {@link PageCore.told} tells how things are. */
interface PageCalls {
  /** Follow `count` sources, with a timer of this precision, s. */
  begin(count: number, precision: number, minPoll: number, maxPoll: number): void;
  /** The time named has come to ask source `index`. `random`: 64 bits nobody can guess. */
  timer(index: number, nowNs: bigint, random: bigint): void;
  reply(index: number, length: number, sentNs: bigint, cameNs: bigint, monotonicNs: bigint, nowNs: bigint): void;
  /** A slew has ended. */
  slewed(nowNs: bigint): void;
  /**
   * `WANTS` is 0: undisturbed; else somebody moved the clock, or the machine slept. `anew` when the clock was just stepped by
   * us: then what is under way measures nothing, and a jump before the next look does not pass for the first reading.
   */
  watch(timeNs: bigint, monotonicNs: bigint, anew: boolean): void;
  /** How things are with source `index`. */
  look(index: number, nowNs: bigint): void;
}

interface PageExports extends PageCalls {
  readonly memory: WebAssembly.Memory;
  readonly PACKET: WebAssembly.Global<"i32">;
  readonly TOLD: WebAssembly.Global<"i32">;
}

/** A moment on the steered clock: its time, and its monotonic scale; ns. */
export interface Moment {
  readonly time: bigint;
  readonly monotonic: bigint;
}

// Places in `told`: the order of Told in assembly/page.ts, which says more of each.
export const WANTS = 0;
export const DUE = 1;
export const RATE = 2;
export const FREQUENCY = 3;
export const REMAINING = 4;
export const UNTIL = 5;
export const STEP = 6;
export const PEER = 7;
export const STRATUM = 8;
export const LEAP = 9;
export const SURVIVORS = 10;
export const BOUND = 11;
export const REACH = 12;
export const USED = 13;
export const LAST_PROBLEMS = 14;
export const SELECTION = 15;
export const OFFSET = 16;
export const FLOOR = 17;

// Bits of WANTS, as assembly/association/association.ts has them.
export const SEND = 1 << 0;
export const TIMER = 1 << 1;
export const STEER = 1 << 2;
export const STOP = 1 << 4;

const REQUEST = 48;
/** A longer datagram is cut, and then found malformed: nothing is written beside the slot. */
const LONGEST = 2048;

export class PageCore {
  readonly call: PageCalls;
  /** Doubles, as they are now: the next call changes them. */
  readonly told: Float64Array & Record<number, number>;
  readonly #packet: Uint8Array<ArrayBuffer>;

  constructor(module: WebAssembly.Module) {
    const { memory, PACKET, TOLD, ...call } = new WebAssembly.Instance(module).exports as unknown as PageExports;
    this.call = call;
    this.#packet = new Uint8Array(memory.buffer as ArrayBuffer, PACKET.value, LONGEST);
    this.told = new Float64Array(memory.buffer, TOLD.value);
  }

  /** What is to be sent. */
  request(): Uint8Array<ArrayBuffer> {
    return this.#packet.slice(0, REQUEST);
  }

  reply(index: number, packet: Uint8Array, sent: Moment, came: Moment, nowNs: bigint): void {
    const taken = packet.subarray(0, LONGEST);
    this.#packet.set(taken);
    this.call.reply(index, taken.length, sent.time, came.time, came.monotonic, nowNs);
  }
}
