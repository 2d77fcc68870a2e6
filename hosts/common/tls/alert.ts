// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Alerts (RFC 8446 §6) and the error that ends a connection.
 *
 *     level (1)  description (1)
 *
 * In TLS 1.3 the level says nothing: every alert but close_notify and user_canceled is fatal. Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";

export const ALERT = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const;

export type AlertName = keyof typeof ALERT;

/** What ends a connection: `alert` is what the other side is told, undefined when there is nobody to tell. */
export class TlsFailure extends NtpError {
  readonly alert: AlertName | undefined;

  constructor(alert: AlertName | undefined, message: string) {
    super("TLS", message);
    this.alert = alert;
  }
}

export function fail(alert: AlertName, message: string): never {
  throw new TlsFailure(alert, `TLS: ${message}`);
}

/** The octets of an alert. */
export function alertOctets(name: AlertName): Uint8Array {
  const warning = name === "close_notify" || name === "user_canceled";
  return Uint8Array.of(warning ? 1 : 2, ALERT[name]);
}

/** The name of a received alert, or its number in words. */
function alertName(description: number): string {
  const name = (Object.keys(ALERT) as AlertName[]).find((key) => ALERT[key] === description);
  return name ?? `alert ${description}`;
}

/** What happened, for whom the other side has refused. */
export function received(description: number): TlsFailure {
  const hint =
    description === ALERT.no_application_protocol ? "; does this port speak the protocol that was asked for?"
    : description === ALERT.protocol_version ? "; it does not speak TLS 1.3"
    : description === ALERT.handshake_failure || description === ALERT.insufficient_security ? "; no common cipher suite, group or certificate"
    : "";
  return new TlsFailure(undefined, `TLS: the server ended the connection with ${alertName(description)}${hint}`);
}
