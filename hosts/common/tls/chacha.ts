// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * ChaCha20-Poly1305 (RFC 8439), in a module of its own so that it is loaded when a server chooses it, and no more of noble
 * than is used. Tested in record.test.ts.
 *
 * @module
 */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";

export function seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array): Uint8Array {
  return chacha20poly1305(key, nonce, associated).encrypt(plain);
}

/** @throws when the tag does not fit. */
export function open(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array {
  return chacha20poly1305(key, nonce, associated).decrypt(sealed);
}
