// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source's state machine: when to ask, what to make of the answer, when to give up (RFC 5905 §9, §12, §13).
 *
 * It touches no socket and no clock. The host calls in with events and obeys the actions that come back:
 *
 *   associationTimer(i, now, random) ──▶ SEND the packet in slot 0, then tell associationSent(i, t1)
 *   associationCame(i, t4, came), associationReply(i, length, now) ──▶ STEER: obey the discipline's steering, from `now` on
 *                                            STOP: the server does not want us (DENY, RSTR)
 *   either ──▶ TIMER: call associationTimer at `action.timer`;  RESOLVE: its name may have moved: look it up anew
 *              ESTABLISH: NTS keys are needed before it can ask
 *
 * A lost reply, an unreachable server and a kiss are states of this machine, not errors. Times called `now` are the host's
 * monotonic clock, unsigned 32.32 s; t1 and t4 are readings of the clock that is steered.
 *
 * Tested in association.test.ts and its neighbours.
 */

import { AUTH_KEY, AUTH_NTS } from "./authentic";
import { revive, tellDiscipline } from "./belief";
import { TEST4_DENIED } from "./check";
import { VERDICT_IGNORE, VERDICT_KISS, replyRead, requestWrite } from "./exchange";
import { interleaveForget, interleaveFresh, interleaveKeep, interleaveRecall, interleaveRequest } from "./interleaved";
import { ntsClose, ntsNeedsKeys } from "./nts";
import { ACTION_ESTABLISH, ACTION_HEARD, ACTION_RESOLVE, ACTION_SEND, ACTION_STEER, ACTION_STOP, ACTION_TIMER } from "./state";
import { Association, UNREACHABLE_AFTER, action, associationAt, lastSample } from "./state";
import { disciplineAddSource, disciplineMute, disciplinePoll, disciplineRemoveSource } from "../discipline/index";
import { slewRate, steering } from "../discipline/clock";
import { SOURCES, toInterval } from "../discipline/memory";
import { MODE_CLIENT } from "../proto/header";
import { VERSION_5 } from "../proto/v5";
import { isFollowed5, version5Answered, version5Request } from "./v5";
import { keyClear } from "../proto/keys";
import { slotPackets } from "../server/slots";
import { Interval, Timestamp, intervalToSeconds } from "../proto/timestamp";

/** No poll is longer than 36 hours (RFC 5905 §7.2, MAXPOLL). */
const POLL_LIMIT: i32 = 17;
/** RFC 5905 §7.4: "RATE". */
const KISS_RATE: u32 = 0x52415445;

/** Of the clock that is steered. */
let precision: Interval = 0;

/** Start asking: version 3 or 4, polls of 2^minPoll to 2^maxPoll s. The first associationTimer is due at once. */
export function associationOpen(index: i32, version: i32, minPoll: i32, maxPoll: i32): void {
  const association = associationAt(index);
  // The build for pages opens each but once.
  if (!isDefined(PLAIN)) memory.fill(changetype<usize>(association), 0, offsetof<Association>());
  association.active = 1;
  if (!isDefined(PAGE)) association.place = index & (SOURCES - 1);
  association.version = <u8>version;
  association.mode = <u8>MODE_CLIENT;
  association.minPoll = <i8>max(0, min(minPoll, POLL_LIMIT));
  association.maxPoll = <i8>max(<i32>association.minPoll, min(maxPoll, POLL_LIMIT));
  association.hostPoll = association.minPoll;
  association.precision = precision;
  disciplineAddSource(index);
}

/** Ask in interleaved mode (RFC 9769) wherever the server has it. */
export function associationInterleave(index: i32): void {
  associationAt(index).interleaving = 1;
}

/** Ask with the symmetric key of the same index (proto/keys.ts), and believe nothing without it. */
export function associationKey(index: i32): void {
  associationAt(index).auth = AUTH_KEY;
  associationAt(index).authIndex = index;
}

/** Ask with the NTS session of the same index (nts.ts), and believe nothing without it. */
export function associationNts(index: i32): void {
  associationAt(index).auth = AUTH_NTS;
  associationAt(index).authIndex = index;
}

