// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for pages that follow servers: a disciplined clock over NTP and NTS, and all that single questions need. No logic.
 *
 * The same sources as assembly/index.ts, optimised for size: what is exported here gives the same bits as there, which
 * tests/contract/follow-core.test.ts holds against the whole core. build/core.mjs defines PAGE for it: left out are symmetric
 * keys, NTPv5 and interleaved mode (such a request is not sent, such a reply not believed), peers, broadcasts, manycast,
 * reference clocks, the PLL/FLL, Roughtime and the server. It can all that assembly/query.ts can, so that a page needs no more.
 */

import { Action, Association } from "./association/state";
import { Session } from "./association/nts";
import { System } from "./association/system";
import { referenceIds } from "./proto/v5ids";

export * from "./query";

// --- association ---
export {
  associationOpen,
  associationClose,
  associationSetAside,
  associationNts,
  associationTimer,
  associationSent,
  associationCame,
  associationReply,
  associationPrecision,
  associationsDrop,
} from "./association/association";
export { associationOut, actionOut } from "./association/state";
export { associationVersion4, associationAddress, referenceIdsUpdate } from "./association/v5";
export { sourceRefid } from "./association/speak";
export { systemOut, systemUpdate } from "./association/system";
export { clockWatch, clockWatchLeap, clockWatchReset } from "./association/clockwatch";
export { referenceIdChoose } from "./proto/v5ids";
export { refidOfIPv6 } from "./proto/refid";
export { elapsed } from "./proto/timestamp";

// --- discipline ---
export { disciplineAlgorithm, disciplineReset, disciplineLimits, disciplineStepPolicy, disciplineStepLimits, disciplineTimer } from "./discipline/index";
export {
  steeringOut,
  STEERING_RATE,
  STEERING_FREQUENCY,
  STEERING_REMAINING,
  STEERING_UNTIL,
  STEERING_STEP,
  STEERING_POLL,
  STEERING_SYNCHRONISED,
  STEERING_SD_FREQUENCY,
  STEERING_FLAGS,
  STEERING_SURVIVORS,
  sourceOut,
  SOURCE_ACTIVE,
  SOURCE_SAMPLES,
  SOURCE_SELECTION,
  SOURCE_STRATUM,
  SOURCE_LEAP,
  SOURCE_WHEN,
  SOURCE_ROOT_DELAY,
  SOURCE_ROOT_DISPERSION,
  SOURCE_FLOOR,
  SOURCE_EXCESS,
  SOURCE_OFFSET,
  SOURCE_FREQUENCY,
  SOURCE_VAR_OFFSET,
  SOURCE_VAR_FREQUENCY,
} from "./discipline/view";

// --- memory: field offsets ---
export const REFERENCE_IDS: usize = referenceIds;
export const ASSOCIATION_AWAITING: usize = offsetof<Association>("awaiting");
export const ASSOCIATION_REACH: usize = offsetof<Association>("reach");
export const ASSOCIATION_POLL_FLOOR: usize = offsetof<Association>("pollFloor");
export const ASSOCIATION_HOST_POLL: usize = offsetof<Association>("hostPoll");
export const ASSOCIATION_SILENT: usize = offsetof<Association>("silent");
export const ASSOCIATION_SENT: usize = offsetof<Association>("sent");
export const ASSOCIATION_USED: usize = offsetof<Association>("used");
export const ASSOCIATION_UNFIT: usize = offsetof<Association>("unfit");
export const ASSOCIATION_IGNORED: usize = offsetof<Association>("ignored");
export const ASSOCIATION_KISSES: usize = offsetof<Association>("kisses");
export const ASSOCIATION_INTERLEAVED: usize = offsetof<Association>("interleaved");
export const ASSOCIATION_LAST_PROBLEMS: usize = offsetof<Association>("lastProblems");
export const ASSOCIATION_LAST_KISS: usize = offsetof<Association>("lastKiss");
export const ASSOCIATION_REFID: usize = offsetof<Association>("refid");
export const ASSOCIATION_AUTH: usize = offsetof<Association>("auth");
export const NTS_AEAD: usize = offsetof<Session>("aead");
export const NTS_COOKIES: usize = offsetof<Session>("cookies");
export const ACTION_LENGTH: usize = offsetof<Action>("length");
export const ACTION_TIMER: usize = offsetof<Action>("timer");
export const SYSTEM_PEER: usize = offsetof<System>("peer");
export const SYSTEM_STRATUM: usize = offsetof<System>("stratum");
export const SYSTEM_LEAP: usize = offsetof<System>("leap");
export const SYSTEM_SURVIVORS: usize = offsetof<System>("survivors");
export const SYSTEM_ROOT_DELAY: usize = offsetof<System>("rootDelay");
export const SYSTEM_ROOT_DISPERSION: usize = offsetof<System>("rootDispersion");
export const SYSTEM_BOUND: usize = offsetof<System>("bound");
export const SYSTEM_LOCAL: usize = offsetof<System>("local");
