// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Hash, HMAC and HKDF-Expand (RFC 5869 §2.3) of the cipher suites by WebCrypto, which every runtime and page has.
 *
 * Tested with schedule.test.ts against the traces of RFC 8448, and in hash.test.ts against node:crypto.
 *
 * @module
 */

import { wipe } from "../octets.ts";
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
  const out = new Uint8Array(length);
  let input = concat(info, Uint8Array.of(1));
  for (let at = 0; at < length; at += hash.length) {
    const block = await hmac(hash, secret, input);
    out.set(block.subarray(0, length - at), at);
    wipe(input);
    input = concat(block, info, Uint8Array.of(at / hash.length + 2));
    wipe(block);
  }
  wipe(input);
  return out;
}
