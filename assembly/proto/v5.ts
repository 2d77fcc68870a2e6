// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTPv5 packet (draft-ietf-ntp-ntpv5 §5): header, time scales, the walk over its extension fields.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |LI | VN  |Mode |    Stratum    |     Poll      |   Precision   |
 * 4 |                    Root delay (4.28 s)                        |
 * 8 |                  Root dispersion (4.28 s)                     |
 * 12|   Time scale  |      Era      |            Flags              |
 * 16|                       Server cookie                      (64) |
 * 24|                       Client cookie                      (64) |
 * 32|                      Receive timestamp                   (64) |
 * 40|                      Transmit timestamp                  (64) |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * A field's length is at least 4 and excludes the zeros that pad it to 32 bits. Behind the field MAC, or NTS' authenticator,
 * only a Correction may follow, which is therefore not authenticated. An answer has as many octets as its request.
 *
 * Timestamps are those of NTPv4 (seconds since 1900 in UTC without leap seconds); in TAI they are larger by TAI − UTC. A poll in
 * an answer is the shortest that the server bears, {@link POLL_NEVER}: go away. Tested in assembly/server/v5.test.ts.
 */

import { FIELD_HEADER, Trailer, fieldLength, fieldSpan, fieldType } from "./extension";
import { AT_FLAGS, AT_POLL, AT_PRECISION, AT_RECEIVE, AT_ROOT_DELAY, AT_ROOT_DISPERSION, AT_STRATUM, AT_TRANSMIT, HEADER_LENGTH } from "./header";
import { Header, read32, read64 } from "./header";
import { Interval, Timestamp } from "./timestamp";

export const VERSION_5: i32 = 5;
export const AT_TIMESCALE: usize = 12;
export const AT_ERA: usize = 13;
export const AT_BITS: usize = 14;
export const AT_SERVER_COOKIE: usize = 16;
export const AT_CLIENT_COOKIE: usize = 24;

export const BIT_SYNCHRONISED: i32 = 1;
export const BIT_INTERLEAVED: i32 = 2;
/** The request could not be authenticated; what says so is not authenticated either. */
export const BIT_AUTH_NAK: i32 = 4;

export const SCALE_UTC: i32 = 0;
export const SCALE_TAI: i32 = 1;
export const SCALE_UT1: i32 = 2;
export const SCALE_SMEARED: i32 = 3;

/** A minimum poll that no client can wait for: it is not to ask any more. */
export const POLL_NEVER: i32 = 127;

export const FIELD_DRAFT: i32 = 0xf5ff;
export const FIELD_PADDING: i32 = 0xf501;
export const FIELD_MAC: i32 = 0xf502;
export const FIELD_IDS_REQUEST: i32 = 0xf503;
export const FIELD_IDS_RESPONSE: i32 = 0xf504;
export const FIELD_SERVER_INFORMATION: i32 = 0xf505;
export const FIELD_CORRECTION: i32 = 0xf506;
export const FIELD_REFERENCE_TIME: i32 = 0xf507;
export const FIELD_MONOTONIC: i32 = 0xf508;
export const FIELD_SECONDARY: i32 = 0xf509;
// Octets of whole fields.
export const INFORMATION_LENGTH: i32 = 8;
export const REFERENCE_LENGTH: i32 = 12;
export const MONOTONIC_LENGTH: i32 = 16;
export const SECONDARY_LENGTH: i32 = 16;
export const CORRECTION_LENGTH: i32 = 28;

/** "NTP5DRFT" as an NTPv4 reference timestamp: in a request "I speak a draft of NTPv5", in its answer "so do I". */
export const UPGRADE_MARK: u64 = 0x4e54503544524654;

/** Timestamps before 2024-01-01 are of the second era: right until 2160. */
const ERA_PIVOT: u32 = 3913056000;

