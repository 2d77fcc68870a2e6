// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A clock that is told in terms of the host's wall clock: so far apart at one moment, and gaining so much since.
 *
 * What a thread serves that does not own the clock. The core's twin is assembly/server/clockline.ts.
 *
 * @module
 */

/** The served clock in terms of the host's, at one moment. */
export interface ClockReading {
  /** The host's wall clock and the served clock then, ns since 1970. */
  readonly wallNs: bigint;
  readonly timeNs: bigint;
  /** What the served clock gains on the host's, s/s. */
  readonly rate: number;
}

/** Further from its reading than this, 2^6 s, the rate is no longer applied: the wall clock was stepped. */
const LONGEST_NS = 64_000_000_000n;

/** The served clock when the host's wall clock reads `wallNs`. */
export function carry({ wallNs: readAt, timeNs, rate }: ClockReading, wallNs: bigint): bigint {
  const span = wallNs - readAt;
  const straight = timeNs + span;
  return span < LONGEST_NS && span > -LONGEST_NS ? straight + BigInt(Math.round(Number(span) * rate)) : straight;
}
