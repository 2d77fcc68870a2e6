// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * From a source's answers to the discipline: what a sample says, and what holds still of a source that was lost or has moved.
 *
 * Tested in association.test.ts.
 */

import { Association, UNREACHABLE_AFTER, associationAt, lastSample } from "./state";
import { addressOf } from "./v5";
import { disciplineAddSource, disciplineSample, disciplineUnmute } from "../discipline/index";
import { steering } from "../discipline/clock";
import { Measurement, measurementAt } from "../discipline/measurement";
import { sourceAt } from "../discipline/memory";
import { LEAP_UNSYNCHRONISED } from "../proto/header";
import { VERSION_5 } from "../proto/v5";
import { Interval } from "../proto/timestamp";

/** What an oscillator's frequency may change by while nobody is asked, s/s: 1 ppm. */
const OSCILLATOR_CHANGE: f64 = 1e-6;

/** Begin anew with a source, but not with the frequency: what all of them taught of our oscillator is known still. */
export function renewSource(index: i32): void {
  disciplineAddSource(index);
  const known = steering().sdFrequency;
  if (!(known > 0)) return;
  const doubt = known + OSCILLATOR_CHANGE;
  const source = sourceAt(index);
  source.priorVarFrequency = min(source.priorVarFrequency, doubt * doubt);
}

/**
 * It tells the time. Back from being unreachable it is asked in a burst; what was believed of it holds still, as far as an
 * oscillator can be trusted for so long: packets get lost by the dozen, and to begin anew each time would cost far more.
 * But another server at another address, of the same name, is a new source.
 */
export function revive(association: Association, index: i32): void {
  const lost = association.silent >= UNREACHABLE_AFTER;
  if (isMoved(association, index) || (lost && !disciplineUnmute(index, association.askedAt))) renewSource(index);
  if (lost) association.attempts = 1;
  association.silent = 0;
}

function isMoved(association: Association, index: i32): bool {
  if (isDefined(PLAIN)) return false;
  const before = association.toldBy;
  association.toldBy = addressOf(index);
  return before != 0 && before != association.toldBy;
}

/** The last sample to the discipline; `when` and `told` as {@link Measurement} has them. */
export function tellDiscipline(index: i32, offset: Interval, when: u64, told: u64): void {
  const measurement = changetype<Measurement>(measurementAt);
  measurement.when = when;
  if (!isDefined(PAGE)) measurement.told = told;
  measurement.offset = offset;
  measurement.delay = lastSample.delay;
  measurement.dispersion = lastSample.dispersion;
  // What nobody signs does not make us surer: a corrected delay counts whole in the distance.
  measurement.rootDelay = lastSample.rootDelay + (isDefined(PAGE) ? 0 : lastSample.corrected);
  measurement.rootDispersion = lastSample.rootDispersion;
  measurement.stratum = lastSample.stratum;
  // In NTPv5 a leap indicator of 3 is one not known, and no word against the server.
  measurement.leap = !isDefined(PAGE) && <i32>lastSample.version == VERSION_5 && lastSample.leap == LEAP_UNSYNCHRONISED ? 0 : lastSample.leap;
  if (!isDefined(PLAIN)) associationAt(index).refid = lastSample.refid;
  disciplineSample(index);
}
