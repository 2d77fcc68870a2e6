// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who vouches for an answer: a symmetric key or NTS, put into an instance of the core and taken out again.
 * Tested in tests/interop/keys.test.ts and tests/interop/nts-client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Core } from "../core/core.ts";
import { KEY_TYPES, type SymmetricKey } from "./keys.ts";

/** What key establishment gives (RFC 8915 §4). */
export interface NtsKeys {
  /** AEAD algorithm, by IANA's number. */
  readonly aead: number;
  readonly c2s: Uint8Array;
  readonly s2c: Uint8Array;
  /** Each is used once, the oldest first: taking one removes it. */
  readonly cookies: Uint8Array[];
  /** The key exchange group of the TLS connection they came by, where the runtime tells it. */
  readonly group?: string | undefined;
}

/** How a request is to be authenticated. */
export type Authentication = { readonly kind: "key"; readonly key: SymmetricKey } | { readonly kind: "nts"; readonly keys: NtsKeys };

const AUTH = { key: 1, nts: 2 } as const;
/** Unique identifier and nonce of one request. */
const NTS_RANDOM_OCTETS = 48;

/** The number by which the core knows the kind. */
export function authNumber(authentication: Authentication | undefined): number {
  return authentication ? AUTH[authentication.kind] : 0;
}

/** Put a key at `index` of the core's table. */
export function putKey(core: Core, index: number, { id, type, secret }: SymmetricKey): void {
  const scratch = core.constant("SCRATCH");
  core.bytes.set(secret, scratch);
  const taken = core.exports.keySet(index, id, KEY_TYPES.indexOf(type) + 1, scratch, secret.length);
  core.bytes.fill(0, scratch, scratch + secret.length);
  if (!taken) throw new NtpError("INVALID_ARGUMENT", `key ${id}: expected a key the core knows, got ${type} with ${secret.length} octets`);
}

/** Open session `index` with the keys; up to `wanted` cookies are put into it, and kept full by what replies bring. */
export function putNts(core: Core, index: number, { aead, c2s, s2c, cookies }: NtsKeys, wanted: number): void {
  const scratch = core.constant("SCRATCH");
  core.bytes.set(c2s, scratch);
  core.bytes.set(s2c, scratch + c2s.length);
  const opened = core.exports.ntsOpen(index, aead, scratch, scratch + c2s.length, wanted);
  core.bytes.fill(0, scratch, scratch + c2s.length + s2c.length);
  if (!opened) throw new NtpError("UNSUPPORTED", `expected an AEAD algorithm of 15, 16, 17 or 30, got ${aead}`);
  for (const cookie of cookies.splice(0, wanted)) {
    core.bytes.set(cookie, scratch);
    core.exports.ntsCookie(index, scratch, cookie.length);
  }
}

/** What the next NTS request's identifier and nonce are made of. */
export function putRandom(core: Core, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): void {
  core.bytes.set(random(new Uint8Array(NTS_RANDOM_OCTETS)), core.constant("NTS_RANDOM"));
}
