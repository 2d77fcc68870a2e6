// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A certificate authority for tests: roots, intermediates and leaves, right and wrong in every way that a check must see.
 *
 * Keys and signatures are node:crypto's, the encoding is our own (der.ts), so that no other program is needed. By default a
 * certificate is valid from a day ago for 30 days, has P-256 keys, and the extensions of a web server's certificate.
 *
 *     const ca = makeCa();
 *     const { certificate, key } = issue(ca, { dns: ["ntp.example"], ips: ["127.0.0.1"] });   // both PEM
 *
 * Its own test is pki.test.ts, where node:crypto and a TLS connection judge what it makes.
 *
 * @module
 */

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, constants } from "node:crypto";
import * as der from "./der.ts";

/** "rsa-pss" is a key restricted to PSS; a plain RSA key may sign with PSS, too (`pss`). */
export type KeyAlgorithm = "p256" | "p384" | "p521" | "ed25519" | "rsa1024" | "rsa2048" | "rsa3072" | "rsa-pss";
export type SignatureHash = "md5" | "sha1" | "sha256" | "sha384" | "sha512";
export type KeyUsage = keyof typeof KEY_USAGE;

/** An extension as it is: `value` is the DER inside its OCTET STRING. */
export interface Extension {
  readonly oid: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** Common name of the subject; a fresh one for each certificate. "" makes an empty subject. */
  readonly name?: string;
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  /** Milliseconds since 1970 or a Date. */
  readonly notBefore?: number | Date;
  readonly notAfter?: number | Date;
  /** Extended key usage: "serverAuth", "clientAuth", "any" or dotted numbers; false: none. Default serverAuth for leaves. */
  readonly eku?: readonly string[] | false;
  /** Default digitalSignature for leaves, keyCertSign and cRLSign for authorities; false: none. */
  readonly keyUsage?: readonly KeyUsage[] | false;
  /** basicConstraints: true or a path length for an authority; "absent" leaves the extension out. Default false. */
  readonly ca?: boolean | number | "absent";
  /** Key of the subject. */
  readonly algorithm?: KeyAlgorithm;
  /** A key pair of the subject to use again. */
  readonly keys?: KeyPair;
  /** Hash of the issuer's signature; sha256, for P-384 sha384. */
  readonly hash?: SignatureHash;
  /** Sign with RSASSA-PSS. */
  readonly pss?: boolean;
  /** nameConstraints, critical: DNS names and address ranges ("10.0.0.0/8"). */
  readonly permitted?: readonly string[];
  readonly excluded?: readonly string[];
  readonly extra?: readonly Extension[];
  readonly serial?: number | bigint;
}

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A certificate with its key. An authority is one that `issue` is given. */
export interface Issued {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly der: Uint8Array;
  readonly keys: KeyPair;
  /** DER of the subject's name. */
  readonly subject: Uint8Array;
  /** Base64 of SHA-256 of SubjectPublicKeyInfo. */
  readonly pin: string;
}

const DAY_MS = 86_400_000;

const KEY_USAGE = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

const EKU: Readonly<Record<string, string>> = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  any: "2.5.29.37.0",
};

const HASH_OID: Readonly<Record<SignatureHash, string>> = {
  md5: "1.2.840.113549.2.5",
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
};

const RSA_OID: Readonly<Record<SignatureHash, string>> = {
  md5: "1.2.840.113549.1.1.4",
  sha1: "1.2.840.113549.1.1.5",
  sha256: "1.2.840.113549.1.1.11",
  sha384: "1.2.840.113549.1.1.12",
  sha512: "1.2.840.113549.1.1.13",
};

const ECDSA_OID: Readonly<Partial<Record<SignatureHash, string>>> = {
  sha1: "1.2.840.10045.4.1",
  sha256: "1.2.840.10045.4.3.2",
  sha384: "1.2.840.10045.4.3.3",
  sha512: "1.2.840.10045.4.3.4",
};

const ED25519_OID = "1.3.101.112";
const PSS_OID = "1.2.840.113549.1.1.10";

let made = 0;

/** A root: a certificate signed by itself. */
export function makeCa(options: CertificateOptions = {}): Issued {
  const keys = options.keys ?? makeKeys(options.algorithm ?? "p256");
  const subject = nameOf(options.name ?? `Test Root ${++made}`);
  return certify({ keys, subject }, { ca: true, ...options, keys }, subject);
}

/** A certificate signed by `ca`, which may be an intermediate. */
export function issue(ca: Pick<Issued, "keys" | "subject">, options: CertificateOptions = {}): Issued {
  return certify(ca, options, nameOf(options.name ?? `Test ${++made}`));
}

export function makeKeys(algorithm: KeyAlgorithm): KeyPair {
  switch (algorithm) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    case "p384":
      return generateKeyPairSync("ec", { namedCurve: "secp384r1" });
    case "p521":
      return generateKeyPairSync("ec", { namedCurve: "secp521r1" });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    case "rsa-pss":
      return generateKeyPairSync("rsa-pss", { modulusLength: 2048 });
    default:
      return generateKeyPairSync("rsa", { modulusLength: Number(algorithm.slice(3)) });
  }
}

