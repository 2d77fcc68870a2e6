// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Leap seconds as the server tells them: announced, or smeared.
 *
 * **Announced**: leap 1 or 2 within a window before the leap second, and not before or after, where the host said when it
 * comes (`leapAt`); else as the host says.
 *
 * **Smeared**: never announced; the time told is shifted by a little more each moment, from half the length before the leap
 * second to half of it after, so that clients see days of 86,400 somewhat longer seconds. With f the part that is done, of 0..1:
 *
 *                 before the leap       after it: the clock itself went back (inserted) or ahead (deleted) by one
 *   inserted          −f                    1 − f
 *   deleted           +f                    f − 1
 *
 *   linear   f = x          cosine   f = (1 − cos πx) / 2          x runs over length + 1 s (inserted) or − 1 s (deleted)
 *
 * The clock under us may be set back some ms late, and a second that comes twice cannot be told from its stamp. So while
 * smearing, nobody is answered within about a second of the leap: silence for a moment, but never a time wrong by a second.
 *
 * Tested in leap.test.ts.
 */

import { Server } from "./respond";
import { Interval, Timestamp, elapsed } from "../proto/timestamp";

export const SMEAR_LINEAR: i32 = 1;
export const SMEAR_COSINE: i32 = 2;
/** What smeared time is synchronised to, as chrony says it: 127.127.1.255. */
export const REFID_SMEARED: u32 = 0x7f7f01ff;

const SECOND: i64 = <i64>1 << 32;
/** How late the clock may make its leap: 0.1 s. */
const LATE: i64 = SECOND / 10;
const PI: f64 = 3.141592653589793;

/** +1 for an inserted second, -1 for a deleted one, 0 for none. */
function direction(server: Server): i64 {
  return server.smearLeap == 1 ? 1 : server.smearLeap == 2 ? -1 : 0;
}

/** What to announce to a request that came at `received` (by a clock that does not smear). */
export function leapToTell(server: Server, received: Timestamp): u8 {
  if (server.smearShape != 0) return 0;
  if (server.leap > 2 || server.leapAt == 0) return server.leap;
  const left = elapsed(received, server.leapAt);
  return left > 0 && left <= server.leapWindow ? server.leap : 0;
}

/** What to add to the clock's time `at`. Inlined: each answer asks twice, and nearly always there is nothing to smear. */
// @ts-ignore: decorator
@inline
export function smearAt(server: Server, at: Timestamp): Interval {
  return server.smearShape == 0 ? 0 : smeared(server, at);
}

function smeared(server: Server, at: Timestamp): Interval {
  const sign = direction(server);
  const half = server.smearLength >>> 1;
  const fromLeap = elapsed(server.leapAt, at);
  if (sign == 0 || fromLeap < -half || fromLeap >= half) return 0;
  const after = fromLeap >= 0;
  // On a scale without leaps the second counts, too.
  const done = fromLeap + half + (after ? sign * SECOND : 0);
  const whole = 2 * half + sign * SECOND;
  const part = shaped(<i32>server.smearShape, <f64>done / <f64>whole);
  return sign * ((after ? SECOND : 0) - <i64>(part * <f64>SECOND));
}

/** Of 0..1, whatever came in. */
function shaped(shape: i32, x: f64): f64 {
  if (!(x > 0.0)) return 0.0;
  if (x >= 1.0) return 1.0;
  if (shape != SMEAR_COSINE) return x;
  return x > 0.5 ? 1.0 - sineSquared(1.0 - x) : sineSquared(x);
}

/** sin²(πx / 2) = (1 − cos πx) / 2 for x of 0..1/2: Taylor's series up to the 13th power, within 10⁻¹³. */
function sineSquared(x: f64): f64 {
  const y = x * (PI / 2.0);
  const z = y * y;
  const sine = y * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0 * (1.0 - z / 110.0 * (1.0 - z / 156.0))))));
  return sine * sine;
}

/** MUST nothing be said now, as the clock may be a second off? */
export function hushed(server: Server, received: Timestamp): bool {
  if (server.smearShape == 0 || direction(server) == 0) return false;
  const fromLeap = elapsed(server.leapAt, received);
  return fromLeap > -(SECOND + LATE) && fromLeap < LATE;
}
