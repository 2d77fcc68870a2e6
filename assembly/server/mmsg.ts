// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A batch as Linux has it: recvmmsg fills these structures, sendmmsg reads them, and no octet is copied in between.
 *
 *     mmsghdr (64 octets)                        iovec (16)             cmsghdr (16, then data, padded to 8)
 *      0  pointer  name                           0  pointer  base       0  usize  length, this header included
 *      8  u32      name length                    8  usize    length     8  i32    level
 *     16  pointer  iovec                                                12  i32    type
 *     24  usize    number of iovecs              in_pktinfo (12)        in6_pktinfo (20)
 *     32  pointer  control                        0  i32  interface      0  16 octets  address
 *     40  usize    control length                 4  4 octets  ours     16  u32        interface
 *     48  i32      flags                          8  4 octets  asked
 *     56  u32      octets of the datagram        timespec (16): i64 s, i64 ns
 *
 * All lies in linear memory, which never moves: {@link mmsgInit} writes the native addresses once. One round of the host:
 * recvmmsg into MMSG_RECEIVE; clock_gettime into MMSG_TIME; {@link mmsgTake}; clock_gettime; {@link mmsgStamp}; if that proved
 * anything, clock_gettime and {@link mmsgProved}; sendmmsg from MMSG_SEND; clock_gettime; {@link mmsgSent}. The layouts are those of 64-bit little-endian Linux and of it alone.
 *
 * Tested in mmsg.test.ts, against structures that a C program filled; live in tests/server.
 */

import { cardReceived, cardsOn } from "./cards";
import { Incoming } from "./incoming";
import { ownTime } from "./clockline";
import { finishAnswer } from "./answer";
import { sealReplies } from "./ntsreply";
import { requestCount } from "./ntsrequest";
import { Server } from "./respond";
import { beginBatch, slotAt } from "./batch";
import { SLOT_SIZE, packetAt } from "./slots";
import { HEADER_LENGTH, read32, read64 } from "../proto/header";
import { Interval, Timestamp } from "../proto/timestamp";
import { resetLooped, stampAwaited } from "./looped";
import { CONTROL_HEADER, CONTROL_IN, LEVEL_IP, LEVEL_IPV6, LEVEL_SOCKET, MMSG_SIZE, TYPE_IPV6_PKTINFO, TYPE_IP_PKTINFO, TYPE_STAMPS } from "./ancillary";
import { STAMP_TRANSMIT, STAMP_TRANSMIT_CARD, Controls, forgetCard, readControls, timespecAt } from "./ancillary";

/** The most messages of a call. More do not pay: the transmit stamps of a batch are made from one reading of the clock. */
export const MMSG_BATCH: i32 = 32;
/** As many as the host asks for: a batch of fewer has emptied the queue. */
export const MMSG_FULL: i32 = 16;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const MSG_TRUNC: u32 = 0x20;
/** A sockaddr_in6 has 28 octets. */
const NAME_SIZE: usize = 32;
const NAME_LENGTH: u32 = 28;
const NAME4_LENGTH: u32 = 16;
/** Room for in6_pktinfo and a request for a transmit stamp. */
const CONTROL_OUT: usize = 64;
const IOVEC_SIZE: usize = 16;

const received: usize = memory.data(MMSG_BATCH * 64, 64);
const sending: usize = memory.data(MMSG_BATCH * 64, 64);
const vectorsIn: usize = memory.data(MMSG_BATCH * 16, 16);
const vectorsOut: usize = memory.data(MMSG_BATCH * 16, 16);
const names: usize = memory.data(MMSG_BATCH * 32, 16);
const controlsIn: usize = memory.data(MMSG_BATCH * 192, 16);
const controlsOut: usize = memory.data(MMSG_BATCH * 64, 16);
const time: usize = memory.data(16, 16);

export const mmsgReceive: usize = received;
export const mmsgSend: usize = sending;
export const mmsgTime: usize = time;

