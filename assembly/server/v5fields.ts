// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's answers to NTPv5's extension fields, each as long as what asked for it, and the time scales that they and the
 * header are told in.
 *
 *   Draft Identification        the same                 Reference Timestamp          when the clock was last set
 *   Reference IDs Request       that chunk of the filter Monotonic Receive Timestamp  where the host has such a clock
 *   Server Information          versions 1 to 5          Secondary Receive Timestamp  in a scale that is known, once each
 *   Correction                  what the way here added  anything else                padding
 *
 * UTC can always be told; TAI and UT1 while the host says what they are ahead of UTC; smeared time where this server smears.
 * Whoever asks for another scale gets UTC, as the draft wants. Tested in v5.test.ts.
 */

import { Incoming } from "./incoming";
import { leapToTell, smearAt } from "./leap";
import { Server } from "./respond";
import { dispersionAt, isSynchronised } from "./standing";
import { FIELD_HEADER, fieldLength, fieldType } from "../proto/extension";
import { write64 } from "../proto/header";
import { CORRECTION_LENGTH, FIELD_CORRECTION, FIELD_DRAFT, FIELD_IDS_REQUEST, FIELD_IDS_RESPONSE, FIELD_MONOTONIC } from "../proto/v5";
import { FIELD_REFERENCE_TIME, FIELD_SECONDARY, FIELD_SERVER_INFORMATION, SCALE_SMEARED, SCALE_TAI, SCALE_UT1, SCALE_UTC } from "../proto/v5";
import { INFORMATION_LENGTH, MONOTONIC_LENGTH, REFERENCE_LENGTH, SECONDARY_LENGTH, eraOf, startField5, writePadding } from "../proto/v5";
import { FILTER_OCTETS, referenceIds } from "../proto/v5ids";
import { Interval, Timestamp, elapsed } from "../proto/timestamp";

/** Versions 1 to 5, the least significant bit being version 1. */
const VERSIONS: u16 = 0x1f;

// --- time scales ---

/** Is what the host told of UTC still so at `at`? Not beyond a leap second that came after. */
function holdsStill(server: Server, at: Timestamp): bool {
  const leaps = server.leapAt != 0 && elapsed(server.updated, server.leapAt) > 0;
  return !leaps || elapsed(at, server.leapAt) > 0;
}

/** The scale told to who asks for `asked`. */
export function scaleTold(server: Server, asked: i32, at: Timestamp): i32 {
  if (asked == SCALE_TAI && server.taiOffset != 0 && holdsStill(server, at)) return SCALE_TAI;
  if (asked == SCALE_UT1 && server.ut1Known != 0 && holdsStill(server, at)) return SCALE_UT1;
  return asked == SCALE_SMEARED && server.smearShape != 0 ? SCALE_SMEARED : SCALE_UTC;
}

/** What to add to the clock's time `at`, which is UTC, to tell it in `scale`. */
export function scaleShift(server: Server, scale: i32, at: Timestamp): Interval {
  if (scale == SCALE_SMEARED) return smearAt(server, at);
  if (scale == SCALE_UT1) return server.ut1Offset;
  return scale == SCALE_TAI ? <i64>server.taiOffset << 32 : 0;
}

/** The scale that NTPv4 clients are told time in. */
export function scaleOfOld(server: Server): i32 {
  return server.smearShape != 0 ? SCALE_SMEARED : SCALE_UTC;
}

/** The leap second to announce. A server that smears hides it from smeared time, but not from UTC. */
export function leapOf5(server: Server, scale: i32, received: Timestamp): u8 {
  if (server.smearShape == 0 || scale == SCALE_SMEARED) return leapToTell(server, received);
  const left = elapsed(received, server.leapAt);
  return left > 0 && left <= server.leapWindow ? server.smearLeap : 0;
}

// --- fields ---

/** Of the packet whose fields are being answered. */
let asked: Incoming = changetype<Incoming>(0);
let by: Server = changetype<Server>(0);
let scale: i32 = 0;
/** Scales told in this packet beside the header's. */
let secondary: i32 = 0;

/** Before the fields of a packet. MUST come before its header is written, which holds the scale that is wanted. */
export function prepareFields5(packet: usize, from: Incoming, server: Server): void {
  asked = from;
  by = server;
  scale = scaleTold(server, <i32>load<u8>(packet, 12), from.received);
  secondary = 0;
}

