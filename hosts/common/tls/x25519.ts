// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * X25519 (RFC 7748 §5) by noble's Montgomery ladder alone.
 *
 * noble's ready-made x25519 multiplies the base point on the Edwards curve, with tables that must be computed first: faster
 * for a program that makes many keys, slower for a page that makes one, and a quarter more code. Loaded where WebCrypto has no
 * X25519. Tested in groups.test.ts against RFC 7748, node:crypto and noble's own.
 *
 * @module
 */

import { pow } from "@noble/curves/abstract/modular.js";
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import type { X25519Pair } from "./groups.ts";

const P = 2n ** 255n - 19n;

/** §5: a multiple of the cofactor, of a fixed length. */
function clamp(scalar: Uint8Array): Uint8Array<ArrayBuffer> {
  const clamped = Uint8Array.from(scalar);
  clamped[0] = (clamped[0] ?? 0) & 248;
  clamped[31] = ((clamped[31] ?? 0) & 127) | 64;
  return clamped;
}

export const x25519 = /* @__PURE__ */ montgomery({ P, type: "x25519", adjustScalarBytes: clamp, powPminus2: (x) => pow(x, P - 2n, P) });

export function x25519Pair(secret: Uint8Array): X25519Pair {
  return { share: x25519.getPublicKey(secret), agree: async (theirs) => x25519.getSharedSecret(secret, theirs) };
}
