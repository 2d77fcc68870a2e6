// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Ed25519 (RFC 8032) as Roughtime uses it: over a context, its trailing NUL, and the value of a tag (RFC 10049 §5.2.1).
 *
 * Verified by noble everywhere, strictly (RFC 8032, not ZIP 215), so that a report valid here is valid everywhere. Signed by
 * the runtime's WebCrypto where it has Ed25519 without complaint, else by noble. Tested in response.test.ts and keys.test.ts.
 *
 * @module
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import type { Host } from "../host.ts";
import { concat } from "../octets.ts";

const text = new TextEncoder();
export const RESPONSE_CONTEXT = text.encode("RoughTime v1 response signature\0");
export const DELEGATION_CONTEXT = text.encode("RoughTime v1 delegation signature\0");
export const KEY_LENGTH = 32;

/** Signs with one secret key. */
export type Signer = (context: Uint8Array, value: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Whether the signature holds; false for octets that are no signature or no key, too. */
export function verify(signature: Uint8Array, context: Uint8Array, value: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, concat(context, value), publicKey, { zip215: false });
  } catch {
    return false;
  }
}

export function publicKeyOf(seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(seed);
}

export function sign(seed: Uint8Array, context: Uint8Array, value: Uint8Array): Uint8Array {
  return ed25519.sign(concat(context, value), seed);
}

/** PKCS #8 of an Ed25519 key (RFC 8410 §7) up to the seed. */
const PKCS8_HEAD = Uint8Array.of(0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20);

/** The fastest signer that this runtime has. */
export async function signerOf(host: Pick<Host, "runtime" | "version">, seed: Uint8Array): Promise<Signer> {
  const subtle = hasQuietEd25519(host) ? globalThis.crypto?.subtle : undefined;
  try {
    const key = await subtle?.importKey("pkcs8", concat(PKCS8_HEAD, seed), "Ed25519", false, ["sign"]);
    if (subtle && key) return async (context, value) => new Uint8Array(await subtle.sign("Ed25519", key, concat(context, value)));
  } catch {
    // A runtime that does not know the algorithm, or not this format.
  }
  return (context, value) => sign(seed, context, value);
}

/** Older Nodes have it, too, but warn on standard error that it is experimental. */
const QUIET_SINCE: Readonly<Record<number, readonly [minor: number, patch: number]>> = { 20: [19, 3], 22: [13, 0] };

function hasQuietEd25519({ runtime, version }: Pick<Host, "runtime" | "version">): boolean {
  if (runtime !== "node") return true;
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  const since = QUIET_SINCE[major];
  return since ? minor > since[0] || (minor === since[0] && patch >= since[1]) : major >= 24;
}
