// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Public keys and signature algorithms of certificates: which we know, and how each is verified.
 *
 * ECDSA over P-256 and P-384, RSA with PKCS #1 v1.5 and PSS through WebCrypto, which every runtime has; Ed25519 by noble,
 * because not every WebCrypto has it, and loaded when it is met, because no public authority uses it. Not there, so never
 * verified: MD5, SHA-1, DSA, P-521, Ed448. RSA keys have 2048 to 8192 bits. Tested in algorithms.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { DerReader, type Element, explicit, TAG } from "./der.ts";
import { CertificateError, malformed } from "./error.ts";

export type Hash = "SHA-256" | "SHA-384" | "SHA-512";

export type SignatureAlgorithm =
  | { readonly kind: "ecdsa"; readonly hash: Hash }
  | { readonly kind: "rsa-pkcs1"; readonly hash: Hash }
  | { readonly kind: "rsa-pss"; readonly hash: Hash; readonly saltLength: number }
  | { readonly kind: "ed25519" };

export interface PublicKey {
  readonly kind: "rsa" | "P-256" | "P-384" | "ed25519" | "unknown";
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Size of an RSA modulus. */
  readonly bits: number;
  /** The key itself. */
  readonly point: Uint8Array;
  /** Object identifier of the algorithm, for messages. */
  readonly oid: string;
}

const LEAST_RSA_BITS = 2048;
/** A larger key would take the verifier's time, and no authority has one. */
const MOST_RSA_BITS = 8192;

const RSA = "1.2.840.113549.1.1.1";
const RSA_PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";
const EC = "1.2.840.10045.2.1";
const ED25519 = "1.3.101.112";

const CURVES: Readonly<Record<string, "P-256" | "P-384">> = { "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384" };

const HASHES: Readonly<Record<string, Hash>> = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
};

const SIGNATURES: Readonly<Record<string, SignatureAlgorithm>> = {
  "1.2.840.10045.4.3.2": { kind: "ecdsa", hash: "SHA-256" },
  "1.2.840.10045.4.3.3": { kind: "ecdsa", hash: "SHA-384" },
  "1.2.840.10045.4.3.4": { kind: "ecdsa", hash: "SHA-512" },
  "1.2.840.113549.1.1.11": { kind: "rsa-pkcs1", hash: "SHA-256" },
  "1.2.840.113549.1.1.12": { kind: "rsa-pkcs1", hash: "SHA-384" },
  "1.2.840.113549.1.1.13": { kind: "rsa-pkcs1", hash: "SHA-512" },
  [ED25519]: { kind: "ed25519" },
};

/** SubjectPublicKeyInfo: SEQUENCE { AlgorithmIdentifier, BIT STRING } (RFC 5280 §4.1.2.7). */
export function readPublicKey(spki: Uint8Array): PublicKey {
  const fields = new DerReader(spki, "public key").enter(TAG.sequence);
  const algorithm = fields.enter(TAG.sequence);
  const oid = algorithm.oid();
  const point = fields.bits();
  fields.end();
  const known = { spki, point, oid, bits: 0 };
  if (oid === EC) {
    const curve = CURVES[new DerReader(algorithm.read(TAG.oid).raw, "curve").oid()];
    const length = curve === "P-256" ? 65 : 97;
    if (curve && (point.length !== length || point[0] !== 4)) malformed(`public key: expected an uncompressed point of ${curve}`);
    return { ...known, kind: curve ?? "unknown" };
  }
  if (oid === ED25519) return point.length === 32 ? { ...known, kind: "ed25519" } : malformed("public key: expected 32 octets of Ed25519");
  return oid === RSA ? { ...known, kind: "rsa", bits: modulusBits(point) } : { ...known, kind: "unknown" };
}

function modulusBits(key: Uint8Array): number {
  const fields = new DerReader(key, "RSA key").enter(TAG.sequence);
  const modulus = fields.unsigned();
  const exponent = fields.unsigned();
  fields.end();
  // An exponent of 1 makes every message its own signature.
  if (exponent.length > 4 || ((exponent.at(-1) ?? 0) & 1) === 0 || (exponent.length === 1 && (exponent[0] ?? 0) < 3)) {
    malformed("RSA key: expected an odd exponent from 3 to 2^32");
  }
  return 8 * (modulus.length - 1) + (32 - Math.clz32(modulus[0] ?? 0));
}

/** AlgorithmIdentifier of a signature. */
export function readAlgorithm({ contents }: Element): { signatureAlgorithm: SignatureAlgorithm | undefined; signatureOid: string } {
  const fields = new DerReader(contents, "signature algorithm");
  const signatureOid = fields.oid();
  return { signatureOid, signatureAlgorithm: signatureOid === RSA_PSS ? readPss(fields) : SIGNATURES[signatureOid] };
}

