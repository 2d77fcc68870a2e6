// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Our own discipline: from the sources' beliefs to one, and from that to what the clock does.
 *
 * Frequency is corrected at once; the offset over a good part of the poll interval, which costs 2 % in time and halves
 * the error of the frequency. An offset beyond what doubt explains is corrected faster. Tested in tests/simulation.
 */

import { combine, combined } from "./combine";
import { startSlew, steering, turnFrequency } from "./clock";
import { Past, Source } from "./memory";
import { learn } from "./source";
import { adjustPoll } from "./pace";

/** Share of the poll interval over which an ordinary offset is slewed away. */
const SLEW_SHARE: f64 = 0.7;
/** Offsets beyond this many sd are corrected in proportionally less time. */
const HURRY_SD: f64 = 3;
/** The shortest slew, seconds: a timer's lateness shall not matter. */
const SHORTEST_SLEW: f64 = 1;

export function estimatorSample(source: Source, now: u64, sample: Past): void {
  learn(source, now, sample.offset, sample.delay, sample.dispersion);
  if (!combine(now)) return;
  turnFrequency(combined.frequency, now);
  startSlew(combined.offset, slewDuration(), now);
  adjustPoll(source);
  steering().synchronised = 1;
}

function slewDuration(): f64 {
  const usual = SLEW_SHARE * <f64>(1 << steering().poll);
  const sd = sqrt(combined.varOffset);
  const hurry = (HURRY_SD * sd) / max(abs(combined.offset), 1e-12);
  return max(usual * min(hurry, 1), SHORTEST_SLEW);
}
