// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * ML-KEM-768 (FIPS 203) as a client has it, by the core (assembly/crypto/mlkem.ts). The seed is the decapsulation key. Tested
 * in groups.test.ts against noble.
 *
 * @module
 */

import { Core, type CoreExports } from "../core/core.ts";

export const SEED_LENGTH = 64;
export const CIPHERTEXT_LENGTH = 1088;
const KEY_LENGTH = 1184;
const SECRET_LENGTH = 32;

let core: Core | undefined;

/** What others seal for the holder of the seed. */
export function encapsulationKey(seed: Uint8Array): Uint8Array {
  return computed(KEY_LENGTH, [seed], ({ mlkemKey }, at, out) => mlkemKey(at, out));
}

/** The secret of a ciphertext; of one that nobody made with the key, a secret that nobody knows. */
export function decapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return computed(SECRET_LENGTH, [seed, ciphertext], ({ mlkemOpen }, at, out) => mlkemOpen(at, at + SEED_LENGTH, out));
}

/** What `act` makes of the parts, which lie at `at`. Nothing of it stays in the core's memory. */
function computed(length: number, parts: readonly Uint8Array[], act: (exports: CoreExports, at: number, out: number) => void): Uint8Array {
  core ??= new Core();
  const at = core.constant("SCRATCH");
  let out = at;
  for (const part of parts) {
    core.bytes.set(part, out);
    out += part.length;
  }
  act(core.exports, at, out);
  const result = core.bytes.slice(out, out + length);
  core.bytes.fill(0, at, out + length);
  return result;
}
