// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Certificates in PEM (RFC 7468), one or many, with any text around them. Tested in path.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";

const BLOCK = /-----BEGIN (?:X509 )?CERTIFICATE-----([^-]*)-----END (?:X509 )?CERTIFICATE-----/g;

/** The DER of each certificate in `text`. @throws {NtpError} `INVALID_ARGUMENT` when there is none, or one is not base64. */
export function certificatesIn(text: string): Uint8Array[] {
  const found = Array.from(text.matchAll(BLOCK), ([, body = ""]) => decode(body.replace(/\s+/g, "")));
  if (found.length > 0) return found;
  throw new NtpError("INVALID_ARGUMENT", 'expected certificates in PEM ("-----BEGIN CERTIFICATE-----"), found none');
}

function decode(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new NtpError("INVALID_ARGUMENT", "expected a certificate in PEM as base64, got something else", { cause });
  }
}
