// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A fine wall clock made of a coarse one and a monotonic timer, for runtimes without `clock_gettime`.
 *
 * `Date.now()` = m says that the true wall time lies in [m, m + 1) ms; the monotonic timer interpolates. The first reading
 * waits for a millisecond edge, at most one millisecond, to learn the difference of the two to about a microsecond. Every
 * reading after it holds the sum against the interval that `Date.now()` allows and moves it to the nearer end when it lies
 * outside: so steps, slews and suspends are followed at the next reading, and no state grows old.
 *
 * Tested in anchored.test.ts with clocks that step, slew and sleep.
 *
 * @module
 */

import type { HostClock } from "../host.ts";

/** What a runtime has. */
export interface Timers {
  /** Wall clock, whole milliseconds since 1970, rounded down. */
  wallMs(): number;
  /** Monotonic nanoseconds from any origin. */
  monotonicNs(): bigint;
}

const NS_PER_MS = 1_000_000n;
/** No edge after this many readings: the wall clock stands still (a worker between events), so go on without one. */
const EDGE_TRIES = 1_000_000;

export class AnchoredClock implements HostClock {
  readonly description: string;
  readonly #timers: Timers;
  /** Wall time minus monotonic time, ns; undefined before the first reading. */
  #difference: bigint | undefined;
  #precision: number | undefined;

  constructor(timers: Timers, description: string) {
    this.#timers = timers;
    this.description = description;
  }

  now(): bigint {
    this.#difference ??= this.#waitForEdge();
    const wall = this.monotonic() + this.#difference;
    // Read after the timer, so that a pause between the two looks like a late wall clock, not an early one.
    const earliest = BigInt(this.#timers.wallMs()) * NS_PER_MS;
    const latest = earliest + NS_PER_MS - 1n;
    if (wall < earliest) return this.#moveTo(earliest, wall);
    if (wall > latest) return this.#moveTo(latest, wall);
    return wall;
  }

  monotonic(): bigint {
    return this.#timers.monotonicNs();
  }

  get precision(): number {
    return (this.#precision ??= measurePrecision(this));
  }

  #moveTo(allowed: bigint, wall: bigint): bigint {
    // A pause of this process between the two readings moves the edge, too; the next reading moves it back, as the true
    // difference satisfies every reading and a wrong one does not for long.
    this.#difference! += allowed - wall;
    return allowed;
  }

  #waitForEdge(): bigint {
    const start = this.#timers.wallMs();
    let before = this.monotonic();
    for (let tries = 0; tries < EDGE_TRIES; tries++) {
      const wall = this.#timers.wallMs();
      const after = this.monotonic();
      // The edge lies between the two readings of the timer: take their middle.
      if (wall !== start) return BigInt(wall) * NS_PER_MS - (before + after) / 2n;
      before = after;
    }
    return BigInt(start) * NS_PER_MS + NS_PER_MS / 2n - before;
  }
}

/** How many readings tell the precision. */
const READINGS = 256;

/** The least step between two readings, or what a reading costs if that is more; in seconds. RFC 5905 §7.3. */
export function measurePrecision(clock: Pick<HostClock, "now" | "monotonic">): number {
  let least = 1_000_000_000n;
  const start = clock.monotonic();
  let previous = clock.now();
  for (let i = 0; i < READINGS; i++) {
    const next = clock.now();
    const step = next - previous;
    if (step > 0n && step < least) least = step;
    previous = next;
  }
  const cost = (clock.monotonic() - start) / BigInt(READINGS + 1);
  return Number(least === 1_000_000_000n || cost > least ? (cost > 0n ? cost : 1n) : least) / 1e9;
}
