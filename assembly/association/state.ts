// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What is known of each association, and what its calls answer: the actions that a host obeys. Who changes it: association.ts
 * for the exchange with a server, symmetric.ts, broadcast.ts, refclock.ts and v5.ts for what is special about theirs.
 *
 * Tested in association.test.ts.
 */

import { Interleaved } from "./interleaved";
import { Sample } from "./sample";
import { SOURCES } from "../discipline/memory";

// What the host is to do; bits of what the calls return.
export const ACTION_SEND: i32 = 1 << 0;
export const ACTION_TIMER: i32 = 1 << 1;
export const ACTION_STEER: i32 = 1 << 2;
export const ACTION_RESOLVE: i32 = 1 << 3;
export const ACTION_STOP: i32 = 1 << 4;
/** NTS keys or cookies are missing: establish keys, then call associationTimer again; after a failure, too, but later. */
export const ACTION_ESTABLISH: i32 = 1 << 5;
/** The server asked has answered usably, also where its time is not followed. */
export const ACTION_HEARD: i32 = 1 << 6;

/** Requests without an answer after which a source is unreachable: its reach register is empty. */
export const UNREACHABLE_AFTER: i32 = 8;

/** What is known of one association. Read by hosts through the exported ASSOCIATION_* offsets. */
@unmanaged
export class Association extends Interleaved {
  active: u8;
  /** A request is under way. */
  awaiting: u8;
  /** The last eight requests, newest in the lowest bit: 1 where a usable reply came. */
  reach: u8;
  minPoll: i8;
  maxPoll: i8;
  /** Raised by RATE: the server wants no shorter poll. */
  pollFloor: i8;
  /** log2 s of the poll in force. */
  hostPoll: i8;
  /** Requests since the source was started or came back; a start is a burst. */
  attempts: i32;
  /** Requests in a row without a usable reply. */
  silent: i32;
  /** When the last request was due, and a share of the poll by which the next is moved. */
  askedAt: u64;
  /** When the datagram being looked at came, on the monotonic clock. */
  came: u64;
  spread: f64;
  /** Counters since the association was opened. */
  sent: u32;
  used: u32;
  unfit: u32;
  ignored: u32;
  kisses: u32;
  /** Of those used, in interleaved mode. */
  interleaved: u32;
  /** Who told the last sample used, as {@link addressOf} has it. */
  toldBy: u64;
  /** Problems of the last reply, and its kiss code. */
  lastProblems: u32;
  lastKiss: u32;
  /** Whom the server of the last sample used follows, as it says itself; NTPv5 does not tell. */
  refid: u32;
  /** Its own index. */
  place: i32;
  // NTPv5 (v5.ts): 1: version 4 or 5, as the server can; requests until that is thought over; requests of version 5, and of
  // version 4, in a row without an answer.
  auto5: u8;
  tries5: u16;
  unanswered5: u8;
  unanswered4: u8;
  // Its reference identifiers: all are known; it follows us; polls until it is followed again; it is followed.
  known5: u8;
  looped: u8;
  penance: u8;
  follows: u8;
}

/** Beside the bits that a call returns. */
@unmanaged
export class Action {
  /** Octets to send, in slot 0. */
  length: i32;
  /** When to call associationTimer. */
  timer: u64;
}

const associationsAt: usize = memory.data(SOURCES * offsetof<Association>(), 8);
const actionAt: usize = memory.data(offsetof<Action>(), 8);
const sampleAt: usize = memory.data(offsetof<Sample>(), 8);

/** The last reply of any association, measured and judged. */
export const lastSample = changetype<Sample>(sampleAt);
export const action = changetype<Action>(actionAt);

/** Address of association `index` (0..63), and of the one Action. */
export function associationOut(index: i32): usize {
  return associationsAt + <usize>(index & (SOURCES - 1)) * offsetof<Association>();
}

export function actionOut(): usize {
  return actionAt;
}

export function associationAt(index: i32): Association {
  return changetype<Association>(associationOut(index));
}