/** What the host sets and reads, through the exported MMSG_* offsets. */
@unmanaged
export class Mmsg {
  /** Datagrams taken, answers handed to sendmmsg, datagrams without a right to an answer, and those too old for one. */
  received: u64;
  answered: u64;
  dropped: u64;
  shed: u64;
  /** Requests older than this are shed while the queue does not get shorter; 0: never. */
  shedAfter: Interval;
  /** Learnt: what sending one message takes, and what the MAC or the seal of one takes. */
  sendCost: Interval;
  proofCost: Interval;
  /** Of how many answers of the last batch the kernel was asked for transmit stamps. */
  asked: i32;
  /** How many slots of the last batch hold a control message for the host. */
  controls: i32;
  /** Ask for a transmit stamp of every answer, for measurements. */
  stampAll: u8;
}
export const mmsg = changetype<Mmsg>(memory.data(offsetof<Mmsg>(), 8));

/** A queue this long above `shedAfter` is no burst but stands. 100 ms. */
const STANDING: Interval = 429496730;
/** A cost above this was an interruption, not a cost. 20 µs. */
const COST_LIMIT: Interval = 85899;
/**
 * Each round moves a learnt cost by 1/8 of the difference, and by 1/32 of itself at most: an interrupted round counts as one
 * round that took longer, not for how long it was interrupted.
 */
const LEARNING_SHIFT: i64 = 3;
const STEP_SHIFT: i64 = 5;
/** Fewer messages than these tell little of what one more of them takes. */
const LEAST_TO_LEARN: i32 = 4;

const controls = changetype<Controls>(memory.data(offsetof<Controls>(), 8));
/** Where linear memory lies in the process. */
let base: u64 = 0;
let stamped: Timestamp = 0;
/** Answers of the batch that {@link mmsgStamp} proved. */
let proved: i32 = 0;
/** Which slot each message that is sent lies in. */
const sentSlots: usize = memory.data(MMSG_BATCH * 4, 8);
let sendCount: i32 = 0;
let standingSince: Timestamp = 0;
let overdue: bool = false;
let wasFull: bool = false;

function native(address: usize): u64 {
  return base + <u64>address;
}

/** Lay everything out for a linear memory that begins at the native address `at`. */
export function mmsgInit(at: u64): void {
  base = at;
  for (let i = 0; i < MMSG_BATCH; i++) {
    const index = <usize>i;
    const header = received + index * MMSG_SIZE;
    const vector = vectorsIn + index * IOVEC_SIZE;
    store<u64>(header, native(names + index * NAME_SIZE));
    store<u64>(header, native(vector), 16);
    store<u64>(header, 1, 24);
    store<u64>(header, native(controlsIn + index * CONTROL_IN), 32);
    store<u64>(vector, native(packetAt(i)));
    store<u64>(vector, <u64>SLOT_SIZE, 8);
    resetReceive(i);
    const out = sending + index * MMSG_SIZE;
    store<u64>(out, native(vectorsOut + index * IOVEC_SIZE), 16);
    store<u64>(out, 1, 24);
  }
  resetLooped(at);
  standingSince = 0;
}

/** The kernel shortens the lengths to what it gave; the next call needs the room again. */
function resetReceive(index: i32): void {
  const header = received + <usize>index * MMSG_SIZE;
  store<u32>(header, NAME_LENGTH, 8);
  store<u64>(header, <u64>CONTROL_IN, 40);
  store<i32>(header, 0, 48);
}

/**
 * Answer the `count` datagrams that recvmmsg gave; MMSG_TIME is the time now. Returns how many answers MMSG_SEND holds, which
 * MUST get their stamps by {@link mmsgStamp} before they are sent.
 */
export function mmsgTake(count: i32, server: Server): i32 {
  const limit = max(0, min(count, MMSG_BATCH));
  const now = timespecAt(time);
  overdue = false;
  wasFull = limit >= MMSG_FULL;
  if (!wasFull) standingSince = 0;
  const shedBefore = mmsg.shed;
  for (let i = 0; i < limit; i++) readMessage(i, now);
  mmsg.received += <u64>limit;
  beginBatch(limit, server);
  sendCount = 0;
  mmsg.asked = 0;
  mmsg.controls = 0;
  for (let i = 0; i < limit; i++) {
    const slot = slotAt(i);
    if (slot.length > 0) writeMessage(i, slot);
    else if (slot.control != 0) mmsg.controls += 1;
    resetReceive(i);
  }
  mmsg.dropped += <u64>(limit - sendCount - mmsg.controls) - (mmsg.shed - shedBefore);
  return sendCount;
}

