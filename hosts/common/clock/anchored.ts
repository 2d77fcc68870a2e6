// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A fine wall clock made of a coarse one and a monotonic timer, for runtimes without `clock_gettime`.
 *
 * `Date.now()` = m says that the true wall time lies in [m, m + 1) ms; the monotonic timer interpolates. The first reading
 * waits for a millisecond edge, as a rule less than one millisecond, to learn the difference of the two to about a
 * microsecond. Every reading after it holds the sum against the interval that `Date.now()` allows and moves it to the nearer
 * end when it lies outside: so slews are followed. Where it lies outside by more than a millisecond the clock was stepped
 * or the machine slept, and the next edge is waited for anew. No state grows old.
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
/**
 * No edge after so long, or so many readings if the timer does not run either: the wall clock stands still (a worker between
 * events), so go on without. Some clocks tick every 16 ms.
 */
const EDGE_WAIT_NS = 50n * NS_PER_MS;
const EDGE_TRIES = 1_000_000;
/** An edge between two readings further apart than this is not where it seems: this process was held up. */
const EDGE_GAP_NS = 100_000n;

export class AnchoredClock implements HostClock {
  readonly description: string;
  readonly #timers: Timers;
  /** Wall time minus monotonic time, ns; undefined before the first reading. */
  #difference: bigint | undefined;
  #precision: number | undefined;
  /** The wall clock was seen to stand still, or to jump over milliseconds: it has no edges worth waiting for again. */
  #coarse = false;

  constructor(timers: Timers, description: string) {
    this.#timers = timers;
    this.description = description;
  }

  now(): bigint {
    const known = (this.#difference ??= this.#differenceAtEdge());
    const wall = this.#read();
    const moved = this.#difference - known;
    if (this.#coarse || (moved < NS_PER_MS && moved > -NS_PER_MS)) return wall;
    this.#difference = this.#differenceAtEdge();
    return this.#read();
  }

  monotonic(): bigint {
    return this.#timers.monotonicNs();
  }

  get precision(): number {
    return (this.#precision ??= measurePrecision(this));
  }

  /** The sum, held to what the wall clock allows; a sum that cannot be is corrected for the readings to come. */
  #read(): bigint {
    const sum = this.#sum();
    const earliest = BigInt(this.#timers.wallMs()) * NS_PER_MS;
    const latest = earliest + NS_PER_MS - 1n;
    if (sum > latest) return this.#moveTo(latest, sum);
    if (sum >= earliest) return sum;
    // A pause of this process between the two readings looks like a late wall clock. A third reading tells it from a step: it
    // MUST NOT cost the edge.
    const again = this.#sum();
    return again >= earliest ? earliest : this.#moveTo(earliest, again);
  }

  #sum(): bigint {
    return this.monotonic() + this.#difference!;
  }

  #moveTo(allowed: bigint, sum: bigint): bigint {
    this.#difference! += allowed - sum;
    return allowed;
  }

  #differenceAtEdge(): bigint {
    const start = this.monotonic();
    const first = this.#timers.wallMs();
    let wall = first;
    let before = start;
    for (let tries = 0; tries < EDGE_TRIES && before - start < EDGE_WAIT_NS; tries++) {
      const next = this.#timers.wallMs();
      const after = this.monotonic();
      // The edge lies between the two readings of the timer: take their middle.
      if (next > wall && after - before <= EDGE_GAP_NS) {
        this.#coarse = next > wall + 1;
        return BigInt(next) * NS_PER_MS - (before + after) / 2n;
      }
      wall = next;
      before = after;
    }
    this.#coarse = wall === first;
    return BigInt(wall) * NS_PER_MS + NS_PER_MS / 2n - before;
  }
}

/** How many readings tell the precision. */
const READINGS = 256;

/** The least step between two readings, or what a reading costs if that is more; in seconds. RFC 5905 §7.3. */
export function measurePrecision(clock: Pick<HostClock, "now" | "monotonic">): number {
  let least = 1_000_000_000n;
  // The first reading may wait for an edge; it MUST NOT count as what a reading costs.
  let previous = clock.now();
  const start = clock.monotonic();
  for (let i = 0; i < READINGS; i++) {
    const next = clock.now();
    const step = next - previous;
    if (step > 0n && step < least) least = step;
    previous = next;
  }
  const cost = (clock.monotonic() - start) / BigInt(READINGS);
  return Number(least === 1_000_000_000n || cost > least ? (cost > 0n ? cost : 1n) : least) / 1e9;
}
