// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that anybody may steer: virtual time over the monotonic timer, for processes without privileges.
 *
 * It runs at (1 + rate) times the timer's speed, in pieces: each change of the rate begins a piece, each step moves it. Time
 * stamps of the host (its wall clock, kernel stamps among them) are carried over to it through the timer, in the piece
 * they fall into.
 *
 * Tested in virtual.test.ts.
 *
 * @module
 */

import type { HostClock } from "../host.ts";
import type { ClockActuator, ClockStatus } from "../steering.ts";

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
/** Stamps by another way of reading the clock may be ahead of ours by its coarseness. */
const LATEST_STAMP_NS = 20n * NS_PER_MS;

/** How long ago the wall clock, now at `nowNs`, read `wallNs`. A stamp from the future was taken before a step back. */
export function ageOf(wallNs: bigint, nowNs: bigint): bigint {
  const age = nowNs - wallNs;
  return age < -LATEST_STAMP_NS ? 0n : age;
}

/** Stamps older than this many pieces are carried over by the oldest one kept. */
const PIECES = 8;
/** As far as Linux goes with its tick; a faster slew would make intervals useless. */
const MAXIMUM_SLEW = 0.1;
const MAXIMUM_FREQUENCY = 500e-6;

export class VirtualClock implements ClockActuator {
  readonly description = "virtual";
  readonly maximumSlew = MAXIMUM_SLEW;
  readonly maximumFrequency = MAXIMUM_FREQUENCY;
  readonly insertsLeapSeconds = false;
  readonly #host: HostClock;
  /** Newest last; never empty. */
  readonly #pieces: Piece[];
  /** The host's wall clock less its timer when last looked at. */
  #difference: bigint;

  constructor(host: HostClock) {
    this.#host = host;
    // The first reading of a wall clock may take its time (clock/anchored.ts), so that the timer is read after it.
    const time = host.now();
    const from = host.monotonic();
    this.#pieces = [{ from, time, elapsed: 0n, rate: 0 }];
    this.#difference = time - from;
  }

  /** Virtual time, ns since 1970. */
  now(): bigint {
    return this.#at(this.#host.monotonic()).time;
  }

  /** Virtual time without its steps, ns: the monotonic clock that runs at our rate. */
  monotonic(): bigint {
    return this.#at(this.#host.monotonic()).elapsed;
  }

  /** The virtual time, and the same without its steps, at which the host's wall clock read `wallNs` lately. */
  carry(wallNs: bigint): { time: bigint; monotonic: bigint } {
    // The timer between two readings of the wall clock: their middle halves the error of a pause.
    const before = this.#host.monotonic();
    const wall = this.#host.now();
    const after = this.#host.monotonic();
    const { time, elapsed } = this.#at((before + after) / 2n - ageOf(wallNs, wall));
    return { time, monotonic: elapsed };
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

  /** Nobody but its owner reads this clock, and the owner knows. */
  setStatus(_status: ClockStatus): void {}

  restore(): void {}

  #begin(from: bigint, rate: number, stepNs: bigint): void {
    const { time, elapsed } = this.#at(from);
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

  #at(timer: bigint): { time: bigint; elapsed: bigint } {
    const piece = this.#pieces.findLast(({ from }) => from <= timer) ?? this.#pieces[0]!;
    const span = timer - piece.from;
    // The timer's part is exact; only the correction, at most a tenth of it, is a double.
    const advanced = span + BigInt(Math.round(Number(span) * piece.rate));
    return { time: piece.time + advanced, elapsed: piece.elapsed + advanced };
  }
}