/** The era that a timestamp of our time falls into. */
export function eraOf(timestamp: Timestamp): i32 {
  return <u32>(timestamp >> 32) >= ERA_PIVOT ? 0 : 1;
}

/** 4.28 seconds from an interval, rounded up, as what is told MUST NOT be less than what is known; saturates at 16 s. */
export function time32Above(interval: Interval): u32 {
  if (interval <= 0) return 0;
  return interval > 0xffffffff0 ? u32.MAX_VALUE : <u32>((interval + 15) >> 4);
}

export function time32ToInterval(time: u32): Interval {
  return <i64>time << 4;
}

export function bitsOf(packet: usize): i32 {
  return <i32>bswap<u16>(load<u16>(packet, AT_BITS));
}

/** Type and length of a field; the value, and the zeros behind it, are the caller's. */
export function startField5(at: usize, type: i32, length: i32): void {
  store<u16>(at, bswap<u16>(<u16>type));
  store<u16>(at, bswap<u16>(<u16>length), 2);
}

/** A field with nothing to say of `length` octets, and the zeros up to its span. */
export function writePadding(at: usize, length: i32): void {
  const span = (length + 3) & ~3;
  startField5(at, FIELD_PADDING, length);
  memory.fill(at + FIELD_HEADER, 0, span - FIELD_HEADER);
}

/**
 * Decode the header as far as it is an NTPv4 header's: the client cookie stands as origin, there is neither reference identifier
 * nor time, and root delay and dispersion are 4.28 s, which {@link time32ToInterval} reads.
 */
export function readHeader5(packet: usize, header: Header): void {
  const flags = <u32>load<u8>(packet + AT_FLAGS);
  header.leap = <u8>(flags >> 6);
  header.version = <u8>((flags >> 3) & 7);
  header.mode = <u8>(flags & 7);
  header.stratum = load<u8>(packet + AT_STRATUM);
  header.poll = load<i8>(packet + AT_POLL);
  header.precision = load<i8>(packet + AT_PRECISION);
  header.rootDelayShort = read32(packet + AT_ROOT_DELAY);
  header.rootDispersionShort = read32(packet + AT_ROOT_DISPERSION);
  header.refid = 0;
  header.referenceTime = 0;
  header.originTime = read64(packet + AT_CLIENT_COOKIE);
  header.receiveTime = read64(packet + AT_RECEIVE);
  header.transmitTime = read64(packet + AT_TRANSMIT);
}

/** The same as `readTrailer` for NTPv5: false when it is malformed. The MAC is a field here, with its header. */
export function readTrailer5(packet: usize, length: i32, trailer: Trailer): bool {
  trailer.fieldsEnd = HEADER_LENGTH;
  trailer.fieldCount = 0;
  trailer.macStart = length;
  trailer.macLength = 0;
  trailer.cryptoNak = 0;
  trailer.correction = 0;
  if ((length & 3) != 0) return false;
  for (let at = HEADER_LENGTH; at < length; ) {
    const field = packet + <usize>at;
    const size = fieldLength(field);
    const span = fieldSpan(field);
    if (size < FIELD_HEADER || span > length - at) return false;
    const type = fieldType(field);
    if (type == FIELD_CORRECTION) {
      // MUST be the last: what stands behind it would be neither authenticated nor seen not to be.
      if (size != CORRECTION_LENGTH || at + span != length) return false;
      trailer.correction = at;
      return true;
    }
    // Behind a MAC nothing but a correction.
    if (trailer.macLength != 0) return false;
    at += span;
    if (type == FIELD_MAC) {
      trailer.macStart = at - span;
      trailer.macLength = span;
    } else {
      trailer.fieldCount += 1;
      trailer.fieldsEnd = at;
    }
  }
  return true;
}

/** Octets of a packet that stand behind all that can be authenticated. */
export function octetsBehind(trailer: Trailer): i32 {
  return trailer.correction != 0 ? CORRECTION_LENGTH : 0;
}
