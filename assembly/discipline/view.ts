// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What can be read of the discipline: addresses and offsets of its structs, for hosts' steering and for `tracking`,
 * `sources` and `sourcestats`. Read only: nothing written there is looked at. Tested in hosts/common/client/discipline.test.ts.
 */

import { Steering, steering } from "./clock";
import { Source, sourceAt } from "./memory";

export {
  MEASUREMENT_DELAY, MEASUREMENT_DISPERSION, MEASUREMENT_LEAP, MEASUREMENT_OFFSET, MEASUREMENT_ROOT_DELAY,
  MEASUREMENT_ROOT_DISPERSION, MEASUREMENT_STRATUM, MEASUREMENT_TOLD, MEASUREMENT_WHEN,
  measurement,
} from "./measurement";

/** Address of the one Steering. */
export function steeringOut(): usize {
  return changetype<usize>(steering());
}

export const STEERING_RATE: usize = offsetof<Steering>("rate");
export const STEERING_FREQUENCY: usize = offsetof<Steering>("frequency");
export const STEERING_REMAINING: usize = offsetof<Steering>("remaining");
export const STEERING_UNTIL: usize = offsetof<Steering>("until");
export const STEERING_STEP: usize = offsetof<Steering>("step");
export const STEERING_POLL: usize = offsetof<Steering>("poll");
export const STEERING_SYNCHRONISED: usize = offsetof<Steering>("synchronised");
export const STEERING_SD_FREQUENCY: usize = offsetof<Steering>("sdFrequency");
export const STEERING_FLAGS: usize = offsetof<Steering>("flags");
export const STEERING_SURVIVORS: usize = offsetof<Steering>("survivors");

export { SOURCE_OCTETS } from "./memory";

/** Address of source `index`. */
export function sourceOut(index: i32): usize {
  return changetype<usize>(sourceAt(index));
}

export const SOURCE_ACTIVE: usize = offsetof<Source>("active");
export const SOURCE_SAMPLES: usize = offsetof<Source>("samples");
export const SOURCE_SELECTION: usize = offsetof<Source>("selection");
export const SOURCE_STRATUM: usize = offsetof<Source>("stratum");
export const SOURCE_LEAP: usize = offsetof<Source>("leap");
export const SOURCE_WHEN: usize = offsetof<Source>("when");
export const SOURCE_ROOT_DELAY: usize = offsetof<Source>("rootDelay");
export const SOURCE_ROOT_DISPERSION: usize = offsetof<Source>("rootDispersion");
export const SOURCE_FLOOR: usize = offsetof<Source>("floor");
export const SOURCE_EXCESS: usize = offsetof<Source>("excess");
export const SOURCE_OFFSET: usize = offsetof<Source>("offset");
export const SOURCE_FREQUENCY: usize = offsetof<Source>("frequency");
export const SOURCE_VAR_OFFSET: usize = offsetof<Source>("varOffset");
export const SOURCE_VAR_FREQUENCY: usize = offsetof<Source>("varFrequency");
