// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core for web pages: what a clock needs that follows a few sources, and nothing else. No logic.
 *
 * The same sources as assembly/index.ts, optimised for size: what is exported here gives the same bits as there, which
 * tests/contract/page.test.ts holds against the whole core. build/core.mjs defines PAGE for it, and the code that asks
 * `isDefined(PAGE)` leaves out what no page can use: keys and NTS (no cryptography here: such a request is not sent, such a
 * reply not believed), NTPv5, interleaved mode and the PLL. No strings cross: no as-bind, no collector. hosts/browser/engine.ts runs it.
 */

import { Action, Association } from "./association/association";
import { Exchange } from "./association/exchange";
import { Sample } from "./association/sample";
import { System } from "./association/system";
import { Steering } from "./discipline/clock";
import { Source } from "./discipline/memory";
import { slotPackets } from "./server/batch";

// --- proto: time ---
export { timestampFromUnixNs, timestampToUnixNs, intervalToNs, intervalFromSeconds } from "./proto/timestamp";

// --- association ---
export { requestWrite, replyRead } from "./association/exchange";
export {
  associationOpen,
  associationClose,
  associationTimer,
  associationSent,
  associationCame,
  associationReply,
  associationPrecision,
  associationsDrop,
  associationOut,
  actionOut,
} from "./association/association";
export { systemOut, systemUpdate } from "./association/system";
export { clockWatch, clockWatchReset } from "./association/clockwatch";

// --- discipline ---
export { disciplineReset, disciplineLimits, disciplineStepPolicy, disciplineTimer } from "./discipline/index";
export { steeringOut, sourceOut } from "./discipline/view";

// --- memory: where things lie ---
const exchange: usize = memory.data(offsetof<Exchange>(), 8);
const sample: usize = memory.data(offsetof<Sample>(), 8);
export const EXCHANGE: usize = exchange;
export const SAMPLE: usize = sample;
export const SLOTS: usize = slotPackets;

// --- memory: field offsets ---
export const ACTION_LENGTH: usize = offsetof<Action>("length");
export const ACTION_TIMER: usize = offsetof<Action>("timer");
export const ASSOCIATION_REACH: usize = offsetof<Association>("reach");
export const ASSOCIATION_USED: usize = offsetof<Association>("used");
export const ASSOCIATION_LAST_PROBLEMS: usize = offsetof<Association>("lastProblems");
export const STEERING_RATE: usize = offsetof<Steering>("rate");
export const STEERING_FREQUENCY: usize = offsetof<Steering>("frequency");
export const STEERING_REMAINING: usize = offsetof<Steering>("remaining");
export const STEERING_UNTIL: usize = offsetof<Steering>("until");
export const STEERING_STEP: usize = offsetof<Steering>("step");
export const SYSTEM_PEER: usize = offsetof<System>("peer");
export const SYSTEM_STRATUM: usize = offsetof<System>("stratum");
export const SYSTEM_LEAP: usize = offsetof<System>("leap");
export const SYSTEM_SURVIVORS: usize = offsetof<System>("survivors");
export const SYSTEM_BOUND: usize = offsetof<System>("bound");
export const SOURCE_SELECTION: usize = offsetof<Source>("selection");
export const SOURCE_OFFSET: usize = offsetof<Source>("offset");
export const SOURCE_FLOOR: usize = offsetof<Source>("floor");
