// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How good the server's time is at this moment: dispersion grows from the last update on, and past a limit it is no longer
 * called synchronised (RFC 5905 §11.1, §A.5.1.1: root dispersion is stated as of the time of the packet).
 *
 * Computed for each answer, as the host may have had no occasion to tell anything for hours. Tested in standing.test.ts.
 */

import { LEAP_UNSYNCHRONISED, STRATUM_UNSYNCHRONISED } from "../proto/header";
import { Server } from "./respond";
import { Interval, Timestamp, addSaturating, elapsed } from "../proto/timestamp";

/** Growth of more than this is no clock's: 1 s/s. */
const MOST: f64 = 1.0;
/** Below 2^62, so that the sum with what was told saturates and nothing traps. */
const LARGEST: f64 = 4611686018427387904.0;

/** Root dispersion at `received`. */
export function dispersionAt(server: Server, received: Timestamp): Interval {
  const growth = server.growth;
  // Not a number, negative or absurd: as told.
  if (!(growth > 0.0 && growth <= MOST)) return server.rootDispersion;
  const span = elapsed(server.updated, received);
  if (span <= 0) return server.rootDispersion;
  return addSaturating(server.rootDispersion, <i64>min<f64>(<f64>span * growth, LARGEST));
}

/** Is it synchronised, with this root dispersion? */
export function isSynchronised(server: Server, dispersion: Interval): bool {
  if (server.stratum == 0 || <i32>server.stratum >= STRATUM_UNSYNCHRONISED || server.leap == LEAP_UNSYNCHRONISED) return false;
  return server.maximumDistance <= 0 || addSaturating(server.rootDelay >> 1, dispersion) <= server.maximumDistance;
}