/** Answer one field at `out`, which may be the field itself or lie before it. Returns the octets that both span. */
export function answerField5(field: usize, out: usize): i32 {
  const type = fieldType(field);
  const length = fieldLength(field);
  const span = (length + 3) & ~3;
  if (type == FIELD_DRAFT) {
    if (out != field) memory.copy(out, field, span);
    for (let i = length; i < span; i++) store<u8>(out + <usize>i, 0);
    return span;
  }
  if (!answerKnown(type, field, length, out)) writePadding(out, length);
  return span;
}

function answerKnown(type: i32, field: usize, length: i32, out: usize): bool {
  if (type == FIELD_IDS_REQUEST) return answerIds(field, length, out);
  if (type == FIELD_SERVER_INFORMATION) return answerInformation(length, out);
  if (type == FIELD_CORRECTION) return answerCorrection(field, length, out);
  if (type == FIELD_REFERENCE_TIME) return answerReference(length, out);
  if (type == FIELD_MONOTONIC) return answerMonotonic(length, out);
  return type == FIELD_SECONDARY && answerSecondary(field, length, out);
}

/** The chunk of the filter that begins where the request says, and is as long as the field has room for. */
function answerIds(field: usize, length: i32, out: usize): bool {
  const chunk = length - FIELD_HEADER;
  if (chunk < 2 || chunk > FILTER_OCTETS) return false;
  const offset = <i32>bswap<u16>(load<u16>(field, 4));
  if (offset > FILTER_OCTETS - chunk) return false;
  startField5(out, FIELD_IDS_RESPONSE, length);
  memory.copy(out + FIELD_HEADER, referenceIds + <usize>offset, chunk);
  for (let i = length; i < ((length + 3) & ~3); i++) store<u8>(out + <usize>i, 0);
  return true;
}

function answerInformation(length: i32, out: usize): bool {
  if (length != INFORMATION_LENGTH) return false;
  startField5(out, FIELD_SERVER_INFORMATION, length);
  store<u16>(out, bswap<u16>(VERSIONS), 4);
  store<u16>(out, 0, 6);
  return true;
}

/** What network nodes added on the way here comes back as origin; those on the way back begin from nought. */
function answerCorrection(field: usize, length: i32, out: usize): bool {
  if (length != CORRECTION_LENGTH) return false;
  const delay = load<u64>(field, 16);
  const path = load<u16>(field, 24);
  startField5(out, FIELD_CORRECTION, length);
  store<u64>(out, delay, 4);
  store<u32>(out, <u32>path, 12);
  store<u64>(out, 0, 16);
  store<u32>(out, 0, 24);
  return true;
}

function answerReference(length: i32, out: usize): bool {
  if (length != REFERENCE_LENGTH) return false;
  const known = isSynchronised(by, dispersionAt(by, asked.received)) && by.referenceTime != 0;
  startField5(out, FIELD_REFERENCE_TIME, length);
  write64(out + 4, known ? by.referenceTime + <u64>scaleShift(by, scale, by.referenceTime) : 0);
  return true;
}

/** Epoch 0 is a host that promises no clock without steps. */
function answerMonotonic(length: i32, out: usize): bool {
  if (length != MONOTONIC_LENGTH || by.monoEpoch == 0) return false;
  startField5(out, FIELD_MONOTONIC, length);
  store<u32>(out, bswap<u32>(by.monoEpoch), 4);
  write64(out + 8, asked.received + <u64>by.monoOffset);
  return true;
}

function answerSecondary(field: usize, length: i32, out: usize): bool {
  if (length != SECONDARY_LENGTH) return false;
  const wanted = <i32>load<u8>(field, 4);
  if (wanted > SCALE_SMEARED || scaleTold(by, wanted, asked.received) != wanted || (secondary & (1 << wanted)) != 0) return false;
  secondary |= 1 << wanted;
  const told = asked.received + <u64>scaleShift(by, wanted, asked.received);
  startField5(out, FIELD_SECONDARY, length);
  store<u8>(out, <u8>wanted, 4);
  store<u8>(out, <u8>eraOf(told), 5);
  store<u16>(out, 0, 6);
  write64(out + 8, told);
  return true;
}
