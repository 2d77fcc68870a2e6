// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The keys of a session, out of its TLS connection (RFC 8915 §4.2, §5.1).
 *
 *   context   protocol (2) ‖ AEAD algorithm (2) ‖ 0 for the key from client to server, 1 for the other
 *
 * For AEAD 30 there are two contexts in the field: chrony 4.4 to 4.6 wrote 15 where the RFC means 30. Who writes 30 says so
 * with record 1024; between two that both sent it the RFC's context holds, else chrony's. A server that follows the RFC but
 * does not know the record answers requests under chrony's keys with NTSN: so the client gets the other pair as well.
 * Tested in establish.test.ts.
 *
 * @module
 */

import type { TlsStream } from "../stream.ts";
import { AES_128_GCM_SIV, EXPORTER_LABEL, keyLength } from "./records.ts";

/** Keys from client to server and from server to client. Secrets. */
export interface SessionKeys {
  readonly c2s: Uint8Array;
  readonly s2c: Uint8Array;
}

const AES_SIV_CMAC_256 = 15;

/** `compliant`: whether both sides sent record 1024; of no meaning but for AEAD 30. */
export async function sessionKeys(stream: Pick<TlsStream, "exportKey">, protocol: number, aead: number, compliant: boolean): Promise<SessionKeys> {
  const length = keyLength(aead);
  if (length === undefined) throw new RangeError(`expected a known AEAD algorithm, got ${aead}`);
  const said = aead === AES_128_GCM_SIV && !compliant ? AES_SIV_CMAC_256 : aead;
  const key = (direction: number) => stream.exportKey(EXPORTER_LABEL, Uint8Array.of(protocol >> 8, protocol & 255, said >> 8, said & 255, direction), length);
  const [c2s, s2c] = await Promise.all([key(0), key(1)]);
  return { c2s, s2c };
}
