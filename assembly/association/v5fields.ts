// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What an NTPv5 client asks for in extension fields beside the server's identity, and what it takes from the answers
 * (draft-ietf-ntp-ntpv5 §5).
 *
 *   Server Information           the versions of NTP that the server speaks
 *   Reference Timestamp          when its clock was last set
 *   Monotonic Receive Timestamp  t2 by a clock that is never stepped, and which run of it
 *   Secondary Receive Timestamp  t2 in other time scales: what TAI, UT1 and smeared time are ahead of UTC
 *   Correction                   how long network nodes held the packets, there and back
 *
 * What contradicts itself or cannot be is passed over, as if it had not been told: none of it makes a reply unfit. The
 * Correction is the one field that nobody signs. It can move the offset by half of the delay at most, which whoever can write
 * it can do by holding packets back; so the root distance stays that of the delay as measured. Tested in v5fields.test.ts.
 */

import { Sample } from "./sample";
import { FIELD_HEADER, Trailer, fieldLength, fieldSpan, fieldType } from "../proto/extension";
import { HEADER_LENGTH, read64 } from "../proto/header";
import { CORRECTION_LENGTH, FIELD_CORRECTION, INFORMATION_LENGTH, FIELD_MONOTONIC, FIELD_REFERENCE_TIME, FIELD_SECONDARY } from "../proto/v5";
import { FIELD_SERVER_INFORMATION, MONOTONIC_LENGTH, REFERENCE_LENGTH, SCALE_SMEARED, SCALE_TAI, SCALE_UT1, SECONDARY_LENGTH } from "../proto/v5";
import { VERSION_5, eraOf, startField5 } from "../proto/v5";
import { Interval, Timestamp, elapsed } from "../proto/timestamp";

// Bits of Exchange.wants; lower ones are in exchange.ts.
export const WANT_INFORMATION: u32 = 1 << 2;
export const WANT_REFERENCE_TIME: u32 = 1 << 3;
export const WANT_MONOTONIC: u32 = 1 << 4;
export const WANT_SCALES: u32 = 1 << 5;
export const WANT_CORRECTION: u32 = 1 << 6;

// What became of the Correction.
export const CORRECTION_ABSENT: u8 = 0;
/** It came, and no node on the way had anything to say. */
export const CORRECTION_EMPTY: u8 = 1;
export const CORRECTION_USED: u8 = 2;
export const CORRECTION_REFUSED: u8 = 3;

/** What the last reply told beside time. Hosts reach it through the exported DETAILS_* offsets. */
@unmanaged
export class Details {
  /** Versions spoken, the least significant bit being version 1; 0: not told. */
  versions: u16;
  /** Bits of the time scales told, 1 << scale. */
  scales: u8;
  /** One of CORRECTION_*. */
  correction: u8;
  monoEpoch: u32;
  /** 0: not told. */
  referenceTime: Timestamp;
  monoReceive: Timestamp;
  /** What the scale is ahead of UTC. */
  tai: Interval;
  ut1: Interval;
  smeared: Interval;
  /** As told, 2^-16 ns: of the request, and of the reply. */
  origin: i64;
  delay: i64;
}

export const details = changetype<Details>(memory.data(offsetof<Details>(), 8));

/** Corrections of a second or more are no switch's. 2^-16 ns. */
const CORRECTION_LIMIT: i64 = 65536 * 1000000000;
/** FC: what a node's clock may be off by, 1 in 10000, so that what it measured is never believed to be all of the delay. */
const NODE_FREQUENCY: i64 = 10000;
/** TAI was 10 s ahead in 1972, and has a leap second a year at most. */
const TAI_LEAST: Interval = 1 << 32;
const TAI_MOST: Interval = 3600 << 32;
/** UT1 is kept within 0.9 s of UTC, and smeared time within a second. */
const NEAR_MOST: Interval = 1 << 32;

// --- the request ---

/** Append the fields wanted but the Correction, which stands behind everything. Returns the packet's length. */
export function writeWanted(packet: usize, length: i32, wants: u32): i32 {
  if ((wants & WANT_INFORMATION) != 0) length += askFor(packet + <usize>length, FIELD_SERVER_INFORMATION, INFORMATION_LENGTH, 0);
  if ((wants & WANT_REFERENCE_TIME) != 0) length += askFor(packet + <usize>length, FIELD_REFERENCE_TIME, REFERENCE_LENGTH, 0);
  if ((wants & WANT_MONOTONIC) != 0) length += askFor(packet + <usize>length, FIELD_MONOTONIC, MONOTONIC_LENGTH, 0);
  if ((wants & WANT_SCALES) == 0) return length;
  for (let scale = SCALE_TAI; scale <= SCALE_SMEARED; scale++) {
    length += askFor(packet + <usize>length, FIELD_SECONDARY, SECONDARY_LENGTH, scale);
  }
  return length;
}

