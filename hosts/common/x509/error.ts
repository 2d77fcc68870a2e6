// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Why a certificate was refused. To callers it is an `NtpError` with code `TLS`; `reason` lets TLS choose the alert.
 * Tested in path.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";

export type CertificateReason =
  /** Not DER, or not as RFC 5280 wants it. */
  | "malformed"
  /** An algorithm, key or critical extension that we do not do, or that is too weak. */
  | "unsupported"
  /** Not yet, or no longer, valid. */
  | "expired"
  /** No path to a trusted root. */
  | "untrusted"
  /** For another name, another purpose, or outside of what its authority may certify; a pin is missing. */
  | "unfit";

export class CertificateError extends NtpError {
  readonly reason: CertificateReason;

  constructor(reason: CertificateReason, message: string) {
    super("TLS", message);
    this.reason = reason;
  }
}

export function malformed(message: string): never {
  throw new CertificateError("malformed", message);
}