function forgetSecrets(association: Association): void {
  if (association.auth == AUTH_NTS) ntsClose(association.authIndex);
  if (association.auth == AUTH_KEY) keyClear(association.authIndex);
}

/** Forget the source. Its secrets go with it. */
export function associationClose(index: i32): void {
  const association = associationAt(index);
  if (!isDefined(PLAIN)) forgetSecrets(association);
  association.active = 0;
  disciplineRemoveSource(index);
}

/**
 * Not asked for now, as another source speaks for the same server: what was believed of it has no say, and replies under way
 * are dropped. The next answer brings it back, as after an outage.
 */
export function associationSetAside(index: i32): void {
  const association = associationAt(index);
  if (!association.active) return;
  association.awaiting = 0;
  association.reach = 0;
  association.silent = UNREACHABLE_AFTER;
  interleaveForget(association);
  disciplineRemoveSource(index);
}

/** The clock was stepped: replies under way measure nothing any more, and are nobody's fault. */
export function associationsDrop(): void {
  for (let index = 0; index < SOURCES; index++) {
    const association = associationAt(index);
    association.awaiting = 0;
    interleaveForget(association);
  }
}

/** What was known is gone: replies under way are dropped and each source starts with a burst at its next timer. */
export function associationsRestart(): void {
  associationsDrop();
  for (let index = 0; index < SOURCES; index++) associationAt(index).attempts = 0;
}

/** The time named has come: write the next request. `random`: 64 bits nobody can guess. */
export function associationTimer(index: i32, now: u64, random: u64): i32 {
  const association = associationAt(index);
  if (!association.active) return 0;
  if (association.awaiting) association.silent += 1;
  if (!isDefined(PAGE)) version5Request(association, association.awaiting != 0 && association.t1 != 0);
  association.reach = association.reach << 1;
  const lost = loseSource(association, index);
  if (!isDefined(PLAIN) && association.auth == AUTH_NTS && ntsNeedsKeys(association.authIndex)) return lack(association) | lost;
  association.attempts += 1;
  if (isCounted()) association.sent += 1;
  association.awaiting = 1;
  association.origin = random != 0 ? random : 1;
  association.t1 = 0;
  association.askedAt = now;
  // Polls of many clients must not fall into step; up to 1/32 earlier, from other bits than the origin shows.
  association.spread = <f64>((random * 0x9e3779b97f4a7c15) >> 40) / <f64>(1 << 24) / 32;
  association.poll = association.hostPoll;
  interleaveRequest(association, index, now, random);
  action.length = requestWrite(slotPackets, association);
  schedule(association);
  return (action.length > 0 ? ACTION_SEND : 0) | ACTION_TIMER | lost;
}

/** Without keys nothing is sent; that counts as a request without an answer. */
function lack(association: Association): i32 {
  association.awaiting = 1;
  association.t1 = 0;
  return ACTION_ESTABLISH;
}

/** What the build for pages does not tell (assembly/page.ts) it need not keep. */
function isCounted(): bool {
  return !isDefined(PLAIN);
}

/** A source that answered none of eight requests has no say any more, and may have moved. */
export function loseSource(association: Association, index: i32): i32 {
  if (association.silent == 0 || association.silent % UNREACHABLE_AFTER != 0) return 0;
  if (association.silent == UNREACHABLE_AFTER) disciplineMute(index);
  return ACTION_RESOLVE;
}

/** When to ask next: as the discipline wants, as far as server and configuration allow, slower while nobody answers. */
function schedule(association: Association): void {
  const wanted = max(disciplinePoll(association.attempts), 0);
  // The burst is over when the discipline's own poll is reached, be it below this source's least.
  const burst = wanted < min(steering().poll, <i32>association.minPoll) && association.silent < UNREACHABLE_AFTER;
  const backOff = association.silent / UNREACHABLE_AFTER;
  let poll = burst ? wanted : max(wanted, <i32>association.minPoll) + backOff;
  poll = max(min(poll, <i32>association.maxPoll), <i32>association.pollFloor);
  association.hostPoll = <i8>poll;
  // A server that named its least interval gets no less than that.
  const spread = poll <= <i32>association.pollFloor ? association.spread : -association.spread;
  const seconds = <f64>(1 << poll) * (1 + spread);
  action.timer = association.askedAt + <u64>(seconds * 4294967296.0);
}