/** Fill slot `index` with what the kernel tells of its datagram; length 0 where it is not to be answered. */
function readMessage(index: i32, now: Timestamp): void {
  const header = received + <usize>index * MMSG_SIZE;
  const name = names + <usize>index * NAME_SIZE;
  const slot = slotAt(index);
  const byCards = cardsOn();
  if (byCards) forgetCard(controls);
  readControls(controlsIn + <usize>index * CONTROL_IN, <i32>min(load<u64>(header, 40), <u64>CONTROL_IN), controls);
  const arrived = controls.stamp != 0 ? controls.stamp : now;
  slot.length = load<i32>(header, 56);
  slot.received = ownTime(byCards ? receivedAt(arrived) : arrived);
  slot.stampWanted = 0;
  slot.known = readName(name, load<u32>(header, 8), slot) ? 1 : 0;
  writeSource(controlsOut + <usize>index * CONTROL_OUT, name, index);
  const cut = (load<u32>(header, 48) & MSG_TRUNC) != 0;
  // Port 0 cannot be answered; and what has no sender, neither.
  if (cut || slot.known == 0 || slot.port == 0) slot.length = 0;
  else if (isOverdue(index, now, arrived)) {
    slot.length = 0;
    mmsg.shed += 1;
  }
}

/** When the card says that a datagram came at `arrived`; that, where it does not, or is not believed. */
function receivedAt(arrived: Timestamp): Timestamp {
  const byCard = cardReceived(controls, arrived, controls.stamp != 0);
  return byCard != 0 ? byCard : arrived;
}

/**
 * Whether a request that came at `arrived` is to be shed. A burst is answered, however late: the kernel's receive stamp makes
 * late answers good ones, and a queue that is emptied each time does not stand, however late we are woken. But where it has
 * stood for long, those who asked have given up, and only who asked lately can still be served in time.
 */
function isOverdue(index: i32, now: Timestamp, arrived: Timestamp): bool {
  const patience = mmsg.shedAfter;
  if (patience <= 0) return false;
  const late = <i64>(now - arrived) > patience;
  // The first of a batch is its oldest.
  if (index == 0) {
    if (!late) standingSince = 0;
    else if (standingSince == 0 && wasFull) standingSince = now;
    overdue = standingSince != 0 && <i64>(now - standingSince) > STANDING;
  }
  return overdue && late;
}

/** The sender's address and port; v4-mapped as IPv4 is told, so that an address has one form. False for no IP address. */
function readName(name: usize, length: u32, slot: Incoming): bool {
  // Beyond the length lies the name of an earlier datagram.
  if (length < NAME4_LENGTH) return false;
  const family = <u32>load<u16>(name);
  slot.port = <u32>bswap<u16>(load<u16>(name, 2));
  if (family == AF_INET) {
    slot.high = 0;
    slot.low = 0x0000ffff00000000 | <u64>read32(name + 4);
    return true;
  }
  if (family != AF_INET6 || length < NAME_LENGTH) return false;
  slot.high = read64(name + 8);
  slot.low = read64(name + 16);
  return true;
}

/** The length of each slot's control message that says which address to answer from. */
const sourceLengths: usize = memory.data(MMSG_BATCH * 4, 8);

/**
 * A control message that lets the answer leave from the address that was asked. The interface is left to the routes, which may
 * be asymmetric, except for link-local addresses, which mean nothing without one.
 */
function writeSource(at: usize, name: usize, index: i32): void {
  let length: u32 = 0;
  if (controls.version == 4) {
    store<u64>(at, <u64>(CONTROL_HEADER + 12));
    store<i32>(at, LEVEL_IP, 8);
    store<i32>(at, TYPE_IP_PKTINFO, 12);
    store<u32>(at, 0, 16);
    store<u32>(at, <u32>controls.low, 20);
    store<u32>(at, 0, 24);
    length = 32;
  } else if (controls.version == 6) {
    // fe80::/10: of the sender, as the answer goes there.
    const local = load<u8>(name, 8) == 0xfe && (load<u8>(name, 9) & 0xc0) == 0x80;
    store<u64>(at, <u64>(CONTROL_HEADER + 20));
    store<i32>(at, LEVEL_IPV6, 8);
    store<i32>(at, TYPE_IPV6_PKTINFO, 12);
    store<u64>(at, controls.high, 16);
    store<u64>(at, controls.low, 24);
    store<u32>(at, local ? controls.device : 0, 32);
    length = 40;
  }
  store<u32>(sourceLengths + (<usize>index << 2), length);
}

