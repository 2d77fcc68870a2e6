// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Symmetric keys, and the MAC at the end of a packet (RFC 5905 §7.3, RFC 8573).
 *
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                        Key identifier                         |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |     Digest of everything before the identifier, 16..20        |
 *   |                  (NTPv3: up to 64) octets ...                 |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * In NTPv4 a longer digest is cut to 20 octets, so that a MAC cannot be taken for an extension field (RFC 7822 §7.5.1.4); so
 * do chrony and ntpd. In NTPv5 the MAC is a field: type and length stand before the identifier, and no digest is cut. Secrets lie in the core's memory only; nothing here tells them. Tested in keys.test.ts, and against
 * chronyd in tests/interop.
 */

import { macKeyFits, macLength, macVerify, macWrite } from "../crypto/mac";
import { FIELD_HEADER, Trailer, fieldLength } from "./extension";
import { read32, write32 } from "./header";
import { FIELD_MAC, VERSION_5, startField5 } from "./v5";

export const KEY_COUNT: i32 = 256;
/** A longer secret is none that anybody types. */
export const SECRET_LIMIT: i32 = 64;
const KEY_ID_LENGTH: i32 = 4;
/** RFC 7822 §7.5.1.4: with its key identifier 24 octets. */
const DIGEST_LIMIT_V4: i32 = 20;

/** One key. Its secret follows in memory. */
@unmanaged
export class Key {
  id: u32;
  /** A MAC_* of crypto/mac.ts; 0: an empty place. */
  type: i32;
  length: i32;
}

const STRIDE: usize = 12 + 68;
const keys: usize = memory.data(KEY_COUNT * STRIDE, 8);

function secretOf(key: Key): usize {
  return changetype<usize>(key) + offsetof<Key>();
}

export function keyAt(index: i32): Key {
  return changetype<Key>(keys + <usize>(index & (KEY_COUNT - 1)) * STRIDE);
}

/**
 * Put a key at `index`, 0..255: an identifier that is not zero, a type of crypto/mac.ts and a secret of 1..64 octets. Returns 0
 * when it is no key.
 */
export function keySet(index: i32, id: u32, type: i32, secret: usize, length: i32): i32 {
  if (id == 0 || length > SECRET_LIMIT || !macKeyFits(type, length)) return 0;
  const key = keyAt(index);
  key.id = id;
  key.type = type;
  key.length = length;
  memory.copy(secretOf(key), secret, length);
  return 1;
}

/** Forget the key at `index`, secret and all. */
export function keyClear(index: i32): void {
  memory.fill(changetype<usize>(keyAt(index)), 0, STRIDE);
}

/** The index of key `id`, or -1. */
export function keyFind(id: u32): i32 {
  if (id == 0) return -1;
  for (let index = 0; index < KEY_COUNT; index++) {
    if (keyAt(index).id == id) return index;
  }
  return -1;
}

/** Octets of the MAC that key `index` makes, with its identifier; 0 where there is no key. */
export function keyMacLength(index: i32, version: i32): i32 {
  const digest = macLength(keyAt(index).type);
  if (digest == 0) return 0;
  if (version == VERSION_5) return FIELD_HEADER + KEY_ID_LENGTH + digest;
  return KEY_ID_LENGTH + (version >= 4 ? min(digest, DIGEST_LIMIT_V4) : digest);
}

/** The longest digest there is. */
const digest: usize = memory.data(64, 8);

/** Octets before the key identifier: in NTPv5 those of a field's header. */
export function leadOf(version: i32): i32 {
  return version == VERSION_5 ? FIELD_HEADER : 0;
}

/** Append the MAC to the packet. Returns the whole length. */
export function keyWrite(index: i32, packet: usize, length: i32, version: i32): i32 {
  const key = keyAt(index);
  const whole = keyMacLength(index, version);
  if (whole == 0) return length;
  macWrite(key.type, secretOf(key), key.length, packet, length, digest);
  const lead = leadOf(version);
  const at = packet + <usize>length;
  if (lead != 0) startField5(at, FIELD_MAC, whole);
  write32(at + <usize>lead, key.id);
  memory.copy(at + <usize>(lead + KEY_ID_LENGTH), digest, whole - lead - KEY_ID_LENGTH);
  return length + whole;
}

/** Whether the packet's MAC is that of key `index`. Takes as long for a wrong digest as for a right one. */
export function keyHolds(index: i32, packet: usize, version: i32, trailer: Trailer): bool {
  const key = keyAt(index);
  if (trailer.cryptoNak || trailer.macLength == 0 || trailer.macLength != keyMacLength(index, version)) return false;
  const lead = leadOf(version);
  // A field's length excludes padding, of which a MAC has none.
  if (lead != 0 && fieldLength(packet + <usize>trailer.macStart) != trailer.macLength) return false;
  const mac = packet + <usize>(trailer.macStart + lead);
  if (read32(mac) != key.id) return false;
  const octets = trailer.macLength - lead - KEY_ID_LENGTH;
  return macVerify(key.type, secretOf(key), key.length, packet, trailer.macStart, mac + KEY_ID_LENGTH, octets);
}
