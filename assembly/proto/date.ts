// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The 128-bit NTP date format (RFC 5905 §6): the only one that says which era it means.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |                          Era number (i32)                     |
 * 4 |                          Era offset (u32)                     |
 * 8 |                          Fraction (u64)                       |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Tested in timestamp.test.ts.
 */

import { Timestamp } from "./timestamp";

/** Seconds from 1900-01-01 to 1970-01-01. */
const UNIX_EPOCH: i64 = 2208988800;
const NS_PER_SECOND: i64 = 1000000000;
/** The last and the first second of which nanoseconds in 64 bits hold a part, counted from 1970. */
const LAST_SECOND: i64 = i64.MAX_VALUE / NS_PER_SECOND;
const FIRST_SECOND: i64 = -LAST_SECOND - 1;

/** Write nanoseconds since 1970 at `at` (16 octets, network order). Exact to 2^-64 s, rounded down. */
export function dateWrite(at: usize, unixNs: i64): void {
  let seconds = unixNs / NS_PER_SECOND;
  let nanos = unixNs % NS_PER_SECOND;
  if (nanos < 0) {
    nanos += NS_PER_SECOND;
    seconds -= 1;
  }
  // The quotient in two steps of 32 bits, as nanos·2^64 does not fit.
  const high = (<u64>nanos << 32) / <u64>NS_PER_SECOND;
  const rest = (<u64>nanos << 32) % <u64>NS_PER_SECOND;
  const low = (rest << 32) / <u64>NS_PER_SECOND;
  store<u64>(at, bswap<u64>(<u64>(seconds + UNIX_EPOCH)));
  store<u64>(at, bswap<u64>((high << 32) | low), 8);
}

/**
 * Read a date as nanoseconds since 1970, rounded to the nearest. Dates that nanoseconds in 64 bits cannot hold (before
 * 1677, after 2262) saturate.
 */
export function dateToUnixNs(at: usize): i64 {
  const since1900 = <i64>bswap<u64>(load<u64>(at));
  const fraction = bswap<u64>(load<u64>(at, 8));
  // 32 bits of the fraction decide the nanosecond; the next one rounds it.
  const nanos = <i64>(((fraction >> 32) * <u64>NS_PER_SECOND + 0x80000000 + ((<u64>(<u32>fraction) * <u64>NS_PER_SECOND) >> 32)) >> 32);
  if (since1900 > LAST_SECOND + UNIX_EPOCH) return i64.MAX_VALUE;
  if (since1900 < FIRST_SECOND + UNIX_EPOCH) return i64.MIN_VALUE;
  const seconds = since1900 - UNIX_EPOCH;
  const unixNs = seconds * NS_PER_SECOND + nanos;
  // Only in the first and the last second can the sum wrap; the sign then is the wrong one.
  if (seconds > 0 && unixNs < 0) return i64.MAX_VALUE;
  if (seconds < 0 && unixNs > 0) return i64.MIN_VALUE;
  return unixNs;
}

/** The timestamp (32.32, era dropped) of a date, rounded down. */
export function dateToTimestamp(at: usize): Timestamp {
  return bswap<u64>(load<u64>(at, 4));
}
