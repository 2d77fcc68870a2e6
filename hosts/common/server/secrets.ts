// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's symmetric keys: checked, and put into a core in place of those that were there.
 *
 * The core answers a request with the key that the request names, and with a crypto-NAK where its MAC is wrong. Secrets are
 * never told again by anything here. Tested in tests/server/features.test.ts, and with chronyd in tests/interop/keys-server.test.ts.
 *
 * @module
 */

import { putKey } from "../client/authentication.ts";
import { checkedKey, type SymmetricKey } from "../client/keys.ts";
import type { Core } from "../core/core.ts";
import { NtpError } from "../errors.ts";

/** KEY_COUNT of assembly/proto/keys.ts. */
export const KEYS_MOST = 256;

/** @throws {NtpError} `INVALID_ARGUMENT`, never with a secret */
export function checkedKeys(keys: readonly SymmetricKey[]): readonly SymmetricKey[] {
  if (keys.length > KEYS_MOST) throw new NtpError("INVALID_ARGUMENT", `expected at most ${KEYS_MOST} symmetric keys, got ${keys.length}`);
  const ids = new Set<number>();
  return keys.map((key) => {
    const { id, type, secret } = checkedKey(key);
    if (ids.has(id)) throw new NtpError("INVALID_ARGUMENT", `expected each symmetric key once, got key ${id} again`);
    ids.add(id);
    return { id, type, secret };
  });
}

/** Hold exactly these, checked. */
export function setKeys(core: Core, keys: readonly SymmetricKey[]): void {
  for (let index = 0; index < KEYS_MOST; index++) {
    const key = keys[index];
    // A key is cleared before another takes its place: a shorter secret would leave the end of a longer one behind.
    core.exports.keyClear(index);
    if (key) putKey(core, index, key);
  }
}