/** When the request really left. MUST be told before its reply. */
export function associationSent(index: i32, t1: Timestamp): void {
  associationAt(index).t1 = t1;
}

/** The precision of the clock that is steered, for all associations. */
export function associationPrecision(ofClock: Interval): void {
  precision = ofClock;
  for (let index = 0; index < SOURCES; index++) associationAt(index).precision = precision;
}

/** When the datagram came that associationReply is to look at: t4, and the same moment on the monotonic clock. */
export function associationCame(index: i32, t4: Timestamp, came: u64): void {
  const association = associationAt(index);
  association.t4 = t4;
  association.came = came;
}

/** A datagram from the source's address lies in slot 0; associationCame has told when it came. */
export function associationReply(index: i32, length: i32, now: u64): i32 {
  const association = associationAt(index);
  // Without a request under way nothing can be a reply, and the first reply ends the request: a duplicate is nobody's.
  if (!association.active || !association.awaiting || association.t1 == 0) return 0;
  interleaveRecall(association, index, slotPackets, now);
  const verdict = replyRead(slotPackets, length, association, lastSample);
  if (verdict == VERDICT_IGNORE) {
    if (isCounted()) association.ignored += 1;
    return 0;
  }
  association.awaiting = 0;
  association.lastProblems = lastSample.problems;
  association.previousTransmit = lastSample.transmitTime;
  // The cookie is as random as anything, and used up.
  if (!isDefined(PAGE)) version5Answered(association, lastSample, association.origin * 0x9e3779b97f4a7c15);
  if (verdict == VERDICT_KISS) return obeyKiss(association, index);
  if (lastSample.problems != 0) {
    if (isCounted()) association.unfit += 1;
    association.silent += 1;
    interleaveForget(association);
    if (isDefined(PAGE) || <i32>lastSample.version != VERSION_5) return 0;
    // Its minimum poll holds, though it would not tell the time.
    schedule(association);
    return ACTION_TIMER;
  }
  return useSample(association, index, now);
}

/** RATE lengthens the poll and keeps it long; DENY and RSTR end the association (RFC 5905 §7.4). */
export function obeyKiss(association: Association, index: i32): i32 {
  if (isCounted()) association.kisses += 1;
  interleaveForget(association);
  association.silent += 1;
  if (isCounted()) association.lastKiss = lastSample.refid;
  if ((lastSample.problems & TEST4_DENIED) != 0) {
    associationClose(index);
    return ACTION_STOP;
  }
  if (lastSample.refid != KISS_RATE) return 0;
  // MUST NOT become shorter again, nor shorter than the server asks for in its poll field.
  const longer = max(max(<i32>association.hostPoll, <i32>association.minPoll) + 1, <i32>lastSample.poll);
  association.pollFloor = <i8>max(<i32>association.pollFloor, min(longer, POLL_LIMIT));
  schedule(association);
  return ACTION_TIMER;
}

function useSample(association: Association, index: i32, now: u64): i32 {
  revive(association, index);
  association.reach |= 1;
  // An interleaved reply measures the exchange before, and not twice.
  const late = !isDefined(PAGE) && lastSample.interleaved != 0;
  const fresh = interleaveFresh(association, index, lastSample);
  const when = association.keptWhen;
  interleaveKeep(association, index, association.came, lastSample);
  const followed = fresh && (isDefined(PAGE) || isFollowed5(association));
  if (followed) {
    association.used += 1;
    if (late) {
      association.interleaved += 1;
      tellDiscipline(index, lastSample.offset, when, now);
    } else {
      tellNow(association, index, now);
    }
  }
  schedule(association);
  return (followed ? ACTION_STEER : 0) | ACTION_TIMER | ACTION_HEARD;
}

/** The sample of the exchange that has just ended. */
function tellNow(association: Association, index: i32, now: u64): void {
  // The discipline takes the sample as of now, when its steering takes effect: not a moment of a fast slew is lost, though
  // the host looked late. Until now the slew has taken its part of the offset away.
  const moved = toInterval(slewRate() * intervalToSeconds(<i64>(now - association.came)));
  tellDiscipline(index, lastSample.offset - moved, now, 0);
}
