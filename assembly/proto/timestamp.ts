// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Time on the wire: NTP timestamps, short and date formats, and their way to and from Unix nanoseconds (RFC 5905 §6).
 *
 *   timestamp   32.32   seconds since the era began      0..2^32 s, 233 ps
 *   short       16.16   delays and dispersions           0..65536 s, 15 µs
 *   date        32 era, 32 seconds, 64 fraction          the age of the universe, 54 zs
 *   interval    signed 32.32, the difference of two timestamps (ours; not on the wire)
 *
 * Era 0 began at 1900-01-01T00:00:00Z and ends at 2036-02-07T06:28:16Z. A timestamp carries no era, so turning one into
 * Unix time needs a pivot, any time known to be less than 68 years away.
 *
 * Every bit pattern is legal input and nothing traps. Tested in timestamp.test.ts against BigInt arithmetic.
 */

/** Seconds since the era began, unsigned 32.32 fixed point. */
export type Timestamp = u64;
/** A signed difference of two timestamps, in 2^-32 s. */
export type Interval = i64;
/** Unsigned 16.16 seconds. */
export type Short = u32;

/** Seconds from 1900-01-01 to 1970-01-01: 70 years, 17 of them leap years. */
const UNIX_EPOCH: i64 = 2208988800;
const NS_PER_SECOND: i64 = 1000000000;
/** Half a unit of a 32-bit fraction, for rounding. */
const HALF: i64 = 0x80000000;

/**
 * How far `to` lies after `from`.
 *
 * Wrapping subtraction picks the eras that bring the two closest together, so the answer is right across 2036-02-07 as
 * long as they are less than 68 years apart.
 */
export function elapsed(from: Timestamp, to: Timestamp): Interval {
  return <i64>(to - from);
}

/** Nanoseconds since 1970 to a timestamp of whatever era they fall in, rounded to the nearest 2^-32 s. */
export function timestampFromUnixNs(unixNs: i64): Timestamp {
  let seconds = unixNs / NS_PER_SECOND;
  let nanos = unixNs % NS_PER_SECOND;
  if (nanos < 0) {
    nanos += NS_PER_SECOND;
    seconds -= 1;
  }
  // nanos < 10^9, so the product stays below 2^62 and the rounded fraction below 2^32.
  const fraction = ((nanos << 32) + NS_PER_SECOND / 2) / NS_PER_SECOND;
  return (<u64>(seconds + UNIX_EPOCH) << 32) | <u64>fraction;
}

/**
 * A timestamp to nanoseconds since 1970, in the era that brings it closest to `pivotNs`; rounded to the nearest ns, so
 * that a ns survives the way through `timestampFromUnixNs` and back unchanged.
 */
export function timestampToUnixNs(timestamp: Timestamp, pivotNs: i64): i64 {
  let pivotSeconds = pivotNs / NS_PER_SECOND;
  if (pivotNs % NS_PER_SECOND < 0) pivotSeconds -= 1;
  // Only the low 32 bits of the distance count; read as signed they lie within ±68 years.
  const distance = <i32>(<u32>(timestamp >> 32) - <u32>(pivotSeconds + UNIX_EPOCH));
  return (pivotSeconds + <i64>distance) * NS_PER_SECOND + fractionToNs(<u32>timestamp);
}

/** 2^-32 s to ns, rounded; 10^9 when it rounds up to a whole second. */
function fractionToNs(fraction: u32): i64 {
  return (<i64>fraction * NS_PER_SECOND + HALF) >> 32;
}

/** An interval to nanoseconds, rounded to the nearest. */
export function intervalToNs(interval: Interval): i64 {
  return (interval >> 32) * NS_PER_SECOND + fractionToNs(<u32>interval);
}

/** The longest that an interval can hold, in ns: 2^31 s. */
const INTERVAL_LIMIT_NS: i64 = 2147483648 * NS_PER_SECOND;

/** Nanoseconds to an interval, rounded to the nearest; saturates at ±68 years. */
export function intervalFromNs(ns: i64): Interval {
  if (ns >= INTERVAL_LIMIT_NS) return i64.MAX_VALUE;
  if (ns < -INTERVAL_LIMIT_NS) return i64.MIN_VALUE;
  let seconds = ns / NS_PER_SECOND;
  let nanos = ns % NS_PER_SECOND;
  if (nanos < 0) {
    nanos += NS_PER_SECOND;
    seconds -= 1;
  }
  return (seconds << 32) + ((nanos << 32) + NS_PER_SECOND / 2) / NS_PER_SECOND;
}

/** An interval to seconds, rounded once to the nearest double. */
export function intervalToSeconds(interval: Interval): f64 {
  return <f64>interval * (1.0 / 4294967296.0);
}

/** Seconds to an interval, rounded to the nearest; saturates at ±68 years, and what is no number becomes zero. */
export function intervalFromSeconds(seconds: f64): Interval {
  if (seconds != seconds) return 0;
  const scaled = nearest<f64>(seconds * 4294967296.0);
  if (scaled >= 9223372036854775808.0) return i64.MAX_VALUE;
  if (scaled < -9223372036854775808.0) return i64.MIN_VALUE;
  return <i64>scaled;
}

/** Short format to an interval, exactly. */
export function shortToInterval(short: Short): Interval {
  return <i64>short << 16;
}

/** An interval to short format, rounded to the nearest; negative becomes zero and 65536 s or more the largest. */
export function shortFromInterval(interval: Interval): Short {
  if (interval < 0) return 0;
  if (interval > 0xffffffff7fff) return u32.MAX_VALUE;
  return <u32>((interval + 0x8000) >> 16);
}

/** The same, rounded up: a dispersion that is told MUST NOT be smaller than the one that is known. */
export function shortAbove(interval: Interval): Short {
  if (interval <= 0) return 0;
  if (interval > 0xffffffff0000) return u32.MAX_VALUE;
  return <u32>((interval + 0xffff) >> 16);
}

/** 2^exponent seconds as an interval, saturating; at least one unit, so that a precision never vanishes. */
export function intervalFromLog2(exponent: i32): Interval {
  if (exponent >= 31) return i64.MAX_VALUE;
  if (exponent <= -32) return 1;
  return <i64>1 << <i64>(32 + exponent);
}

/** The sum of two intervals that saturates instead of wrapping. */
export function addSaturating(a: Interval, b: Interval): Interval {
  const sum = a + b;
  // Overflow turned the sign exactly when both have the sign that the sum has not.
  if (((a ^ sum) & (b ^ sum)) < 0) return a < 0 ? i64.MIN_VALUE : i64.MAX_VALUE;
  return sum;
}
