// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The three cipher suites of TLS 1.3 that are spoken here (RFC 8446 §B.4).
 *
 * AES-GCM is WebCrypto's, which runs in constant time on the processor's own instructions; ChaCha20-Poly1305, which WebCrypto
 * has not, is noble's, and loaded when a server chooses it. Tested in record.test.ts.
 *
 * @module
 */

import { webCrypto } from "../x509/algorithms.ts";
import { SHA_256, SHA_384, type SuiteHash } from "./hash.ts";

/** An AEAD under one key. `open` rejects when the tag does not fit. */
export interface Aead {
  seal(nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array): Promise<Uint8Array>;
  open(nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Promise<Uint8Array>;
}

export interface Suite {
  readonly id: number;
  readonly name: string;
  readonly hash: SuiteHash;
  readonly keyLength: number;
  /** Records that one key may protect (RFC 8446 §5.5). */
  readonly limit: number;
  aead(key: Uint8Array): Aead;
}

export const TAG_LENGTH = 16;
export const NONCE_LENGTH = 12;

/** §5.5: 2^24.5 full records keep AES-GCM within 2^-57; we stop at 2^24. */
const GCM_LIMIT = 2 ** 24;
/** ChaCha20-Poly1305 has no limit below the sequence number's; this is what a double counts, and more than can be sent. */
const CHACHA_LIMIT = 2 ** 48;

/** What is offered, the preferred first. */
export const SUITES: readonly Suite[] = [
  { id: 0x1301, name: "TLS_AES_128_GCM_SHA256", hash: SHA_256, keyLength: 16, limit: GCM_LIMIT, aead: aesGcm },
  { id: 0x1302, name: "TLS_AES_256_GCM_SHA384", hash: SHA_384, keyLength: 32, limit: GCM_LIMIT, aead: aesGcm },
  { id: 0x1303, name: "TLS_CHACHA20_POLY1305_SHA256", hash: SHA_256, keyLength: 32, limit: CHACHA_LIMIT, aead: chacha },
];

function aesGcm(key: Uint8Array): Aead {
  const subtle = webCrypto();
  const imported = subtle.importKey("raw", key as BufferSource, "AES-GCM", false, ["encrypt", "decrypt"]);
  imported.catch(() => {});
  const how = (nonce: Uint8Array, associated: Uint8Array) =>
    ({ name: "AES-GCM", iv: nonce as BufferSource, additionalData: associated as BufferSource, tagLength: 8 * TAG_LENGTH }) as const;
  return {
    seal: async (nonce, associated, plain) => new Uint8Array(await subtle.encrypt(how(nonce, associated), await imported, plain as BufferSource)),
    open: async (nonce, associated, sealed) => new Uint8Array(await subtle.decrypt(how(nonce, associated), await imported, sealed as BufferSource)),
  };
}

function chacha(key: Uint8Array): Aead {
  const loaded = import("./chacha.ts");
  // Whoever uses the key hears of a failure; a key that is never used makes no unhandled rejection.
  loaded.catch(() => {});
  return {
    seal: async (nonce, associated, plain) => (await loaded).seal(key, nonce, associated, plain),
    open: async (nonce, associated, sealed) => (await loaded).open(key, nonce, associated, sealed),
  };
}
