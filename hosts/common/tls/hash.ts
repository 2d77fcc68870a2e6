// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Hash, HMAC and HKDF-Expand (RFC 5869 §2.3) of the cipher suites by WebCrypto, which every runtime and page has.
 *
 * Tested with schedule.test.ts against the traces of RFC 8448, and in hash.test.ts against node:crypto.
 *
 * @module
 */

import { webCrypto } from "../x509/algorithms.ts";
import { concat } from "./codec.ts";

export interface SuiteHash {
  readonly name: "SHA-256" | "SHA-384";
  /** Octets of a digest. */
  readonly length: number;
}

export const SHA_256: SuiteHash = { name: "SHA-256", length: 32 };
export const SHA_384: SuiteHash = { name: "SHA-384", length: 48 };

export async function digest({ name }: SuiteHash, data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await webCrypto().digest(name, data as BufferSource));
}

/** `key` is not empty, which WebCrypto would refuse. */
export async function hmac({ name }: SuiteHash, key: Uint8Array, data: Uint8Array): Promise<Uint8Array> {
  const imported = await webCrypto().importKey("raw", key as BufferSource, { name: "HMAC", hash: name }, false, ["sign"]);
  return new Uint8Array(await webCrypto().sign("HMAC", imported, data as BufferSource));
}

/** WebCrypto's own HKDF cannot expand without extracting. */
export async function expand(hash: SuiteHash, secret: Uint8Array, info: Uint8Array, length: number): Promise<Uint8Array> {
  let out: Uint8Array = new Uint8Array(0);
  let block = out;
  for (let count = 1; out.length < length; count++) {
    block = await hmac(hash, secret, concat(block, info, Uint8Array.of(count)));
    out = concat(out, block);
  }
  return out.subarray(0, length);
}
