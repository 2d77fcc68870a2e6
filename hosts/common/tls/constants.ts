// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Code points of TLS 1.3 (RFC 8446 appendix B) that are used here, and what is offered. Tested in hello.test.ts.
 *
 * @module
 */

import type { SignatureAlgorithm } from "../x509/algorithms.ts";

export const TLS_1_2 = 0x0303;
export const TLS_1_3 = 0x0304;

export const CONTENT = { change_cipher_spec: 20, alert: 21, handshake: 22, application_data: 23 } as const;

export const MESSAGE = {
  client_hello: 1,
  server_hello: 2,
  new_session_ticket: 4,
  encrypted_extensions: 8,
  certificate: 11,
  certificate_request: 13,
  certificate_verify: 15,
  finished: 20,
  key_update: 24,
  message_hash: 254,
} as const;

/** The name of a handshake message, for messages to people. */
export function messageName(type: number): string {
  const found = Object.entries(MESSAGE).find(([, value]) => value === type);
  return found ? found[0] : `handshake message ${type}`;
}

export const EXTENSION = {
  server_name: 0,
  supported_groups: 10,
  signature_algorithms: 13,
  alpn: 16,
  supported_versions: 43,
  cookie: 44,
  key_share: 51,
} as const;

/** SHA-256 of "HelloRetryRequest": the random that makes a ServerHello one (RFC 8446 §4.1.3). */
export const RETRY_RANDOM = Uint8Array.from(
  "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c".match(/../g) ?? [],
  (pair) => parseInt(pair, 16),
);

/** A signature scheme (RFC 8446 §4.2.3): how to verify it, and whether it may sign the handshake or only certificates. */
export interface SignatureScheme {
  readonly id: number;
  readonly name: string;
  readonly algorithm: SignatureAlgorithm;
  /** ECDSA: the curve that the scheme is bound to in a handshake. */
  readonly curve?: "P-256" | "P-384";
  readonly handshake: boolean;
}

const pss = (hash: "SHA-256" | "SHA-384" | "SHA-512", saltLength: number) => ({ kind: "rsa-pss", hash, saltLength }) as const;

/** What is offered, the preferred first. */
export const SCHEMES: readonly SignatureScheme[] = [
  { id: 0x0403, name: "ecdsa_secp256r1_sha256", algorithm: { kind: "ecdsa", hash: "SHA-256" }, curve: "P-256", handshake: true },
  { id: 0x0807, name: "ed25519", algorithm: { kind: "ed25519" }, handshake: true },
  { id: 0x0503, name: "ecdsa_secp384r1_sha384", algorithm: { kind: "ecdsa", hash: "SHA-384" }, curve: "P-384", handshake: true },
  { id: 0x0804, name: "rsa_pss_rsae_sha256", algorithm: pss("SHA-256", 32), handshake: true },
  { id: 0x0805, name: "rsa_pss_rsae_sha384", algorithm: pss("SHA-384", 48), handshake: true },
  { id: 0x0806, name: "rsa_pss_rsae_sha512", algorithm: pss("SHA-512", 64), handshake: true },
  { id: 0x0401, name: "rsa_pkcs1_sha256", algorithm: { kind: "rsa-pkcs1", hash: "SHA-256" }, handshake: false },
  { id: 0x0501, name: "rsa_pkcs1_sha384", algorithm: { kind: "rsa-pkcs1", hash: "SHA-384" }, handshake: false },
  { id: 0x0601, name: "rsa_pkcs1_sha512", algorithm: { kind: "rsa-pkcs1", hash: "SHA-512" }, handshake: false },
];
