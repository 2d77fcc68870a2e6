// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a caller may say of key establishment. Tested in tests/interop/certtime.test.ts.
 *
 * @module
 */

import type { RoughtimeServerEntry } from "../roughtime/client.ts";
import type { PostQuantum } from "../stream.ts";

/** Which time certificates are judged by; docs/nts.md says when which is right. */
export type CertificateTime = "system" | "until-synced" | "saved" | "roughtime";
/** A Roughtime server: `roughtime:HOST[:PORT]#KEY`, or as a list has it (`parseServerList()` of "escapement/roughtime"). */
export type RoughtimeChoice = string | RoughtimeServerEntry;

export interface NtsOptions {
  /** Trusted roots, PEM. Default the runtime's own. */
  ca?: string;
  /** SHA-256 of SubjectPublicKeyInfo, base64: the certificate chain must contain one of them, beside all other checks. */
  pins?: readonly string[];
  /** Hybrid key exchange with ML-KEM-768. Default "prefer". */
  pq?: PostQuantum;
  /** AEAD algorithms by IANA's numbers, the most wanted first. Default 30, 15, 17, 16. */
  aeads?: readonly number[];
  /** Default "system". */
  certTime?: CertificateTime;
  /** For `certTime: "roughtime"`: three servers or more. */
  roughtime?: readonly RoughtimeChoice[];
  /** For `certTime: "saved"`: a time that is known to have passed, ms since 1970. */
  savedMs?: number;
  /** Is given lines in the NSS key log format, for debugging. Whoever has them can read the connection. */
  keyLog?: (line: string) => void;
}
