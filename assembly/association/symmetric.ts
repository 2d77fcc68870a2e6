// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Symmetric modes (RFC 5905 §3, §8, §9.2): two peers that each tell the other the time, and each measure the other.
 *
 *   active    symmetricTimer  ──▶ SEND the packet in slot 0 from the bound port, then symmetricSent(i, t1); TIMER
 *   passive   symmetricTimer  ──▶ TIMER; STOP: not heard of for long, forget it
 *   either    symmetricPacket ──▶ STEER; TIMER; SEND (passive: at once, one answer to a packet, no longer than it)
 *
 * Every packet is both: an answer to the peer's last packet (origin: its transmit, receive: when we got it) and a request
 * that the peer's next packet will answer. What comes is measured only if its origin is the transmit timestamp of our last
 * packet. What is not may still be the peer, starting or restarting: its transmit timestamp is echoed once our packets stay
 * without an answer, so that the next one can be proven; nothing else comes of it. A peer that sees a forged echo passes it
 * over, and the next one is right.
 *
 * The path there and back takes up to a poll interval: t1 is said anew in terms of the clock as it runs now (ledger.ts).
 * Transmit timestamps MUST be true times here, so that they are harder to guess than nothing but no secret: symmetric
 * associations with hosts that others can pretend to be want authentication, and mobilised ones are off by default.
 *
 * Tested in symmetric.test.ts; live with chronyd in tests/interop.
 */

import { associationClose, associationOpen, loseSource, obeyKiss } from "./association";
import { revive, tellDiscipline } from "./belief";
import { ACTION_SEND, ACTION_STEER, ACTION_STOP, ACTION_TIMER, Association, action, associationAt, UNREACHABLE_AFTER, lastSample } from "./state";
import { TESTA_KISS, TEST5_AUTHENTICATION, TESTG_LOOP, checkKiss, checkServer } from "./check";
import { authenticate } from "./authentic";
import { authenticTo, measure, readTrailerOf } from "./exchange";
import { speak } from "./speak";
import { noteMoment, reckon } from "../discipline/clock";
import { disciplinePoll } from "../discipline/index";
import { Moment, bridged, movedSince } from "../discipline/ledger";
import { SOURCES } from "../discipline/memory";
import { HEADER_LENGTH, MODE_SYMMETRIC_ACTIVE, MODE_SYMMETRIC_PASSIVE, readHeader } from "../proto/header";
import { slotPackets } from "../server/slots";

/** A request number at which a start's burst is long over: peers do not burst (RFC 5905 §13.2). */
const NO_BURST: i32 = 1000;

/** A packet of the peer's that we may echo. */
@unmanaged
class Heard {
  /** Its transmit timestamp; 0: none. */
  transmit: u64;
  /** When it came, by our clock then. */
  received: u64;
}

/** A packet of ours that the peer may echo. */
@unmanaged
class Told {
  /** Its transmit timestamp as it stands in the packet; 0: none. */
  transmit: u64;
  /** When it really left; 0: not known yet. */
  t1: u64;
  /** 1: it was answered, and measured. */
  answered: u8;
}

/** What a symmetric association knows beside {@link Association}. */
@unmanaged
class Peer {
  passive: u8;
  /** A proven packet came since our last. */
  heard: u8;
  /** Which of the two packets told was sent last: 1 the one that answers an unproven packet. */
  offering: u8;
  /** The peer's poll, log2 s. */
  poll: i8;
  /** Our address as the peer's reference identifier would say it; 0: not known. */
  ourRefid: u32;
}

// Of each association: what was heard and told, by whether it is proven, each with its moment.
const PROVEN: i32 = 0;
const UNPROVEN: i32 = 1;

const peers: usize = memory.data(SOURCES * offsetof<Peer>(), 8);
const heards: usize = memory.data(SOURCES * 2 * offsetof<Heard>(), 8);
const tolds: usize = memory.data(SOURCES * 2 * offsetof<Told>(), 8);
const moments: usize = memory.data(SOURCES * 4 * offsetof<Moment>(), 8);
const cameAt: usize = memory.data(offsetof<Moment>(), 8);

function peerAt(index: i32): Peer {
  return changetype<Peer>(peers + <usize>(index & (SOURCES - 1)) * offsetof<Peer>());
}

function pair(index: i32, which: i32): usize {
  return <usize>((index & (SOURCES - 1)) * 2 + which);
}

function heardAt(index: i32, which: i32): Heard {
  return changetype<Heard>(heards + pair(index, which) * offsetof<Heard>());
}

function toldAt(index: i32, which: i32): Told {
  return changetype<Told>(tolds + pair(index, which) * offsetof<Told>());
}

function heardMoment(index: i32, which: i32): Moment {
  return changetype<Moment>(moments + pair(index, which) * 2 * offsetof<Moment>());
}

function toldMoment(index: i32, which: i32): Moment {
  return changetype<Moment>(moments + (pair(index, which) * 2 + 1) * offsetof<Moment>());
}

/** The moment that the host called at. */
@unmanaged
class Present {
  /** The monotonic clock, the clock that is steered, and 64 bits nobody can guess. */
  now: u64;
  wall: u64;
  random: u64;
}

