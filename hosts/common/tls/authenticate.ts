// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's Certificate and CertificateVerify (RFC 8446 §4.4.2, §4.4.3).
 *
 *     Certificate        request_context <0..255>  certificate_list <0..2^24-1> of { cert_data <1..2^24-1>, extensions <0..2^16-1> }
 *     CertificateVerify  algorithm (2)  signature <0..2^16-1>
 *
 * hosts/common/x509 judges the path; here is judged that the server holds the leaf's key and signed this very handshake.
 * Tested in client.test.ts.
 *
 * @module
 */

import { checkKey, verify } from "../x509/algorithms.ts";
import type { Certificate } from "../x509/certificate.ts";
import { CertificateError, type CertificateReason } from "../x509/error.ts";
import { type PathOptions, verifyPath } from "../x509/path.ts";
import { type AlertName, fail, TlsFailure } from "./alert.ts";
import { ascii, concat, Reader } from "./codec.ts";
import { SCHEMES } from "./constants.ts";
import { readExtensions } from "./hello.ts";

/** More than a path may have, with room for what is not needed. */
const MOST_CERTIFICATES = 16;

const ALERTS: Readonly<Record<CertificateReason, AlertName>> = {
  malformed: "bad_certificate",
  unsupported: "unsupported_certificate",
  expired: "certificate_expired",
  untrusted: "unknown_ca",
  unfit: "certificate_unknown",
};

/** The DER of each certificate, the server's first. */
export function readCertificateMessage(body: Uint8Array): Uint8Array[] {
  const reader = new Reader(body, "Certificate");
  if (reader.vector(1).length > 0) fail("illegal_parameter", "Certificate: expected no request context");
  const list = reader.enter(3);
  reader.end();
  const chain: Uint8Array[] = [];
  while (list.more) {
    chain.push(list.vector(3, 1));
    // Neither OCSP nor certificate transparency was asked for, so there is nothing to answer.
    readExtensions(list, "Certificate", [], []);
    if (chain.length > MOST_CERTIFICATES) fail("bad_certificate", `Certificate: expected at most ${MOST_CERTIFICATES} certificates, got more`);
  }
  if (chain.length === 0) fail("decode_error", "Certificate: expected the server's certificate, got none");
  return chain;
}

/** The leaf of a path that was judged good. */
export async function judge(chain: readonly Uint8Array[], options: PathOptions): Promise<Certificate> {
  try {
    const [leaf] = await verifyPath(chain, options);
    return leaf as Certificate;
  } catch (error) {
    if (error instanceof CertificateError) throw new TlsFailure(ALERTS[error.reason], `TLS: ${error.message}`);
    throw error;
  }
}

/** What is signed: 64 spaces, a context, a zero, and the transcript through Certificate. */
export function signedContent(transcript: Uint8Array, who: "server" | "client" = "server"): Uint8Array {
  return concat(new Uint8Array(64).fill(0x20), ascii(`TLS 1.3, ${who} CertificateVerify`), Uint8Array.of(0), transcript);
}

/** Check that the signature was made with the leaf's key over this transcript. */
export async function checkCertificateVerify(body: Uint8Array, leaf: Certificate, transcript: Uint8Array): Promise<void> {
  const reader = new Reader(body, "CertificateVerify");
  const id = reader.number(2);
  const signature = reader.vector(2);
  reader.end();
  const scheme = SCHEMES.find((known) => known.id === id);
  if (!scheme?.handshake) {
    return fail("illegal_parameter", `CertificateVerify: signature scheme 0x${id.toString(16)}, which was not offered for handshakes`);
  }
  const { publicKey } = leaf;
  checkKey(publicKey, "server certificate");
  const kind = scheme.curve ?? (scheme.algorithm.kind === "ed25519" ? "ed25519" : "rsa");
  if (publicKey.kind !== kind) fail("illegal_parameter", `CertificateVerify: ${scheme.name} with a key of kind ${publicKey.kind}`);
  if (!(await verify(publicKey, scheme.algorithm, signature, signedContent(transcript)))) {
    fail("decrypt_error", "CertificateVerify: the signature was not made with the key of the certificate");
  }
}
