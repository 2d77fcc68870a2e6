// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The keyed MACs of NTP (RFC 5905 §7.3, RFC 8573) behind one face: MD5, SHA-1 and SHA-256 of the key and then the data,
 * and AES-CMAC with a key of 128 or 256 bits.
 *
 * It knows nothing of packets, key identifiers or key files. A digest over key and data is a weak MAC, which RFC 8573
 * therefore replaces; those types are here because servers in the field have no other. Tested in mac.test.ts.
 */

import { CMAC_CONTEXT_SIZE, CMAC_LENGTH, cmac, cmacKey } from "./cmac";
import { equalOctets } from "./constant";
import { MD5_LENGTH, md5Finish, md5Start, md5Update } from "./md5";
import { SHA1_LENGTH, sha1Finish, sha1Start, sha1Update } from "./sha1";
import { SHA256_LENGTH, sha256Finish, sha256Start, sha256Update } from "./sha256";

export const MAC_MD5: i32 = 1;
export const MAC_SHA1: i32 = 2;
export const MAC_SHA256: i32 = 3;
export const MAC_AES128: i32 = 4;
export const MAC_AES256: i32 = 5;
/** Octets of the longest. */
export const MAC_LONGEST: i32 = SHA256_LENGTH;
/** NTPv4 has room for so many octets of digest, and cuts longer ones to that (RFC 7822 §7.5.1.4). */
export const MAC_TRUNCATED: i32 = 20;

const context: usize = memory.data(CMAC_CONTEXT_SIZE, 16);
const expected: usize = memory.data(MAC_LONGEST, 16);

/** Octets of a whole MAC; 0 for a type that is not known. */
export function macLength(type: i32): i32 {
  if (type == MAC_MD5) return MD5_LENGTH;
  if (type == MAC_SHA1) return SHA1_LENGTH;
  if (type == MAC_SHA256) return SHA256_LENGTH;
  return type == MAC_AES128 || type == MAC_AES256 ? CMAC_LENGTH : 0;
}

/** Whether a key of `keyLength` octets can be used: CMAC wants exactly its cipher's, a digest takes any but an empty one. */
export function macKeyFits(type: i32, keyLength: i32): bool {
  if (type == MAC_AES128) return keyLength == 16;
  if (type == MAC_AES256) return keyLength == 32;
  return macLength(type) > 0 && keyLength > 0;
}

/** Write the whole MAC at `out`. Returns its length, 0 when type or key do not fit; then nothing is written. */
export function macWrite(type: i32, key: usize, keyLength: i32, data: usize, dataLength: i32, out: usize): i32 {
  if (!macKeyFits(type, keyLength) || dataLength < 0) return 0;
  if (type == MAC_MD5) {
    md5Start();
    md5Update(key, keyLength);
    md5Update(data, dataLength);
    md5Finish(out);
  } else if (type == MAC_SHA1) {
    sha1Start();
    sha1Update(key, keyLength);
    sha1Update(data, dataLength);
    sha1Finish(out);
  } else if (type == MAC_SHA256) {
    sha256Start();
    sha256Update(key, keyLength);
    sha256Update(data, dataLength);
    sha256Finish(out);
  } else {
    cmacKey(key, keyLength, context);
    cmac(context, data, dataLength, out);
  }
  return macLength(type);
}

/**
 * Whether `mac`, `length` octets, is right, in constant time. It must be whole, or cut to exactly 20 octets if it is longer:
 * any other length is refused, as a shorter MAC is easier to guess.
 */
export function macVerify(type: i32, key: usize, keyLength: i32, data: usize, dataLength: i32, mac: usize, length: i32): bool {
  const whole = macLength(type);
  if (length != whole && length != min(whole, MAC_TRUNCATED)) return false;
  if (macWrite(type, key, keyLength, data, dataLength, expected) == 0) return false;
  const right = equalOctets(expected, mac, length);
  memory.fill(expected, 0, MAC_LONGEST);
  return right;
}
