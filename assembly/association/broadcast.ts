// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Broadcast client (RFC 5905 §3, §9): a server tells the time to all, and we measure once how long its packets take.
 *
 *   WAITING ──first broadcast──▶ VOLLEY ──six replies──▶ LISTENING        silent for eight intervals ──▶ WAITING
 *
 *   broadcastPacket(i, length, now, random)  a mode 5 packet from the server lies in slot 0, associationCame told when
 *   broadcastTimer(i, now, random)           in VOLLEY: SEND a client's request, then associationSent(i, t1)
 *   broadcastReply(i, length, now)           what came to the request's port
 *
 * The volley is that of an ordinary client, with all its checks, and gives ordinary samples; half of its least round trip is
 * what each broadcast is late by. Nothing is sent but the volley, some time after the first broadcast so that not all who
 * hear it ask at once, and never again while the server is heard.
 *
 * A broadcast proves nothing about who sent it: whoever can send with the server's address can have a say in our time. There
 * MUST be authentication, or a network where nobody can. What does not need a secret is checked: each is newer than the one
 * before (a replay is not), comes no sooner than half of its interval, and is consistent in itself.
 *
 * Tested in broadcast.test.ts; live with chronyd in tests/interop.
 */

import { associationOpen, associationReply, associationTimer } from "./association";
import { revive, tellDiscipline } from "./belief";
import { ACTION_SEND, ACTION_STEER, ACTION_TIMER, Association, action, associationAt, UNREACHABLE_AFTER, lastSample } from "./state";
import { checkKiss, checkRoot, checkServer } from "./check";
import { authenticTo, readTrailerOf } from "./exchange";
import { driftOver } from "./sample";
import { slewRate } from "../discipline/clock";
import { disciplineRemoveSource } from "../discipline/index";
import { SOURCES, secondsBetween } from "../discipline/memory";
import { HEADER_LENGTH, MODE_BROADCAST, readHeader } from "../proto/header";
import { addSaturating, elapsed, intervalFromLog2, intervalFromSeconds, shortToInterval } from "../proto/timestamp";
import { slotPackets } from "../server/slots";

const WAITING: u8 = 1;
const VOLLEY: u8 = 2;
const LISTENING: u8 = 3;

/** Usable replies that make a volley, requests until it is given up, and log2 s between them. */
const VOLLEY_REPLIES: u32 = 6;
const VOLLEY_REQUESTS: u32 = 18;
const VOLLEY_POLL: i32 = 1;
/** The longest wait before a volley, s. */
const SPREAD: u64 = 4;
/** The longest interval that a server is believed to broadcast in, log2 s: 4096 s. */
const LONGEST_POLL: i8 = 12;

/** What is known beside the {@link Association}. */
@unmanaged
export class Listener {
  phase: u8;
  /** log2 s between broadcasts, as the server says. */
  poll: i8;
  /** A broadcast was used since the last look. */
  heard: u8;
  /** Of the association, when the volley began. */
  usedBefore: u32;
  sentBefore: u32;
  /** What a broadcast is late by, 2^-32 s. */
  delay: i64;
  /** The offset that the last one told, 2^-32 s; known from the second on. */
  offset: i64;
  known: u8;
  /** Transmit timestamp of the last one used, and when it came. */
  transmit: u64;
  came: u64;
}

const listeners: usize = memory.data(SOURCES * offsetof<Listener>(), 8);

export function listenerOut(index: i32): usize {
  return listeners + <usize>(index & (SOURCES - 1)) * offsetof<Listener>();
}

function listenerAt(index: i32): Listener {
  return changetype<Listener>(listenerOut(index));
}

/** Begin to listen. Nothing is sent before the first broadcast. */
export function broadcastOpen(index: i32, version: i32): void {
  associationOpen(index, version, VOLLEY_POLL, VOLLEY_POLL);
  memory.fill(listenerOut(index), 0, offsetof<Listener>());
  listenerAt(index).phase = WAITING;
}

/** A packet from the server's address came to the port that we listen at. */
export function broadcastPacket(index: i32, length: i32, now: u64, random: u64): i32 {
  const association = associationAt(index);
  const listener = listenerAt(index);
  if (!association.active || listener.phase == 0 || listener.phase == VOLLEY) return 0;
  if (!readBroadcast(association, length) || !isNext(listener, association)) {
    association.ignored += 1;
    return 0;
  }
  association.lastProblems = lastSample.problems;
  if (lastSample.problems != 0) {
    association.unfit += 1;
    return 0;
  }
  listener.transmit = lastSample.transmitTime;
  listener.came = association.came;
  listener.poll = max<i8>(0, min<i8>(lastSample.poll, LONGEST_POLL));
  return listener.phase == WAITING ? startVolley(association, listener, now, random) : useBroadcast(association, listener, index, now);
}