/** RSASSA-PSS-params (RFC 4055 §3.1): its defaults are SHA-1, so hash and mask MUST be there, and alike. */
function readPss(fields: DerReader): SignatureAlgorithm | undefined {
  const parameters = fields.enter(TAG.sequence, "RSASSA-PSS parameters");
  const [hashField, maskField, saltField] = [0, 1, 2].map((number) => parameters.optional(explicit(number)));
  if (!hashField || !maskField || !saltField || parameters.more) return undefined;
  const hash = HASHES[new DerReader(hashField.contents, "PSS hash").enter(TAG.sequence).oid()];
  const mask = new DerReader(maskField.contents, "PSS mask").enter(TAG.sequence);
  const generator = mask.oid();
  const maskHash = HASHES[mask.enter(TAG.sequence).oid()];
  const saltLength = new DerReader(saltField.contents, "PSS salt").small();
  if (!hash || generator !== MGF1 || maskHash !== hash || saltLength > 64) return undefined;
  return { kind: "rsa-pss", hash, saltLength };
}

/** A key that may be used at all. @throws {CertificateError} */
export function checkKey(key: PublicKey, whose: string): void {
  if (key.kind === "unknown") {
    throw new CertificateError("unsupported", `${whose}: expected an RSA, P-256, P-384 or Ed25519 key, got one of algorithm ${key.oid}`);
  }
  if (key.kind === "rsa" && (key.bits < LEAST_RSA_BITS || key.bits > MOST_RSA_BITS)) {
    throw new CertificateError("unsupported", `${whose}: expected an RSA key of ${LEAST_RSA_BITS} to ${MOST_RSA_BITS} bits, got ${key.bits} bits`);
  }
}

/** Whether a key is of the kind that an algorithm needs. */
export function fits(key: PublicKey, algorithm: SignatureAlgorithm): boolean {
  if (algorithm.kind === "ed25519") return key.kind === "ed25519";
  return algorithm.kind === "ecdsa" ? key.kind === "P-256" || key.kind === "P-384" : key.kind === "rsa";
}

/** Whether `signature` over `data` was made with the private half of `key`. False for a key of another kind. */
export async function verify(key: PublicKey, algorithm: SignatureAlgorithm, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (!fits(key, algorithm)) return false;
  if (algorithm.kind === "ed25519") return (await import("./ed25519.ts")).verifyEd25519(key.point, signature, data);
  const subtle = webCrypto();
  try {
    if (algorithm.kind === "ecdsa") {
      const curve = key.kind as "P-256" | "P-384";
      const raw = rawEcdsa(signature, curve === "P-256" ? 32 : 48);
      const imported = await subtle.importKey("spki", key.spki as BufferSource, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
      return raw !== undefined && (await subtle.verify({ name: "ECDSA", hash: algorithm.hash }, imported, raw as BufferSource, data as BufferSource));
    }
    const name = algorithm.kind === "rsa-pss" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
    const imported = await subtle.importKey("spki", key.spki as BufferSource, { name, hash: algorithm.hash }, false, ["verify"]);
    const how = algorithm.kind === "rsa-pss" ? { name, saltLength: algorithm.saltLength } : { name };
    return await subtle.verify(how, imported, signature as BufferSource, data as BufferSource);
  } catch {
    // A key that WebCrypto cannot read (a point off its curve, say) verifies nothing.
    return false;
  }
}

/** WebCrypto, which a page has only in a secure context. */
export function webCrypto(): SubtleCrypto {
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;
  if (subtle) return subtle;
  const hint = "a page has it only when served over https or from localhost";
  throw new NtpError("UNSUPPORTED", `expected WebCrypto (crypto.subtle) for TLS, found none; ${hint}`);
}

/** SEQUENCE { r INTEGER, s INTEGER } as the fixed-length r ‖ s of WebCrypto; undefined when it is not that. */
function rawEcdsa(signature: Uint8Array, size: number): Uint8Array | undefined {
  try {
    const outer = new DerReader(signature, "ECDSA signature");
    const fields = outer.enter(TAG.sequence);
    outer.end();
    const [r, s] = [fields.unsigned(), fields.unsigned()];
    fields.end();
    if (r.length > size || s.length > size) return undefined;
    const raw = new Uint8Array(2 * size);
    raw.set(r, size - r.length);
    raw.set(s, 2 * size - s.length);
    return raw;
  } catch {
    return undefined;
  }
}
