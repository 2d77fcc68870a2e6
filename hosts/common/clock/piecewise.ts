// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Virtual time over the monotonic timer, in pieces: it runs at (1 + rate) times the timer's speed; each change of the rate
 * begins a piece, each step moves it. What a page's clock is made of; virtual.ts is the same for a process, with what that
 * needs beside. Tested in virtual.test.ts.
 *
 * @module
 */

import type { HostClock } from "../host.ts";

/** A wall clock and a timer. */
type Timer = Pick<HostClock, "now" | "monotonic">;

/** A stretch of constant rate. Times in ns. */
interface Piece {
  /** The timer at its start. */
  readonly from: bigint;
  /** Virtual time, and virtual time without its steps, there. */
  readonly time: bigint;
  readonly elapsed: bigint;
  readonly rate: number;
}

const NS_PER_MS = 1_000_000n;
/** Wall clock and timer are read together; held up for longer in between, they say nothing of each other. */
const LONGEST_LOOK_NS = 10n * NS_PER_MS;
/** A jump of the wall clock against the timer, far above what slews make of it in a second. */
const LEAST_JUMP_NS = 50n * NS_PER_MS;
/** As near as this to us, the wall clock was set right. */
const AGREEMENT_NS = 100n * NS_PER_MS;

/** Stamps older than this many pieces are carried over by the oldest one kept. */
const PIECES = 8;
/** As far as Linux goes with its tick; a faster slew would make intervals useless. */
export const MAXIMUM_SLEW = 0.1;
export const MAXIMUM_FREQUENCY = 500e-6;

export class PiecewiseClock {
  readonly #host: Timer;
  /** Newest last; never empty. */
  readonly #pieces: Piece[];
  /** The host's wall clock less its timer when last looked at. */
  #difference: bigint;

  constructor(host: Timer) {
    this.#host = host;
    // The first reading of a wall clock may take its time (clock/anchored.ts), so that the timer is read after it.
    const time = host.now();
    const from = host.monotonic();
    this.#pieces = [{ from, time, elapsed: 0n, rate: 0 }];
    this.#difference = time - from;
  }

  /** Virtual time, ns since 1970. */
  now(): bigint {
    return this.at(this.#host.monotonic()).time;
  }

  /** Virtual time without its steps, ns: the monotonic clock that runs at our rate. */
  monotonic(): bigint {
    return this.at(this.#host.monotonic()).elapsed;
  }

  /**
   * Where the host's wall clock jumped ahead of the timer, so does this clock: on most systems the timer stands still while
   * the machine sleeps. A jump that brings the wall clock to where this one is was somebody setting it right, and one back
   * is nothing to us.
   */
  followHost(): void {
    const before = this.#host.monotonic();
    const wall = this.#host.now();
    const after = this.#host.monotonic();
    if (after - before > LONGEST_LOOK_NS) return;
    const difference = wall - (before + after) / 2n;
    const jump = difference - this.#difference;
    this.#difference = difference;
    if (jump < LEAST_JUMP_NS) return;
    const apart = wall - this.now();
    if (apart < AGREEMENT_NS && apart > -AGREEMENT_NS) return;
    this.step(jump);
  }

  rate(): number {
    return this.#pieces.at(-1)!.rate;
  }

  /** `monotonicNs`, on this clock's own monotonic scale, may lie back as far as the last change. */
  setRate(rate: number, monotonicNs?: bigint): void {
    const limit = MAXIMUM_SLEW + MAXIMUM_FREQUENCY;
    const from = monotonicNs === undefined ? this.#host.monotonic() : this.#timerAt(monotonicNs);
    this.#begin(from, Math.max(-limit, Math.min(limit, rate || 0)), 0n);
  }

  step(offsetNs: bigint): void {
    this.#begin(this.#host.monotonic(), this.rate(), offsetNs);
  }

  #begin(from: bigint, rate: number, stepNs: bigint): void {
    const { time, elapsed } = this.at(from);
    this.#pieces.push({ from, time: time + stepNs, elapsed, rate });
    if (this.#pieces.length > PIECES) this.#pieces.shift();
  }

  /** The timer when this clock's monotonic scale read `elapsed`; within the piece in force, and not in the future. */
  #timerAt(elapsed: bigint): bigint {
    const piece = this.#pieces.at(-1)!;
    const span = Number(elapsed - piece.elapsed);
    const from = piece.from + BigInt(Math.round(Math.max(0, span) / (1 + piece.rate)));
    const now = this.#host.monotonic();
    return from < now ? from : now;
  }

  /** Virtual time, with and without its steps, when the timer read `timer`. */
  protected at(timer: bigint): { time: bigint; elapsed: bigint } {
    const piece = this.#pieces.findLast(({ from }) => from <= timer) ?? this.#pieces[0]!;
    const span = timer - piece.from;
    // The timer's part is exact; only the correction, at most a tenth of it, is a double.
    const advanced = span + BigInt(Math.round(Number(span) * piece.rate));
    return { time: piece.time + advanced, elapsed: piece.elapsed + advanced };
  }
}
