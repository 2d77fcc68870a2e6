// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One measurement: offset, delay, dispersion and root distance of an exchange, in exact integers (RFC 5905 §8, §11.1).
 *
 *            t2 ──────── t3            server
 *           ╱              ╲
 *   t1 ────╱                ╲──── t4   client
 *
 * All results are intervals, signed 32.32 seconds. Tested in sample.test.ts against BigInt arithmetic.
 */

import { Header } from "../proto/header";
import { Interval, Timestamp, addSaturating, elapsed } from "../proto/timestamp";

/** A judged reply. Hosts reach its fields through the exported SAMPLE_* and HEADER_* offsets. */
@unmanaged
export class Sample extends Header {
  t1: Timestamp;
  t2: Timestamp;
  t3: Timestamp;
  t4: Timestamp;
  /** θ: how far the server is ahead. */
  offset: Interval;
  /** δ: the round trip without the server's residence. Raw: clocks of finite precision may make it negative. */
  delay: Interval;
  /** ε: what both clocks' precision and our drift during the exchange add. */
  dispersion: Interval;
  rootDelay: Interval;
  rootDispersion: Interval;
  /** λ: the bound on the offset's error, all the way to the reference clock. */
  rootDistance: Interval;
  /** The tests it fails, association/check.ts. */
  problems: u32;
  /** Epoch of the server's monotonic clock, when it sent the mono-root field; else 0. */
  monoEpoch: u32;
  /** Receive time on that clock. */
  monoReceive: Timestamp;
  /** 1: the reply was in interleaved mode, and t1..t4 are those of the exchange before (RFC 9769). */
  interleaved: u8;
  /** 1: by the key or the NTS keys that were asked for. */
  authenticated: u8;
  /** 1: our mark came back, so the server speaks NTPv5. */
  markReturned: u8;
  /** NTPv5: what network nodes said they held the packets, taken out of the delay; the root distance still has it. */
  corrected: Interval;
  /** NTPv5: what the server calls this exchange; 0 where it has no interleaved mode. */
  serverCookie: u64;
}

/** PHI, 15 ppm: what any clock may drift between two looks at it (RFC 5905 §7.2). */
const PHI_NUMERATOR: i64 = 15;
const PHI_DENOMINATOR: i64 = 1000000;

/** θ = ((t2 - t1) + (t3 - t4)) / 2, arranged so that no intermediate sum can overflow; rounded down. */
export function offsetOf(t1: Timestamp, t2: Timestamp, t3: Timestamp, t4: Timestamp): Interval {
  const there = elapsed(t1, t2);
  const back = elapsed(t4, t3);
  return (there >> 1) + (back >> 1) + (there & back & 1);
}

/** δ = (t4 - t1) - (t3 - t2), wrapping like the timestamps themselves. */
export function delayOf(t1: Timestamp, t2: Timestamp, t3: Timestamp, t4: Timestamp): Interval {
  return elapsed(t1, t4) - elapsed(t2, t3);
}

/** What an unsteered clock may drift in `span`, rounded up. Negative spans drift nothing. */
export function driftOver(span: Interval): Interval {
  if (span <= 0) return 0;
  // In two parts, as span·15 may overflow; the second is below 2^24.
  const whole = (span / PHI_DENOMINATOR) * PHI_NUMERATOR;
  const rest = ((span % PHI_DENOMINATOR) * PHI_NUMERATOR + PHI_DENOMINATOR - 1) / PHI_DENOMINATOR;
  return whole + rest;
}

/** Half of the way there and back, plus every error on the way: λ = (Δ + δ) / 2 + E + ε. Saturates. */
export function rootDistanceOf(sample: Sample, leastDelay: Interval): Interval {
  // A delay below the clocks' precision is an artefact of it and must not shrink the bound.
  const delay = max(sample.delay, leastDelay);
  const roundTrips = addSaturating(sample.rootDelay, delay);
  const half = (roundTrips >> 1) + (roundTrips & 1);
  return addSaturating(half, addSaturating(sample.rootDispersion, sample.dispersion));
}