/** Append a Correction that nobody has written into yet. MUST be the last field. Returns its octets. */
export function writeCorrection(at: usize): i32 {
  return askFor(at, FIELD_CORRECTION, CORRECTION_LENGTH, 0);
}

function askFor(at: usize, type: i32, length: i32, scale: i32): i32 {
  memory.fill(at, 0, length);
  startField5(at, type, length);
  store<u8>(at, <u8>scale, FIELD_HEADER);
  return length;
}

// --- the reply ---

/** Nothing has been told. */
export function forgetDetails(): void {
  memory.fill(changetype<usize>(details), 0, offsetof<Details>());
}

/** Take what was asked for from a reply that has been found to be one, and authentic as far as `trailer.fieldsEnd`. */
export function readDetails(packet: usize, trailer: Trailer, wants: u32, sample: Sample): void {
  for (let at = HEADER_LENGTH; at < trailer.fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    const field = packet + <usize>at;
    const type = fieldType(field);
    const length = fieldLength(field);
    if (type == FIELD_SERVER_INFORMATION && length == INFORMATION_LENGTH && (wants & WANT_INFORMATION) != 0) takeInformation(field);
    else if (type == FIELD_REFERENCE_TIME && length == REFERENCE_LENGTH && (wants & WANT_REFERENCE_TIME) != 0) takeReference(field, sample);
    else if (type == FIELD_MONOTONIC && length == MONOTONIC_LENGTH && (wants & WANT_MONOTONIC) != 0) takeMonotonic(field);
    else if (type == FIELD_SECONDARY && length == SECONDARY_LENGTH && (wants & WANT_SCALES) != 0) takeSecondary(field, sample);
  }
  if (trailer.correction == 0 || (wants & WANT_CORRECTION) == 0) return;
  details.origin = read64(packet + <usize>trailer.correction + 4);
  details.delay = read64(packet + <usize>trailer.correction + 16);
  details.correction = CORRECTION_EMPTY;
}

/** A server that says it does not speak the version it speaks is not believed in the others. */
function takeInformation(field: usize): void {
  const versions = bswap<u16>(load<u16>(field, 4));
  if ((<i32>versions & (1 << (VERSION_5 - 1))) != 0) details.versions = versions;
}

/** Nobody set a clock after it told the time. */
function takeReference(field: usize, sample: Sample): void {
  const time = read64(field + 4);
  if (time != 0 && elapsed(sample.receiveTime, time) <= 0) details.referenceTime = time;
}

function takeMonotonic(field: usize): void {
  const time = read64(field + 8);
  if (time == 0) return;
  details.monoEpoch = bswap<u32>(load<u32>(field, 4));
  details.monoReceive = time;
}

/** Each scale once; the first counts. */
function takeSecondary(field: usize, sample: Sample): void {
  const scale = <i32>load<u8>(field, 4);
  const time = read64(field + 8);
  if (scale < SCALE_TAI || scale > SCALE_SMEARED || (<i32>details.scales & (1 << scale)) != 0) return;
  if (time == 0 || sample.receiveTime == 0 || <i32>load<u8>(field, 5) != eraOf(time)) return;
  const ahead = elapsed(sample.receiveTime, time);
  const possible = scale == SCALE_TAI ? ahead >= TAI_LEAST && ahead <= TAI_MOST : abs(ahead) <= NEAR_MOST;
  if (!possible) return;
  details.scales = <u8>(<i32>details.scales | (1 << scale));
  if (scale == SCALE_TAI) details.tai = ahead;
  else if (scale == SCALE_UT1) details.ut1 = ahead;
  else details.smeared = ahead;
}

// --- correction ---

/** 2^-16 ns of at most a second as an interval. */
function intervalOf(correction: i64): Interval {
  return (correction << 16) / 1000000000;
}

/**
 * Take what the nodes on the way measured out of offset and delay; out of neither where they cannot have. Only of both ways or
 * none: a node that is known to hold packets one way holds them the other way, too. How long the packets are on the wire is not
 * known here, and taken for nothing: a delay that becomes negative by that is refused, too.
 */
export function applyCorrection(sample: Sample): void {
  if (details.correction == CORRECTION_ABSENT || (details.origin == 0 && details.delay == 0)) return;
  details.correction = CORRECTION_REFUSED;
  // An interleaved reply completes the exchange before, of which these corrections say nothing.
  if (sample.interleaved != 0) return;
  if (details.origin <= 0 || details.delay <= 0 || details.origin >= CORRECTION_LIMIT || details.delay >= CORRECTION_LIMIT) return;
  const there = intervalOf(details.origin);
  const back = intervalOf(details.delay);
  const taken = there + back - (there + back) / NODE_FREQUENCY;
  if (sample.delay - taken < 0) return;
  sample.offset += (back - there) >> 1;
  sample.delay -= taken;
  sample.corrected = taken;
  details.correction = CORRECTION_USED;
}
