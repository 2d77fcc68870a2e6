// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's answer to an NTPv5 request (draft-ietf-ntp-ntpv5 §6), written over it.
 *
 * The answer has exactly as many octets as the request: each field is answered where it stands by one of the same length, by
 * padding where there is nothing to say. A request that names no draft spoken here gets no answer at all. What cannot be
 * authenticated is told so by the flag Auth NAK, without time; who is to ask less often by stratum 0 and a longer minimum poll.
 *
 * Fields are answered in v5fields.ts; limits, log and interleaved mode are around this, in answer.ts. Tested in v5.test.ts and
 * against ntpd-rs in tests/interop.
 */

import { Incoming } from "./incoming";
import { leapOf5, prepareFields5, scaleShift, scaleTold, answerField5 } from "./v5fields";
import { NTS_MALFORMED, NTS_TAKEN, readNts } from "./ntsrequest";
import { limitPoll } from "./ratelimit";
import { LATER, Server, checkMac } from "./respond";
import { dispersionAt, isSynchronised } from "./standing";
import { Trailer, fieldLength, fieldSpan, fieldType, readTrailer } from "../proto/extension";
import { AT_FLAGS, AT_POLL, AT_PRECISION, AT_RECEIVE, AT_ROOT_DELAY, AT_ROOT_DISPERSION, AT_STRATUM } from "../proto/header";
import { HEADER_LENGTH, LEAP_UNSYNCHRONISED, MODE_CLIENT, MODE_SERVER, flagsOf, write32, write64 } from "../proto/header";
import { COOKIE_TYPE, UNIQUE_IDENTIFIER_TYPE } from "../proto/nts";
import { AT_BITS, AT_ERA, AT_SERVER_COOKIE, AT_TIMESCALE, BIT_AUTH_NAK, BIT_SYNCHRONISED, FIELD_DRAFT, VERSION_5, eraOf } from "../proto/v5";
import { octetsBehind, time32Above, writePadding } from "../proto/v5";
import { DRAFT_SPAN, knowsDraft, namesDraftAlone } from "../proto/v5draft";
import { Timestamp } from "../proto/timestamp";

/** A header and the field that names a draft. */
const PLAIN_LENGTH: i32 = HEADER_LENGTH + DRAFT_SPAN;

const trailer = changetype<Trailer>(memory.data(offsetof<Trailer>(), 8));

/** The first half of answering: the whole but for NTS, for which it says {@link LATER}. 0: no answer. */
export function beginResponse5(packet: usize, from: Incoming, server: Server): i32 {
  // What most clients ask: time, and nothing else.
  if (from.length == PLAIN_LENGTH && namesDraftAlone(packet + HEADER_LENGTH)) {
    store<u8>(packet + PLAIN_LENGTH - 1, 0);
    respondHeader5(packet, from, server);
    return PLAIN_LENGTH;
  }
  if (!readTrailer(packet, from.length, VERSION_5, trailer)) return 0;
  if (!knowsDraft(packet, trailer.fieldsEnd)) {
    // Counted as what is never answered, not as malformed.
    from.refused = 1;
    return 0;
  }
  const nts = readNts(packet, from.length, VERSION_5, MODE_CLIENT, trailer);
  if (nts == NTS_TAKEN) return LATER;
  if (nts == NTS_MALFORMED) return 0;
  from.behind = <u8>octetsBehind(trailer);
  if (trailer.macLength != 0 && !checkMac(packet, VERSION_5, from, trailer)) return refuse5(packet, from.length, from);
  prepareFields5(packet, from, server);
  for (let at = HEADER_LENGTH; at < trailer.fieldsEnd; ) at += answerField5(packet + <usize>at, packet + <usize>at);
  if (trailer.correction != 0) {
    const correction = packet + <usize>trailer.correction;
    answerField5(correction, correction);
  }
  respondHeader5(packet, from, server);
  return from.length;
}