/** The tests that say whether it is a broadcast at all; then those about its time, in the sample's problems. */
function readBroadcast(association: Association, length: i32): bool {
  if (length < HEADER_LENGTH) return false;
  readHeader(slotPackets, lastSample);
  lastSample.interleaved = 0;
  if (<i32>lastSample.mode != MODE_BROADCAST || lastSample.version < 1 || lastSample.version > association.version) return false;
  if (readTrailerOf(slotPackets, length, lastSample) != 0 || lastSample.transmitTime == 0) return false;
  if (!authenticTo(slotPackets, association, lastSample)) return false;
  lastSample.rootDelay = shortToInterval(lastSample.rootDelayShort);
  lastSample.rootDispersion = shortToInterval(lastSample.rootDispersionShort);
  lastSample.problems = checkKiss(lastSample) | checkServer(lastSample, lastSample.transmitTime);
  lastSample.problems |= checkRoot(lastSample.rootDelay, lastSample.rootDispersion);
  return true;
}

/** Newer than the last, and not too soon after it. A server whose clock went back is heard again once it is given up. */
function isNext(listener: Listener, association: Association): bool {
  if (listener.transmit == 0 || association.silent >= UNREACHABLE_AFTER) return true;
  if (<i64>(lastSample.transmitTime - listener.transmit) <= 0) return false;
  return listener.phase == WAITING || secondsBetween(listener.came, association.came) * 2 >= <f64>(1 << <i32>listener.poll);
}

function startVolley(association: Association, listener: Listener, now: u64, random: u64): i32 {
  listener.phase = VOLLEY;
  listener.delay = i64.MAX_VALUE;
  listener.known = 0;
  listener.usedBefore = association.used;
  listener.sentBefore = association.sent;
  association.attempts = 0;
  // Random: a network full of clients hears the same broadcast (RFC 5905 §9).
  action.timer = now + ((random >> 32) & 0xffffffff) * SPREAD;
  return ACTION_TIMER;
}

/** The time named has come. */
export function broadcastTimer(index: i32, now: u64, random: u64): i32 {
  const association = associationAt(index);
  const listener = listenerAt(index);
  if (!association.active) return 0;
  if (listener.phase == LISTENING) return watch(association, listener, index, now);
  if (listener.phase != VOLLEY) return 0;
  if (association.sent - listener.sentBefore >= VOLLEY_REQUESTS) {
    // It broadcasts but does not answer: without a delay its broadcasts say too little.
    listener.phase = WAITING;
    association.awaiting = 0;
    return 0;
  }
  // No RESOLVE: the server is where its broadcasts come from.
  return associationTimer(index, now, random) & (ACTION_SEND | ACTION_TIMER);
}

/** Was one heard since the last look? */
function watch(association: Association, listener: Listener, index: i32, now: u64): i32 {
  if (listener.heard) association.reach = (association.reach << 1) | 1;
  else association.reach = association.reach << 1;
  association.silent = listener.heard ? 0 : association.silent + 1;
  listener.heard = 0;
  if (association.silent >= UNREACHABLE_AFTER) {
    disciplineRemoveSource(index);
    listener.phase = WAITING;
    return 0;
  }
  return watchAgain(association, listener, now);
}

function watchAgain(association: Association, listener: Listener, now: u64): i32 {
  association.hostPoll = listener.poll;
  action.timer = now + (<u64>1 << <u64>(32 + listener.poll));
  return ACTION_TIMER;
}

/** What came to the port that the request left from; associationCame has told when. */
export function broadcastReply(index: i32, length: i32, now: u64): i32 {
  const association = associationAt(index);
  const listener = listenerAt(index);
  if (listener.phase != VOLLEY) return 0;
  const used = association.used;
  const actions = associationReply(index, length, now);
  if (association.used == used) return actions;
  listener.delay = min(listener.delay, max(lastSample.delay, association.precision) / 2);
  if (association.used - listener.usedBefore < VOLLEY_REPLIES) return actions;
  listener.phase = LISTENING;
  listener.heard = 1;
  association.awaiting = 0;
  return watchAgain(association, listener, now) | (actions & ACTION_STEER);
}

/** θ = t3 + what it was late by − t4. */
function useBroadcast(association: Association, listener: Listener, index: i32, now: u64): i32 {
  listener.heard = 1;
  revive(association, index);
  association.used += 1;
  const moved = intervalFromSeconds(slewRate() * <f64>elapsed(association.came, now) / 4294967296.0);
  const offset = addSaturating(elapsed(association.t4, lastSample.transmitTime), listener.delay);
  // One way alone does not show how late a packet is. What two in a row differ by does, to who weighs samples by their delay.
  const apart = addSaturating(offset, -listener.offset);
  // The least interval has no positive twin, and MUST NOT make a negative delay.
  const unrest = !listener.known ? listener.delay : apart == i64.MIN_VALUE ? i64.MAX_VALUE : abs(apart);
  listener.known = 1;
  listener.offset = offset;
  lastSample.delay = addSaturating(2 * listener.delay, addSaturating(unrest, unrest));
  // Both clocks' precision, and what the path may have changed by since the volley: it is not measured again.
  const precisions = addSaturating(intervalFromLog2(lastSample.precision), association.precision);
  lastSample.dispersion = addSaturating(precisions, driftOver(lastSample.delay));
  tellDiscipline(index, offset - moved, now, now);
  return ACTION_STEER;
}
