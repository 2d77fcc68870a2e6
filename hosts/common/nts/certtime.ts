// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * At which time a server's certificate must be valid, while our own clock may be the one that is wrong (RFC 8915 §8.5).
 *
 *   "system"        this host's clock, whatever it says. A clock that is years off finds no server; nobody is fooled.
 *   "until-synced"  validity is not judged until the clock was synchronised once: an expired certificate whose key was stolen
 *                   can then give us the time. Name and chain are judged as ever.
 *   "roughtime"     the time that Roughtime servers agree on; without it no connection is made.
 *
 * A policy, never a fall-back: what holds is said in the configuration. Tested in certtime.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { CertificateTime as CertTime } from "./options.ts";

/** What is known of the time. */
export interface KnownTime {
  /** Whether this host's clock has been synchronised since it started. */
  readonly synchronised: boolean;
  /** ms since 1970, by Roughtime. */
  readonly roughtimeMs?: number | undefined;
}

/** The `time` for {@link TlsClientOptions}. @throws {NtpError} `TLS` when the policy's time is not known yet. */
export function certificateTime(policy: CertTime, known: KnownTime): number | "any" | undefined {
  // From the first synchronisation on, the system's clock is the best there is.
  if (policy === "system" || known.synchronised) return undefined;
  if (policy === "until-synced") return "any";
  if (known.roughtimeMs === undefined) throw new NtpError("TLS", 'expected the time of a Roughtime server, as certTime = "roughtime" asks for, got none; check the roughtime sources');
  return known.roughtimeMs;
}
