// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An X.509 certificate, read from DER (RFC 5280 §4.1). Reading is not judging: what is read here may be expired, for
 * another name, or made up; path.ts judges.
 *
 *     Certificate  SEQUENCE ── TBSCertificate ── signatureAlgorithm ── signature BIT STRING
 *                               │ version [0], serialNumber, signature, issuer, validity, subject,
 *                               │ subjectPublicKeyInfo, issuerUniqueID [1]?, subjectUniqueID [2]?, extensions [3]?
 *
 * Refused: two algorithm identifiers that differ, extensions in a certificate that is not of version 3, an extension given
 * twice, dates that do not exist. Tested in certificate.test.ts, at every truncation.
 *
 * @module
 */

import { same } from "../octets.ts";
import { DerReader, explicit, implicit, TAG } from "./der.ts";
import { malformed } from "./error.ts";
import { type Extensions, readExtensions } from "./extensions.ts";
import { type PublicKey, readAlgorithm, readPublicKey, type SignatureAlgorithm } from "./algorithms.ts";

export interface Certificate {
  readonly raw: Uint8Array;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  /** DER of the name, compared octet by octet (RFC 5280 §7.1 allows more; authorities copy). */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since 1970; valid from the first through the second. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  /** undefined: one that we do not know. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  /** Its object identifier, for messages. */
  readonly signatureOid: string;
  readonly signature: Uint8Array;
  readonly extensions: Extensions;
}

const WHAT = "certificate";

export function readCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der, WHAT);
  const fields = outer.enter(TAG.sequence);
  outer.end();
  const tbs = fields.read(TAG.sequence);
  const algorithm = fields.read(TAG.sequence);
  const signature = fields.bits();
  fields.end();

  const body = new DerReader(tbs.contents, WHAT);
  const version = readVersion(body);
  readSerial(body);
  // RFC 5280 §4.1.1.2: the same identifier inside, where it is signed, and outside, where it is not.
  if (!same(body.read(TAG.sequence).raw, algorithm.raw)) malformed("certificate: its two signature algorithms differ");
  const issuer = body.read(TAG.sequence).raw;
  const validity = body.enter(TAG.sequence, "validity of a certificate");
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subject = body.read(TAG.sequence).raw;
  const publicKey = readPublicKey(body.read(TAG.sequence).raw);
  if (body.optional(implicit(1)) && version === 1) malformed("certificate: a unique identifier in version 1");
  if (body.optional(implicit(2)) && version === 1) malformed("certificate: a unique identifier in version 1");
  const extensions = body.optional(explicit(3));
  if (extensions && version !== 3) malformed(`certificate: extensions in version ${version}`);
  body.end();
  return {
    raw: der,
    signed: tbs.raw,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    ...readAlgorithm(algorithm),
    signature,
    extensions: readExtensions(extensions?.contents),
  };
}

function readVersion(body: DerReader): number {
  const field = body.optional(explicit(0));
  if (!field) return 1;
  const reader = new DerReader(field.contents, "version of a certificate");
  const version = reader.small() + 1;
  reader.end();
  if (version < 2 || version > 3) malformed(`certificate: expected version 1, 2 or 3, got ${version}`);
  return version;
}

/** RFC 5280 §4.1.2.2: at most 20 octets. Negative and zero ones exist and harm nobody: it is not used. */
function readSerial(body: DerReader): void {
  const { length } = body.read(TAG.integer).contents;
  if (length < 1 || length > 21) malformed(`certificate: expected a serial number of 1 to 20 octets, got ${length}`);
}

/** UTCTime YYMMDDHHMMSSZ or GeneralizedTime YYYYMMDDHHMMSSZ, always with seconds and Z (RFC 5280 §4.1.2.5). */
function readTime(reader: DerReader): number {
  const { tag, contents } = reader.next();
  const text = String.fromCharCode(...contents.subarray(0, 16));
  const short = tag === TAG.utcTime;
  if (!short && tag !== TAG.generalizedTime) malformed("certificate: expected a date");
  const match = (short ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if (!match) malformed(`certificate: expected a date as ${short ? "YYMMDDHHMMSSZ" : "YYYYMMDDHHMMSSZ"}`);
  const [written = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const year = !short ? written : written < 50 ? 2000 + written : 1900 + written;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, 0);
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return exists ? date.getTime() : malformed(`certificate: the date ${text} does not exist`);
}
