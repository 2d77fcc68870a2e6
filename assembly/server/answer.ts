// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * All that happens to one datagram between receiving and sending, in order:
 *
 *   beginAnswer     fit?  ──▶  gate (access, limits, log)  ──▶  beginResponse  ──▶  interleaved?
 *   completeAnswer  the same from there on, for an NTS request that was opened together with others
 *   finishAnswer    transmit timestamp, MAC; an NTS answer is sealed after it
 *
 * respond.ts alone knows what an answer says; this file decides whether there is one and counts how it ended. Tested in
 * answer.test.ts.
 */

import { Client } from "./clients";
import { counters } from "./counters";
import { GATE_ANSWER, GATE_KISS_DENY, GATE_KISS_RATE, GATE_SILENT, gate, gateControls } from "./gate";
import { Incoming } from "./incoming";
import { interleaveAnswer, interleaveAnswer5, interleaveApart, interleaveOn, interleaveSent, interleaveTrue } from "./interleaved";
import { hushed, smearAt } from "./leap";
import { CONTROL_HEADER, isControlRequest } from "../proto/control";
import { AT_ORIGIN, AT_RECEIVE, AT_TRANSMIT, HEADER_LENGTH, MODE_CLIENT, modeOf, read64, versionOf, write64 } from "../proto/header";
import { keyMacLength, keyWrite } from "../proto/keys";
import { LATER, Server, beginResponse, finishResponse, isAnswerable, respondKiss } from "./respond";
import { Timestamp } from "../proto/timestamp";
import { AT_SERVER_COOKIE, BIT_INTERLEAVED, VERSION_5, bitsOf } from "../proto/v5";
import { transmitTold5 } from "./v5";
import { scaleOfOld } from "./v5fields";

/** Kiss codes RATE and DENY (RFC 5905 §7.4). */
const RATE: u32 = 0x52415445;
const DENY: u32 = 0x44454e59;
const MODE_CONTROL: i32 = 6;

/**
 * Turn the request at `packet` into its answer. Returns the answer's length, 0 for none, LATER where {@link completeAnswer} is
 * to go on. Where `from.control` is set afterwards, it is a control message for the host, and lies there unchanged.
 */
export function beginAnswer(packet: usize, from: Incoming, server: Server): i32 {
  counters.received += 1;
  from.stampWanted = 0;
  from.stamped = 0;
  from.authenticated = 0;
  from.control = 0;
  from.client = 0;
  from.pair = 0;
  from.smear = 0;
  from.key = 0;
  from.refused = 0;
  from.scale = 0;
  from.behind = 0;
  // MUST not stay: the slot's next datagram is somebody else's.
  const hash = from.hash;
  from.hash = 0;
  if (from.length >= CONTROL_HEADER && modeOf(packet) == MODE_CONTROL) return controlled(packet, from);
  if (from.length < HEADER_LENGTH || (from.length & 3) != 0) {
    counters.malformed += 1;
    return 0;
  }
  if (!isAnswerable(packet)) {
    counters.unanswerable += 1;
    return 0;
  }
  if (hushed(server, from.received)) {
    counters.hushed += 1;
    return 0;
  }
  const verdict = gate(from, from.received + <u64>server.monoOffset, hash);
  if (verdict == GATE_SILENT) return 0;
  from.smear = smearAt(server, from.received);
  return verdict == GATE_ANSWER ? answered(packet, from, server, false) : kissed(packet, from, verdict);
}

function controlled(packet: usize, from: Incoming): i32 {
  if (isControlRequest(packet, from.length) && gateControls(from)) {
    counters.control += 1;
    from.control = from.length;
  } else {
    counters.unanswerable += 1;
  }
  return 0;
}

/** The second half for an NTS request that `openRequests` has judged. */
export function completeAnswer(packet: usize, from: Incoming, server: Server): i32 {
  return answered(packet, from, server, true);
}

/** Inlined, as it is part of the way of every answer. */
// @ts-ignore: decorator
@inline
function answered(packet: usize, from: Incoming, server: Server, opened: bool): i32 {
  if (interleaveOn() && modeOf(packet) == MODE_CLIENT) return pairedUp(packet, from, server, opened);
  const length = opened ? finishResponse(packet, from, server) : beginResponse(packet, from, server);
  return length == LATER ? LATER : counted(length, from);
}

