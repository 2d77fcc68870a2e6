// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * At which time a server's certificate must be valid, while our own clock may be the one that is wrong (RFC 8915 §8.5).
 *
 *   "system"        this host's clock, whatever it says. A clock that is years off finds no server; nobody is fooled.
 *   "until-synced"  validity is not judged until the clock was synchronised once: an expired certificate whose key was stolen
 *                   can then give us the time. Name and chain are judged as ever.
 *   "saved"         this host's clock, but never before a time that is known to have passed: for machines whose clock begins at
 *                   1970. Certificates that have expired since then are taken.
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
  /** ms since 1970 by the clock that was synchronised, where that is not this host's. */
  readonly clockMs?: number | undefined;
  /** ms since 1970, by Roughtime. */
  readonly roughtimeMs?: number | undefined;
  /** ms since 1970: it was later than this already; and this host's clock. */
  readonly savedMs?: number | undefined;
  readonly hostMs?: number | undefined;
}

/** The `time` for {@link TlsClientOptions}. @throws {NtpError} `TLS` when the policy's time is not known yet. */
export function certificateTime(policy: CertTime, known: KnownTime): number | "any" | undefined {
  if (policy === "system") return undefined;
  // From the first synchronisation on, the clock that was synchronised is the best there is.
  if (known.synchronised) return known.clockMs;
  if (policy === "saved") return (known.savedMs ?? 0) > (known.hostMs ?? 0) ? known.savedMs : undefined;
  if (policy === "until-synced") return "any";
  if (known.roughtimeMs === undefined) throw new NtpError("TLS", 'expected the time of a Roughtime server, as certTime = "roughtime" asks for, got none; check the roughtime sources');
  return known.roughtimeMs;
}