const present = changetype<Present>(memory.data(offsetof<Present>(), 8));

function begin(now: u64, random: u64, wall: u64): void {
  present.now = now;
  present.wall = wall;
  present.random = random;
}

/** Peer with somebody. `ourRefid`: our own address as a reference identifier, so that a loop is seen. */
export function symmetricOpen(index: i32, version: i32, minPoll: i32, maxPoll: i32, passive: i32, ourRefid: u32): void {
  associationOpen(index, version, minPoll, maxPoll);
  const association = associationAt(index);
  association.mode = <u8>(passive ? MODE_SYMMETRIC_PASSIVE : MODE_SYMMETRIC_ACTIVE);
  memory.fill(changetype<usize>(peerAt(index)), 0, offsetof<Peer>());
  memory.fill(changetype<usize>(heardAt(index, 0)), 0, 2 * offsetof<Heard>());
  memory.fill(changetype<usize>(toldAt(index, 0)), 0, 2 * offsetof<Told>());
  const peer = peerAt(index);
  peer.passive = <u8>passive;
  peer.ourRefid = ourRefid;
  peer.poll = association.maxPoll;
}

/** The time named has come. `wall`: the clock that is steered, read just now; `random`: 64 bits nobody can guess. */
export function symmetricTimer(index: i32, now: u64, random: u64, wall: u64): i32 {
  begin(now, random, wall);
  const association = associationAt(index);
  if (!association.active) return 0;
  const peer = peerAt(index);
  if (!peer.heard) association.silent += association.sent > 0 ? 1 : 0;
  if (peer.passive) return watchPassive(association, peer, index, now);
  association.reach = association.reach << 1;
  const lost = loseSource(association, index);
  association.askedAt = now;
  // Up to 1/32 later, never earlier: two packets of ours between two of the peer's would echo the same, and one be refused.
  association.spread = <f64>((random * 0x9e3779b97f4a7c15) >> 40) / <f64>(1 << 24) / -32;
  const which = restarted(association, index) ? UNPROVEN : PROVEN;
  tell(association, index, which, PROVEN);
  peer.heard = 0;
  schedule(association, peer);
  return ACTION_SEND | ACTION_TIMER | lost;
}

/**
 * Is the peer perhaps a new one? Not yet when our last packet alone stayed without an answer: that happens as the two polls
 * drift past each other, and who forges packets waits for it.
 */
function restarted(association: Association, index: i32): bool {
  if (heardAt(index, UNPROVEN).transmit == 0) return false;
  return association.silent >= 2 || heardAt(index, PROVEN).transmit == 0;
}

/** A passive association only counts what it does not hear, and ends when that is all it does (RFC 5905 §9). */
function watchPassive(association: Association, peer: Peer, index: i32, now: u64): i32 {
  if (association.silent >= UNREACHABLE_AFTER) {
    associationClose(index);
    return ACTION_STOP;
  }
  if (!peer.heard) association.reach = association.reach << 1;
  peer.heard = 0;
  association.sent = max(association.sent, 1);
  association.askedAt = now;
  association.spread = 0;
  schedule(association, peer);
  return ACTION_TIMER;
}

/** The shorter of both polls, within what we allow (RFC 5905 §13). */
function schedule(association: Association, peer: Peer): void {
  let poll = <i32>max<i8>(<i8>disciplinePoll(NO_BURST), association.minPoll);
  if (association.silent < UNREACHABLE_AFTER) poll = min(poll, <i32>peer.poll);
  poll = max(min(poll, <i32>association.maxPoll), <i32>max<i8>(association.minPoll, association.pollFloor));
  association.hostPoll = <i8>poll;
  action.timer = association.askedAt + <u64>(<f64>(1 << poll) * (1 - association.spread) * 4294967296.0);
}

/** Write the packet that echoes the packet heard as `which`, and remember it as the packet told as `as`. */
function tell(association: Association, index: i32, which: i32, as: i32): void {
  const heard = heardAt(index, which);
  const told = toldAt(index, as);
  noteMoment(toldMoment(index, as), present.now);
  const speech = speak;
  speech.origin = heard.transmit;
  // As if our clock had always run as it does now.
  const moment = heardMoment(index, which);
  speech.receive = heard.transmit == 0 || !bridged(moment) ? 0 : heard.received + <u64>movedSince(moment);
  if (speech.receive == 0) speech.origin = 0;
  told.transmit = speech.write(association, present.now, present.random, present.wall, told.transmit);
  told.t1 = 0;
  told.answered = 0;
  peerAt(index).offering = <u8>as;
  association.sent += 1;
  action.length = authenticate(slotPackets, HEADER_LENGTH, association);
}

/** When our last packet really left. MUST be told before what answers it. */
export function symmetricSent(index: i32, t1: u64): void {
  toldAt(index, <i32>peerAt(index).offering).t1 = t1;
}

