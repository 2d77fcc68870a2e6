// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Ed25519 (RFC 8032), in a module of its own so that it is loaded when it is met, and no more of noble than is used.
 * Tested in algorithms.test.ts.
 *
 * @module
 */

import { ed25519 } from "@noble/curves/ed25519.js";

/** Whether `signature` over `data` was made with the private half of `point`. RFC 8032, not the laxer ZIP 215: one reading of each signature. */
export function verifyEd25519(point: Uint8Array, signature: Uint8Array, data: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, data, point, { zip215: false });
  } catch {
    return false;
  }
}