/** The same where interleaved mode is on. What it goes by is overwritten by the answer, so it is read before. */
function pairedUp(packet: usize, from: Incoming, server: Server, opened: bool): i32 {
  const five = versionOf(packet) == VERSION_5;
  const mayInterleave = !five || (bitsOf(packet) & BIT_INTERLEAVED) != 0;
  const origin = read64(packet + (five ? AT_SERVER_COOKIE : AT_ORIGIN));
  const receive = read64(packet + AT_RECEIVE);
  const transmit = read64(packet + AT_TRANSMIT);
  const length = opened ? finishResponse(packet, from, server) : beginResponse(packet, from, server);
  if (length == LATER) return LATER;
  // A kiss NTSN, or a crypto-NAK, begins nothing.
  if (mayInterleave && length != 0 && from.refused == 0) {
    // Kernel stamps come back in the scale that NTPv4 clients are told: the mode is for that one alone.
    if (five && <i32>from.scale == scaleOfOld(server)) interleaveAnswer5(packet, from, origin);
    if (!five) interleaveAnswer(packet, from, origin, receive, transmit);
  }
  return counted(length, from);
}

/** An answer of `length` octets, 0 for none, in the counters and its client's record. */
function counted(length: i32, from: Incoming): i32 {
  if (length == 0) {
    // A draft that is not spoken here is no fault.
    if (from.refused != 0) counters.unanswerable += 1;
    else counters.malformed += 1;
    return 0;
  }
  counters.answered += 1;
  if (from.authenticated != 0) noteAuthentic(from);
  if (from.client != 0 && from.pair != 0 && from.stamped != 0) {
    const record = changetype<Client>(from.client);
    record.interleaved = record.interleaved == u32.MAX_VALUE ? record.interleaved : record.interleaved + 1;
  }
  return length;
}

function noteAuthentic(from: Incoming): void {
  if (from.authenticated == 2) counters.nts += 1;
  else counters.authenticated += 1;
  if (from.client == 0) return;
  const record = changetype<Client>(from.client);
  record.authenticated = record.authenticated == u32.MAX_VALUE ? record.authenticated : record.authenticated + 1;
}

/** A kiss, if the client can believe it: without a MAC or NTS fields of its own it says nothing to who asked with them. */
function kissed(packet: usize, from: Incoming, verdict: i32): i32 {
  const length = from.length == HEADER_LENGTH || versionOf(packet) == VERSION_5 ? respondKiss(packet, from.length, verdict == GATE_KISS_RATE ? RATE : DENY) : 0;
  if (length == 0) {
    if (verdict == GATE_KISS_RATE) counters.limited += 1;
    else counters.denied += 1;
    return 0;
  }
  from.stamped = 1;
  counters.answered += 1;
  if (verdict == GATE_KISS_DENY) counters.kissesDeny += 1;
  else counters.kissesRate += 1;
  return length;
}

/** Complete an answer of `from.length` octets that leaves at `transmit` by the clock. MUST be the last thing that changes its header. */
export function finishAnswer(packet: usize, from: Incoming, transmit: Timestamp, server: Server): void {
  const told = versionOf(packet) == VERSION_5 ? transmitTold5(from, transmit, server) : transmit + <u64>smearAt(server, transmit);
  interleaveSent(from, told);
  if (!from.stamped) write64(packet + AT_TRANSMIT, interleaveApart(told, read64(packet + AT_RECEIVE)));
  if (from.key != 0) keyWrite(from.key - 1, packet, from.length - <i32>from.behind - keyMacLength(from.key - 1, versionOf(packet)), versionOf(packet));
}

/** The answer that told the receive timestamp `receive` left at `transmit` by the clock, as the kernel saw. */
export function stampTransmitted(receive: Timestamp, transmit: Timestamp, server: Server): bool {
  return interleaveTrue(receive, transmit + <u64>smearAt(server, transmit));
}

/** The same once more, by a clock that knows it better. */
export function stampBettered(receive: Timestamp, transmit: Timestamp, server: Server): void {
  if (stampTransmitted(receive, transmit, server)) counters.stamps -= 1;
}
