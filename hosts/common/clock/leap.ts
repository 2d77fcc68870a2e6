// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When a leap second may be armed: only on the day at whose end it comes.
 *
 * A kernel inserts at the end of the current UTC day, whichever it is, while servers announce for the end of the month
 * (RFC 5905 §7.3), some for weeks, and some forget to stop. Tested in daemon/status.test.ts.
 *
 * @module
 */

const NS_PER_MS = 1_000_000n;
const MS_PER_DAY = 86_400_000;

/** What to arm at `nowNs` (since 1970) when the sources announce `leap` (RFC 5905; 3: unknown). */
export function leapToArm(leap: number, nowNs: bigint): 0 | 1 | 2 {
  if (leap !== 1 && leap !== 2) return 0;
  const now = Number(nowNs / NS_PER_MS);
  const lastOfMonth = new Date(now + MS_PER_DAY).getUTCDate() === 1;
  return lastOfMonth ? leap : 0;
}

/** The end of the UTC day that `nowNs` lies in, ns since 1970. */
export function endOfDay(nowNs: bigint): bigint {
  const day = BigInt(MS_PER_DAY) * NS_PER_MS;
  return (nowNs / day + 1n) * day;
}