/** A datagram from the peer's address and port lies in slot 0; associationCame has told when it came. */
export function symmetricPacket(index: i32, length: i32, now: u64, random: u64, wall: u64): i32 {
  begin(now, random, wall);
  const association = associationAt(index);
  if (!association.active || <i32>association.mode > MODE_SYMMETRIC_PASSIVE || length < HEADER_LENGTH) return 0;
  const peer = peerAt(index);
  readHeader(slotPackets, lastSample);
  lastSample.interleaved = 0;
  lastSample.problems = readTrailerOf(slotPackets, length, lastSample);
  const ours = lastSample.problems == 0 && speaksWithUs(association, peer) && !isDuplicate(index);
  if (!ours || !authenticTo(slotPackets, association, lastSample)) {
    association.ignored += 1;
    return 0;
  }
  const as = echoed(index);
  if (as < 0) return unproven(association, peer, index);
  return proven(association, peer, index, as);
}

/** Mode, version, and a transmit timestamp at all. A passive association is for active peers only. */
function speaksWithUs(association: Association, peer: Peer): bool {
  const mode = <i32>lastSample.mode;
  const fitting = mode == MODE_SYMMETRIC_ACTIVE || (mode == MODE_SYMMETRIC_PASSIVE && !peer.passive);
  return fitting && lastSample.version >= 1 && lastSample.version <= association.version && lastSample.transmitTime != 0;
}

/** test1: have we seen this transmit timestamp last? */
function isDuplicate(index: i32): bool {
  const transmit = lastSample.transmitTime;
  return transmit == heardAt(index, PROVEN).transmit || transmit == heardAt(index, UNPROVEN).transmit;
}

/** test2, test3: which packet of ours does this one answer? -1: none. */
function echoed(index: i32): i32 {
  const origin = lastSample.originTime;
  if (origin == 0 || lastSample.receiveTime == 0) return -1;
  for (let as = PROVEN; as <= UNPROVEN; as++) {
    const told = toldAt(index, as);
    if (told.transmit == origin && told.t1 != 0) return as;
  }
  return -1;
}

/** Perhaps the peer that starts: echo it when nothing better is heard. Changes nothing that is proven. */
function unproven(association: Association, peer: Peer, index: i32): i32 {
  association.ignored += 1;
  const heard = heardAt(index, UNPROVEN);
  const latest = heardAt(index, PROVEN).transmit;
  // Old packets that somebody sends again do not displace new ones, unless the peer is long gone: it may come back in the past.
  const gone = association.silent >= UNREACHABLE_AFTER;
  const older = (heard.transmit != 0 && <i64>(lastSample.transmitTime - heard.transmit) < 0) || (latest != 0 && <i64>(lastSample.transmitTime - latest) < 0);
  if (older && !gone) return 0;
  hear(index, UNPROVEN, association);
  if (!peer.passive) return 0;
  tell(association, index, UNPROVEN, UNPROVEN);
  return ACTION_SEND;
}

function hear(index: i32, which: i32, association: Association): void {
  const heard = heardAt(index, which);
  heard.transmit = lastSample.transmitTime;
  heard.received = association.t4;
  noteMoment(heardMoment(index, which), association.came);
}

/** It answers a packet of ours: measure, judge, use, and (passive) answer. */
function proven(association: Association, peer: Peer, index: i32, as: i32): i32 {
  const told = toldAt(index, as);
  const moment = toldMoment(index, as);
  // A peer that polls faster than we answers one packet of ours more than once: the newest is echoed, the first measured.
  const again = told.answered != 0;
  if (again && <i64>(lastSample.transmitTime - heardAt(index, PROVEN).transmit) < 0) return 0;
  hear(index, PROVEN, association);
  heardAt(index, UNPROVEN).transmit = 0;
  noteMoment(changetype<Moment>(cameAt), association.came);
  reckon(present.now);
  association.t1 = told.t1 + <u64>movedSince(moment);
  association.t4 += <u64>movedSince(changetype<Moment>(cameAt));
  const whole = bridged(moment) && !again;
  told.answered = 1;
  if (whole) judge(association, peer);
  const actions = whole ? use(association, peer, index) : 0;
  if (!peer.passive || !association.active) return actions;
  tell(association, index, PROVEN, PROVEN);
  return actions | ACTION_SEND;
}

/** The tests that are about its time. */
function judge(association: Association, peer: Peer): void {
  lastSample.problems = checkKiss(lastSample) | checkServer(lastSample, lastSample.transmitTime);
  measure(association, lastSample, true);
  const ours = peer.ourRefid != 0 && lastSample.refid == peer.ourRefid && lastSample.stratum > 1;
  if (ours) lastSample.problems |= TESTG_LOOP;
  association.lastProblems = lastSample.problems;
}

function use(association: Association, peer: Peer, index: i32): i32 {
  peer.heard = 1;
  peer.poll = max<i8>(lastSample.poll, 0);
  if ((lastSample.problems & (TESTA_KISS | TEST5_AUTHENTICATION)) == TESTA_KISS) return obeyKiss(association, index);
  revive(association, index);
  if (lastSample.problems != 0) {
    association.unfit += 1;
    return 0;
  }
  association.reach |= 1;
  association.used += 1;
  tellDiscipline(index, lastSample.offset, association.came, present.now);
  return ACTION_STEER;
}
