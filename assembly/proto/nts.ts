// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The extension fields of NTS (RFC 8915 §5): their types and the layout of the authenticator, for client and server alike.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |            0x0404             |       Length (all of it)      |
 * 4 |         Nonce length          |       Ciphertext length       |
 * 8 |           Nonce, padded with zeros to 32 bits ...             |
 *   |         Ciphertext, padded with zeros to 32 bits ...          |
 *   |   Additional padding, so that an answer's nonce has room ...  |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * The others are a type, a length and a value: unique identifier (32 octets or more), cookie, placeholder for a cookie. All
 * that stands before the authenticator is authenticated; what would stand behind it is not, and is refused by the reader
 * of the packet. Nothing here knows keys. Tested in assembly/server/nts.test.ts.
 */

import { FIELD_HEADER, fieldLength } from "./extension";

export const UNIQUE_IDENTIFIER_TYPE: i32 = 0x0104;
export const COOKIE_TYPE: i32 = 0x0204;
export const PLACEHOLDER_TYPE: i32 = 0x0304;
export const AUTHENTICATOR_TYPE: i32 = 0x0404;
/** RFC 8915 §5.3: a shorter one could be guessed. */
export const UNIQUE_IDENTIFIER_MINIMUM: i32 = 32;
/** RFC 8915 §5.7: a client keeps that many cookies, and a server gives no more in one answer. */
export const COOKIES_MAXIMUM: i32 = 8;
/** Type, length, and the two lengths. */
export const AUTHENTICATOR_HEADER: i32 = FIELD_HEADER + 4;
/** Kiss code NTSN (RFC 8915 §5.7): the server could not open the cookie or verify the request. */
export const KISS_NTSN: u32 = 0x4e54534e;
/** The tag of every AEAD here. */
const TAG: i32 = 16;

/** Where the parts of an authenticator lie in memory. */
@unmanaged
export class Authenticator {
  nonce: usize;
  nonceLength: i32;
  sealed: usize;
  sealedLength: i32;
}

/** Rounded up to whole words of 32 bits. */
export function wordsOf(length: i32): i32 {
  return (length + 3) & ~3;
}

/** Take the authenticator at `field` apart. Its own length has been found to lie in the packet. False when it is malformed. */
export function readAuthenticator(field: usize, into: Authenticator): bool {
  const body = fieldLength(field) - AUTHENTICATOR_HEADER;
  if (body < 0) return false;
  const nonceLength = <i32>bswap<u16>(load<u16>(field, 4));
  const sealedLength = <i32>bswap<u16>(load<u16>(field, 6));
  if (nonceLength == 0 || sealedLength < TAG || wordsOf(nonceLength) + wordsOf(sealedLength) > body) return false;
  into.nonce = field + <usize>AUTHENTICATOR_HEADER;
  into.nonceLength = nonceLength;
  into.sealed = into.nonce + <usize>wordsOf(nonceLength);
  into.sealedLength = sealedLength;
  return true;
}

/** How long an authenticator is whose text has `textLength` octets. */
export function authenticatorLength(nonceLength: i32, textLength: i32): i32 {
  return AUTHENTICATOR_HEADER + wordsOf(nonceLength) + wordsOf(TAG + textLength);
}

/**
 * Start an authenticator at `field`: its header and zeros for all padding. `length` is at least {@link authenticatorLength};
 * what it is more is additional padding. Where nonce and ciphertext go is said in `into`.
 */
export function writeAuthenticator(field: usize, length: i32, nonceLength: i32, textLength: i32, into: Authenticator): void {
  store<u16>(field, bswap<u16>(<u16>AUTHENTICATOR_TYPE));
  store<u16>(field, bswap<u16>(<u16>length), 2);
  store<u16>(field, bswap<u16>(<u16>nonceLength), 4);
  store<u16>(field, bswap<u16>(<u16>(TAG + textLength)), 6);
  into.nonce = field + <usize>AUTHENTICATOR_HEADER;
  into.nonceLength = nonceLength;
  into.sealed = into.nonce + <usize>wordsOf(nonceLength);
  into.sealedLength = TAG + textLength;
  zero(into.nonce + <usize>nonceLength, into.sealed);
  zero(into.sealed + <usize>into.sealedLength, field + <usize>length);
}

/** Mostly there is nothing to pad, and a call to fill nothing would cost more than the rest. */
function zero(from: usize, to: usize): void {
  if (to > from) memory.fill(from, 0, to - from);
}
