// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our own discipline: from the sources' beliefs to one, and from that to what the clock does.
 *
 * Frequency is corrected at once; the offset over a good part of the poll interval, which costs 2 % in time and halves
 * the error of the frequency. An offset beyond what doubt explains is corrected faster. Tested in tests/simulation/table.test.ts.
 */

import { combine, combined } from "./combine";
import { startSlew, startStep, steering, turnFrequency } from "./clock";
import { Past, SOURCES, Source, sourceAt, toInterval } from "./memory";
import { adjustPoll, hastenPoll } from "./pace";
import { forget, learn } from "./source";
import { allowStep, believable, wantsStep } from "./steps";

/** Share of the poll interval over which an ordinary offset is slewed away. */
const SLEW_SHARE: f64 = 0.9;
/** Offsets beyond this many sd are corrected in proportionally less time. */
const HURRY_SD: f64 = 3;
/** The shortest slew, seconds: a timer's lateness shall not matter. */
const SHORTEST_SLEW: f64 = 1;

/** A sample taken at `sample.when`, told at `now`. */
export function estimatorSample(source: Source, now: u64, sample: Past): void {
  learn(source, sample.when, sample.offset, sample.delay, sample.dispersion);
  if (steer(now)) adjustPoll(source);
  // Something happened: three samples shall tell what, and soon.
  if (source.surprises != 0 && source.selection == 1) hastenPoll();
}

/** Turns what is believed at `now` into rate, slew and step. False when there is no majority to believe. */
export function steer(now: u64): bool {
  if (!combine(now) || !believable(combined.offset)) return false;
  if (!(abs(combined.frequency) < 1)) return false;
  turnFrequency(combined.frequency, now);
  const stepping = wantsStep(combined.offset) && allowStep(combined.offset);
  if (stepping) startStep(toInterval(combined.offset), combined.offset, now);
  else startSlew(combined.offset, slewDuration(), now);
  if (!isDefined(PAGE)) steering().sdOffset = sqrt(combined.varOffset);
  steering().sdFrequency = sqrt(combined.varFrequency);
  steering().synchronised = 1;
  return true;
}

function slewDuration(): f64 {
  const usual = SLEW_SHARE * <f64>(1 << steering().poll);
  const sd = sqrt(combined.varOffset);
  const hurry = (HURRY_SD * sd) / max(abs(combined.offset), 1e-12);
  return max(usual * min(hurry, 1), SHORTEST_SLEW);
}

/** After a suspend nothing is known of the offset, and the frequency a little less well. */
export function estimatorForget(): void {
  for (let index = 0; index < SOURCES; index++) {
    if (sourceAt(index).active) forget(sourceAt(index));
  }
}