/** Append the answer in slot `index` to the array that is sent. */
function writeMessage(index: i32, slot: Incoming): void {
  const from = received + <usize>index * MMSG_SIZE;
  const header = sending + <usize>sendCount * MMSG_SIZE;
  const vector = vectorsOut + <usize>sendCount * IOVEC_SIZE;
  const control = controlsOut + <usize>index * CONTROL_OUT;
  let length = <usize>load<u32>(sourceLengths + (<usize>index << 2));
  if (slot.stampWanted != 0 || mmsg.stampAll != 0) {
    store<u64>(control + length, <u64>(CONTROL_HEADER + 4));
    store<i32>(control + length, LEVEL_SOCKET, 8);
    store<i32>(control + length, TYPE_STAMPS, 12);
    store<u32>(control + length, cardsOn() ? STAMP_TRANSMIT | STAMP_TRANSMIT_CARD : STAMP_TRANSMIT, 16);
    length += 24;
    stampAwaited(packetAt(index), slot.length, timespecAt(time));
    mmsg.asked += 1;
  }
  store<u64>(header, load<u64>(from));
  store<u32>(header, load<u32>(from, 8), 8);
  store<u64>(header, length == 0 ? 0 : native(control), 32);
  store<u64>(header, <u64>length, 40);
  store<u64>(vector, native(packetAt(index)));
  store<u64>(vector, <u64>slot.length, 8);
  store<i32>(sentSlots + (<usize>sendCount << 2), index);
  sendCount += 1;
}

/**
 * Stamp the answers, MMSG_TIME being the time now, write their MACs, and seal those under NTS. Each leaves a little later than
 * the one before, and all after what proves them, which covers the stamp and so cannot be waited for: it is foreseen. Returns
 * how many were proved; where that is not 0, {@link mmsgProved} is next.
 */
export function mmsgStamp(server: Server): i32 {
  stamped = timespecAt(time);
  proved = 0;
  for (let i = 0; i < sendCount; i++) if (isProved(i)) proved += 1;
  let transmit = ownTime(stamped + <u64>(mmsg.proofCost * <i64>proved));
  for (let i = 0; i < sendCount; i++) {
    const index = load<i32>(sentSlots + (<usize>i << 2));
    finishAnswer(packetAt(index), slotAt(index), transmit, server);
    transmit += <u64>mmsg.sendCost;
  }
  if (requestCount() > 0) sealReplies(0);
  return proved;
}

/** What has more than a header has a MAC, or NTS' fields. */
function isProved(message: i32): bool {
  return load<u64>(vectorsOut + <usize>message * IOVEC_SIZE, 8) > <u64>HEADER_LENGTH;
}

/** MMSG_TIME is the time after {@link mmsgStamp} has proved answers: learn what that takes. */
export function mmsgProved(): void {
  const now = timespecAt(time);
  if (proved > 0) mmsg.proofCost = learnLeast(mmsg.proofCost, <i64>(now - stamped), proved);
  stamped = now;
}

/** MMSG_TIME is the time after sending: learn what sending takes. `sent`: how many went. */
export function mmsgSent(sent: i32): void {
  const done = timespecAt(time);
  mmsg.answered += <u64>sent;
  if (sent >= LEAST_TO_LEARN) mmsg.sendCost = learn(mmsg.sendCost, <i64>(done - stamped), sent);
}

function learn(known: Interval, span: Interval, count: i32): Interval {
  const cost = max<i64>(0, min(span / <i64>count, COST_LIMIT));
  if (known == 0) return cost;
  const step = (known >> STEP_SHIFT) + 1;
  return known + max(-step, min((cost - known) >> LEARNING_SHIFT, step));
}

/** The first rounds run code that is not compiled well yet; of the first is believed so much less. */
const FIRST_SHIFT: i64 = 3;
const FALL_SHIFT: i64 = 2;

/**
 * As {@link learn}, but quick to believe in less: what is foreseen too short makes an answer late by it, which any network does;
 * what is foreseen too long makes it leave before its own stamp.
 */
function learnLeast(known: Interval, span: Interval, count: i32): Interval {
  const cost = max<i64>(0, min(span / <i64>count, COST_LIMIT));
  if (known == 0) return cost >> FIRST_SHIFT;
  return cost < known ? known - ((known - cost) >> FALL_SHIFT) : learn(known, span, count);
}
