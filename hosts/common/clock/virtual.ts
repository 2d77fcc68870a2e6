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
import { MAXIMUM_FREQUENCY, MAXIMUM_SLEW, PiecewiseClock } from "./piecewise.ts";

/** Stamps by another way of reading the clock may be ahead of ours by its coarseness. */
const LATEST_STAMP_NS = 20_000_000n;

/** How long ago the wall clock, now at `nowNs`, read `wallNs`. A stamp from the future was taken before a step back. */
export function ageOf(wallNs: bigint, nowNs: bigint): bigint {
  const age = nowNs - wallNs;
  return age < -LATEST_STAMP_NS ? 0n : age;
}

export class VirtualClock extends PiecewiseClock implements ClockActuator {
  readonly description = "virtual";
  readonly maximumSlew = MAXIMUM_SLEW;
  readonly maximumFrequency = MAXIMUM_FREQUENCY;
  readonly insertsLeapSeconds = false;
  readonly #timers: HostClock;

  constructor(host: HostClock) {
    super(host);
    this.#timers = host;
  }

  /** The virtual time, and the same without its steps, at which the host's wall clock read `wallNs` lately. */
  carry(wallNs: bigint): { time: bigint; monotonic: bigint } {
    // The timer between two readings of the wall clock: their middle halves the error of a pause.
    const before = this.#timers.monotonic();
    const wall = this.#timers.now();
    const after = this.#timers.monotonic();
    const { time, elapsed } = this.at((before + after) / 2n - ageOf(wallNs, wall));
    return { time, monotonic: elapsed };
  }

  /** Nobody but its owner reads this clock, and the owner knows. */
  setStatus(_status: ClockStatus): void {}

  restore(): void {}
}