/** Any DER as PEM. */
export function pem(label: string, contents: Uint8Array): string {
  const lines = Buffer.from(contents).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function certify(ca: Pick<Issued, "keys" | "subject">, options: CertificateOptions, subject: Uint8Array): Issued {
  const keys = options.keys ?? makeKeys(options.algorithm ?? "p256");
  const spki = keys.publicKey.export({ type: "spki", format: "der" });
  const { algorithm, signature } = signer(ca.keys.privateKey, options);
  const now = Date.now();
  const tbs = der.sequence(
    der.context(0, der.integer(2), true),
    der.integer(options.serial ?? BigInt(`0x${randomBytes(15).toString("hex")}`) + 1n),
    algorithm,
    ca.subject,
    der.sequence(der.time(Number(options.notBefore ?? now - DAY_MS)), der.time(Number(options.notAfter ?? now + 29 * DAY_MS))),
    subject,
    spki,
    der.context(3, der.sequence(...extensionsOf(options).map(extension)), true),
  );
  const encoded = der.sequence(tbs, algorithm, der.bits(signature(tbs)));
  return {
    certificate: pem("CERTIFICATE", encoded),
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    der: encoded,
    keys,
    subject,
    pin: createHash("sha256").update(spki).digest("base64"),
  };
}

function nameOf(commonName: string): Uint8Array {
  if (commonName === "") return der.sequence();
  return der.sequence(der.set(der.sequence(der.oid("2.5.4.3"), der.utf8(commonName))));
}

function extension({ oid, critical, value }: Extension): Uint8Array {
  return der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octets(value));
}

function extensionsOf(options: CertificateOptions): Extension[] {
  const { ca = false, dns = [], ips = [] } = options;
  const authority = ca !== false && ca !== "absent";
  const keyUsage = options.keyUsage ?? (authority ? (["keyCertSign", "cRLSign"] as const) : (["digitalSignature"] as const));
  const eku = options.eku ?? (authority ? false : ["serverAuth"]);
  const list: Extension[] = [];
  if (ca !== "absent") {
    const contents = authority ? [der.boolean(true), ...(typeof ca === "number" ? [der.integer(ca)] : [])] : [];
    list.push({ oid: "2.5.29.19", critical: true, value: der.sequence(...contents) });
  }
  if (keyUsage) list.push({ oid: "2.5.29.15", critical: true, value: der.namedBits(keyUsage.map((usage) => KEY_USAGE[usage])) });
  if (eku) list.push({ oid: "2.5.29.37", value: der.sequence(...eku.map((usage) => der.oid(EKU[usage] ?? usage))) });
  if (dns.length + ips.length > 0) {
    const names = [...dns.map((name) => der.context(2, Buffer.from(name))), ...ips.map((ip) => der.context(7, addressOctets(ip)))];
    list.push({ oid: "2.5.29.17", critical: options.name === "", value: der.sequence(...names) });
  }
  if (options.permitted || options.excluded) {
    const trees = [options.permitted, options.excluded].flatMap((names, i) => (names ? [der.context(i, der.concat(...names.map(subtree)), true)] : []));
    list.push({ oid: "2.5.29.30", critical: true, value: der.sequence(...trees) });
  }
  return [...list, ...(options.extra ?? [])];
}

/** GeneralSubtree (RFC 5280 §4.2.1.10): a name, or an address with its mask. */
function subtree(name: string): Uint8Array {
  const [address = "", prefix] = name.split("/");
  if (prefix === undefined) return der.sequence(der.context(2, Buffer.from(name)));
  const octets = addressOctets(address);
  const mask = octets.map((_octet, i) => 0xff & ~(0xff >> Math.min(8, Math.max(0, Number(prefix) - 8 * i))));
  return der.sequence(der.context(7, der.concat(octets, mask)));
}

/** The octets of an IPv4 or IPv6 address. */
export function addressOctets(address: string): Uint8Array {
  if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => parseInt(group, 16)));
  const [front, back] = [groups(head), groups(tail ?? "")];
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The AlgorithmIdentifier of the issuer's signature, and how to make it. */
function signer(key: KeyObject, options: CertificateOptions): { algorithm: Uint8Array; signature(data: Uint8Array): Uint8Array } {
  const type = key.asymmetricKeyType;
  if (type === "ed25519") return { algorithm: der.sequence(der.oid(ED25519_OID)), signature: (data) => sign(null, data, key) };
  if (type === "ec") {
    const hash = options.hash ?? (createPublicKey(key).asymmetricKeyDetails?.namedCurve === "secp384r1" ? "sha384" : "sha256");
    return { algorithm: der.sequence(der.oid(ECDSA_OID[hash] ?? "")), signature: (data) => sign(hash, data, key) };
  }
  const hash = options.hash ?? "sha256";
  if (!options.pss && type !== "rsa-pss") {
    return { algorithm: der.sequence(der.oid(RSA_OID[hash]), der.nothing()), signature: (data) => sign(hash, data, key) };
  }
  const saltLength = createHash(hash).digest().length;
  const hashId = der.sequence(der.oid(HASH_OID[hash]), der.nothing());
  const mask = der.sequence(der.oid("1.2.840.113549.1.1.8"), hashId);
  const parameters = der.sequence(der.context(0, hashId, true), der.context(1, mask, true), der.context(2, der.integer(saltLength), true));
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return { algorithm: der.sequence(der.oid(PSS_OID), parameters), signature: (data) => sign(hash, data, { key, padding, saltLength }) };
}
