// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The reply of an NTS server (RFC 8915 §5.7), made by other means than the core's own.
 *
 * @module
 */

import { aessiv, gcmsiv } from "@noble/ciphers/aes.js";
import { concat, field } from "../support/core.ts";

/** Octets of a key, by the AEAD's number. */
export const KEY_LENGTHS = [[15, 32], [16, 48], [17, 64], [30, 16]] as const;

const UNIQUE_IDENTIFIER = 0x0104;
const COOKIE = 0x0204;
const AUTHENTICATOR = 0x0404;
const AES_128_GCM_SIV = 30;

export interface NtsReply {
  readonly aead: number;
  readonly s2c: Uint8Array;
  /** Octets for the nonce; what is too much is left. */
  readonly random: Uint8Array;
  readonly header: Uint8Array;
  readonly identifier: Uint8Array;
  readonly cookie: Uint8Array;
}

/** `header` with the identifier of the request, and a cookie that only the client can read. */
export function ntsReply({ aead, s2c, random, header, identifier, cookie }: NtsReply): Uint8Array {
  const before = concat(header, field(UNIQUE_IDENTIFIER, 4 + identifier.length, undefined, identifier));
  const inside = field(COOKIE, 4 + cookie.length, undefined, cookie);
  const nonce = random.slice(0, aead === AES_128_GCM_SIV ? 12 : 16);
  const sealed = aead === AES_128_GCM_SIV ? gcmsiv(s2c, nonce, before).encrypt(inside) : aessiv(s2c, before, nonce).encrypt(inside);
  const value = concat(Uint8Array.of(0, nonce.length, sealed.length >> 8, sealed.length & 255), nonce, sealed);
  return concat(before, field(AUTHENTICATOR, 4 + value.length, undefined, value));
}