/** All of the header but the transmit timestamp. The client cookie stays where it is. */
export function respondHeader5(packet: usize, from: Incoming, server: Server): void {
  const received = from.received;
  const dispersion = dispersionAt(server, received);
  const synchronised = isSynchronised(server, dispersion);
  const wanted = <i32>load<u8>(packet, AT_TIMESCALE);
  const scale = wanted == 0 ? 0 : scaleTold(server, wanted, received);
  const shift = scale == 0 ? 0 : scaleShift(server, scale, received);
  from.scale = <u8>scale;
  from.smear = shift;
  const told = received + <u64>shift;
  const leap = synchronised ? leapOf5(server, scale, received) : <u8>LEAP_UNSYNCHRONISED;
  store<u8>(packet + AT_FLAGS, flagsOf(leap, VERSION_5, MODE_SERVER));
  store<u8>(packet + AT_STRATUM, synchronised ? server.stratum : 0);
  store<i8>(packet + AT_POLL, <i8>limitPoll());
  store<i8>(packet + AT_PRECISION, server.precision);
  write32(packet + AT_ROOT_DELAY, time32Above(server.rootDelay));
  write32(packet + AT_ROOT_DISPERSION, time32Above(dispersion));
  store<u8>(packet + AT_TIMESCALE, <u8>scale);
  store<u8>(packet + AT_ERA, <u8>eraOf(told));
  writeBits(packet, synchronised ? BIT_SYNCHRONISED : 0);
  store<u64>(packet + AT_SERVER_COOKIE, 0);
  write64(packet + AT_RECEIVE, told);
}

function writeBits(packet: usize, bits: i32): void {
  store<u16>(packet, bswap<u16>(<u16>bits), AT_BITS);
}

/** Of an answer that leaves at `transmit` by the clock, that time as it is told. */
export function transmitTold5(from: Incoming, transmit: Timestamp, server: Server): Timestamp {
  return from.scale == 0 ? transmit : transmit + <u64>scaleShift(server, <i32>from.scale, transmit);
}

/** "I cannot authenticate you": no time, and nobody vouches for it. Returns the answer's length. */
export function refuse5(packet: usize, length: i32, from: Incoming): i32 {
  from.refused = 1;
  from.stamped = 1;
  blank(packet, length, limitPoll(), BIT_AUTH_NAK);
  return length;
}

/**
 * Turn the request into an answer without time, whose minimum poll says what is wanted of the client. Returns its length; 0 when
 * it must not be answered: one with a MAC or NTS would not believe it.
 */
export function kiss5(packet: usize, length: i32, poll: i32): i32 {
  if (!readTrailer(packet, length, VERSION_5, trailer) || trailer.macLength != 0) return 0;
  if (!knowsDraft(packet, trailer.fieldsEnd)) return 0;
  for (let at = HEADER_LENGTH; at < trailer.fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    if (fieldType(packet + <usize>at) == COOKIE_TYPE) return 0;
  }
  blank(packet, length, poll, 0);
  return length;
}

/** No time and no fields but what tells the client that the answer is to its request. The packet has been found well formed. */
function blank(packet: usize, length: i32, poll: i32, bits: i32): void {
  for (let at = HEADER_LENGTH; at < length; ) {
    const field = packet + <usize>at;
    const type = fieldType(field);
    const span = fieldSpan(field);
    if (type != FIELD_DRAFT && type != UNIQUE_IDENTIFIER_TYPE) writePadding(field, fieldLength(field));
    at += span;
  }
  // All between the first word and the client cookie, and behind that, is nought.
  const cookie = load<u64>(packet, 24);
  memory.fill(packet, 0, HEADER_LENGTH);
  store<u64>(packet, cookie, 24);
  store<u8>(packet + AT_FLAGS, flagsOf(LEAP_UNSYNCHRONISED, VERSION_5, MODE_SERVER));
  store<u8>(packet + AT_POLL, <u8>poll);
  writeBits(packet, bits);
}
