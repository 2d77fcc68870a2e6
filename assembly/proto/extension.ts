// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Extension fields and the trailing MAC of NTPv4 (RFC 7822, RFC 5905 §7.5), walked in place.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |          Field type           |        Length (all of it)     |
 * 4 |                Value, padded with zeros to 32 bits ...        |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * A field is at least 16 octets, and at least 28 when it is the last one and no MAC follows: that is what tells fields
 * and a MAC apart. What remains of a packet is
 *
 *    0          nothing                      20 or 24   a MAC: key id and 16 or 20 octets of digest
 *    4          a crypto-NAK (key id zero)   28 ..      an extension field
 *
 * and anything else is malformed. NTPv3 and older have no fields: all that follows their header is a MAC, of up to 64
 * octets of digest. Tested in extension.test.ts at every truncation.
 */

import { HEADER_LENGTH, read32 } from "./header";
import { VERSION_5, readTrailer5 } from "./v5";

/** Type and length. */
export const FIELD_HEADER: i32 = 4;
/** RFC 7822 §7.5: no field is shorter. */
export const FIELD_MINIMUM: i32 = 16;
/** RFC 7822 §7.5.1.4: the last field when no MAC follows. */
export const LAST_FIELD_MINIMUM: i32 = 28;
/** Key identifier and a 128-bit digest. */
export const MAC_MINIMUM: i32 = 20;
/** Key identifier and a 160-bit digest: the longest that NTPv4 allows beside fields. */
export const MAC_MAXIMUM_V4: i32 = 24;
/** Key identifier and a 512-bit digest: NTPv3 has no fields that it could be taken for. */
const MAC_MAXIMUM_V3: i32 = 68;
/** A MAC that is only a key identifier of zero: "your authentication failed" (RFC 5905 §7.3). */
const CRYPTO_NAK_LENGTH: i32 = 4;

/** What follows the header of one packet. Offsets count from its first octet. */
@unmanaged
export class Trailer {
  /** Where the extension fields end. */
  fieldsEnd: i32;
  fieldCount: i32;
  /** Where the MAC starts, or the packet's length when there is none. */
  macStart: i32;
  /** Octets of the MAC with its key id; 0 without one. */
  macLength: i32;
  /** 1 when the MAC is a crypto-NAK. */
  cryptoNak: i32;
  /** NTPv5: where the Correction stands, behind all that can be authenticated; 0 without one. */
  correction: i32;
}

export function fieldType(field: usize): i32 {
  return <i32>bswap<u16>(load<u16>(field));
}

export function fieldLength(field: usize): i32 {
  return <i32>bswap<u16>(load<u16>(field, 2));
}

/** From one field to the next. In NTPv4 that is its length; in NTPv5 the length excludes what pads it to 32 bits. */
export function fieldSpan(field: usize): i32 {
  return (fieldLength(field) + 3) & ~3;
}

/**
 * Take the part behind the header apart. `length` is the packet's, at least 48.
 *
 * Returns false when it is malformed; the packet must then be dropped, not partly believed. MUST NOT take the rest of a
 * mangled field for a MAC: that would turn an authenticated request into a plain one.
 */
export function readTrailer(packet: usize, length: i32, version: i32, trailer: Trailer): bool {
  trailer.fieldsEnd = HEADER_LENGTH;
  trailer.fieldCount = 0;
  trailer.macStart = length;
  trailer.macLength = 0;
  trailer.cryptoNak = 0;
  trailer.correction = 0;
  if (!isDefined(PLAIN) && version == VERSION_5) return readTrailer5(packet, length, trailer);
  if (version < 4) return length == HEADER_LENGTH || readMac(packet, HEADER_LENGTH, length, MAC_MAXIMUM_V3, trailer);
  let at = HEADER_LENGTH;
  while (length - at >= LAST_FIELD_MINIMUM) {
    const field = fieldLength(packet + <usize>at);
    if (field < FIELD_MINIMUM || (field & 3) != 0 || field > length - at) return false;
    at += field;
    trailer.fieldCount += 1;
    trailer.fieldsEnd = at;
  }
  return at == length || readMac(packet, at, length, MAC_MAXIMUM_V4, trailer);
}

/** The last `length - at` octets as a MAC or a crypto-NAK. */
function readMac(packet: usize, at: i32, length: i32, maximum: i32, trailer: Trailer): bool {
  const rest = length - at;
  trailer.macStart = at;
  trailer.macLength = rest;
  if (rest == CRYPTO_NAK_LENGTH) {
    trailer.cryptoNak = 1;
    return read32(packet + <usize>at) == 0;
  }
  return rest >= MAC_MINIMUM && rest <= maximum && (rest & 3) == 0;
}

/**
 * Start a field of `valueLength` octets at `at`: writes type, length and the zero padding, and returns the whole
 * length. The value goes to `at + FIELD_HEADER`. `last` asks for the minimum of a last field without a MAC.
 *
 * `valueLength` MUST be at most 65528, so that the length fits its 16 bits as a multiple of four.
 */
export function writeField(at: usize, type: i32, valueLength: i32, last: bool): i32 {
  const minimum = last ? LAST_FIELD_MINIMUM : FIELD_MINIMUM;
  const length = max((FIELD_HEADER + valueLength + 3) & ~3, minimum);
  store<u16>(at, bswap<u16>(<u16>type));
  store<u16>(at, bswap<u16>(<u16>length), 2);
  memory.fill(at + FIELD_HEADER, 0, length - FIELD_HEADER);
  return length;
}
