// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * From a server's certificate to a trusted root (RFC 5280 §6, with the profile of TLS servers).
 *
 * The intermediates may come in any order, with others among them. What is searched is bounded: at most 8 certificates in a
 * path and 32 signatures. Of each certificate is checked: the signature by the next one's key, validity at the given time,
 * its key, that no critical extension is unknown; of each authority also cA, pathLenConstraint, keyCertSign, its purposes
 * and name constraints; of the leaf its names, digitalSignature and serverAuth. A root is trusted because it was given: its
 * own signature is not looked at, all else is. A leaf or intermediate that was itself given as a root is trusted, too.
 *
 * Not done: revocation (OCSP, CRL), certificate transparency, policies. Tested in path.test.ts; checks table: docs/tls.md.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { same } from "../octets.ts";
import { checkKey, verify, webCrypto } from "./algorithms.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { CertificateError } from "./error.ts";
import { KEY_USAGE, PURPOSE } from "./extensions.ts";
import { describe, matches, type ServerName, violation } from "./names.ts";
import { certificatesIn } from "./pem.ts";

export interface PathOptions {
  readonly name: ServerName;
  readonly roots: readonly Certificate[];
  /** Milliseconds since 1970, or "any": validity is not judged. */
  readonly time: number | "any";
  /** Base64 of SHA-256 of SubjectPublicKeyInfo: one of them must be in the path. */
  readonly pins?: readonly string[] | undefined;
}

const LONGEST_PATH = 8;
const MOST_SIGNATURES = 32;

/** Those that can be read, and why the last of the others cannot. */
function readable(ders: readonly Uint8Array[]): { certificates: Certificate[]; reason: CertificateError | undefined } {
  let reason: CertificateError | undefined;
  const certificates = ders.flatMap((der) => {
    try {
      return [readCertificate(der)];
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      reason = error;
      return [];
    }
  });
  return { certificates, reason };
}

/** The bundle that was read last: a runtime's own has some 150 roots, which take 10 to 40 ms. */
let last: { readonly pem: string; readonly roots: readonly Certificate[] } | undefined;

/** The roots in a PEM bundle. One that cannot be read is passed over, as long as another can. */
export function readRoots(pem: string): readonly Certificate[] {
  if (last?.pem === pem) return last.roots;
  const { certificates, reason } = readable(certificatesIn(pem));
  if (certificates.length > 0) return (last = { pem, roots: certificates }).roots;
  throw new NtpError("INVALID_ARGUMENT", "expected root certificates, but none of those given can be read", { cause: reason });
}

/**
 * The path from the first of `chain` to a root, judged. When several refuse, the error is that of the path that came
 * furthest. Others in the chain that cannot be read are passed over. @throws {CertificateError}
 */
export async function verifyPath(chain: readonly Uint8Array[], options: PathOptions): Promise<Certificate[]> {
  const [first, ...rest] = chain;
  if (!first) throw new CertificateError("malformed", "expected a certificate, got an empty list");
  const leaf = readCertificate(first);
  checkLeaf(leaf, options);
  const { certificates, reason } = readable(rest);
  return new Search(options, certificates, reason).from([leaf]);
}

/** The search for a path, depth first, and what of it is used up. */
class Search {
  readonly #options: PathOptions;
  readonly #intermediates: readonly Certificate[];
  #signatures = 0;
  /** The refusal met deepest, which tells most. */
  #refusal: { depth: number; error: CertificateError } | undefined;

  constructor(options: PathOptions, intermediates: readonly Certificate[], unread: CertificateError | undefined) {
    this.#options = options;
    this.#intermediates = intermediates;
    if (unread) this.#refusal = { depth: 0, error: unread };
  }

  async from(path: readonly Certificate[]): Promise<Certificate[]> {
    const found = await this.#extend(path);
    if (found) return found;
    const unknown = "expected a certificate issued by a trusted root, got one of an unknown issuer; give its root as `ca`";
    throw this.#refusal?.error ?? new CertificateError("untrusted", unknown);
  }

  async #extend(path: readonly Certificate[]): Promise<Certificate[] | undefined> {
    const { roots } = this.#options;
    const last = path[path.length - 1] as Certificate;
    if (roots.some((root) => same(root.raw, last.raw))) return this.#accept(path);
    const issues = (other: Certificate) => same(other.subject, last.issuer) && !path.some((used) => same(used.raw, other.raw));
    for (const root of roots.filter(issues)) {
      if (await this.#signed(last, root, path)) {
        const found = await this.#accept([...path, root]);
        if (found) return found;
      }
    }
    // One place is kept for the root.
    if (path.length + 1 >= LONGEST_PATH) return undefined;
    for (const middle of this.#intermediates.filter(issues)) {
      if (await this.#signed(last, middle, path)) {
        const found = await this.#extend([...path, middle]);
        if (found) return found;
      }
    }
    return undefined;
  }

  /** Whether `issuer` may issue and has signed `subject`, the last of `path`. */
  async #signed(subject: Certificate, issuer: Certificate, path: readonly Certificate[]): Promise<boolean> {
    try {
      checkAuthority(issuer, path, this.#options.time);
      const { signatureAlgorithm, signatureOid } = subject;
      if (!signatureAlgorithm) {
        throw new CertificateError("unsupported", `certificate: expected a signature with SHA-256 or better, got algorithm ${signatureOid}`);
      }
      if (++this.#signatures > MOST_SIGNATURES) throw new CertificateError("untrusted", `no trusted root within ${MOST_SIGNATURES} signatures`);
      if (await verify(issuer.publicKey, signatureAlgorithm, subject.signature, subject.signed)) return true;
      throw new CertificateError("untrusted", "certificate: its signature was not made by the issuer that it names");
    } catch (error) {
      return this.#refused(error, path.length);
    }
  }

  /** What can be judged once the path is known: constraints of names, and pins. Another path may do where this one fails. */
  async #accept(path: readonly Certificate[]): Promise<Certificate[] | undefined> {
    try {
      checkConstraints(path, this.#options.name);
      await checkPins(path, this.#options.pins ?? []);
      return [...path];
    } catch (error) {
      this.#refused(error, path.length);
      return undefined;
    }
  }

  #refused(error: unknown, depth: number): false {
    if (!(error instanceof CertificateError)) throw error;
    if (!this.#refusal || depth > this.#refusal.depth) this.#refusal = { depth, error };
    return false;
  }
}

/** What holds for every certificate. */
function checkCommon(certificate: Certificate, time: number | "any", whose: string): void {
  const { notBefore, notAfter, publicKey, extensions } = certificate;
  const [unknown] = extensions.unknownCritical;
  if (unknown !== undefined) {
    throw new CertificateError("unsupported", `${whose}: expected no critical extension that is not known here, got ${unknown}`);
  }
  checkKey(publicKey, whose);
  if (time === "any" || (time >= notBefore && time < notAfter + 1000)) return;
  const [from, to, at] = [notBefore, notAfter, time].map((ms) => new Date(ms).toISOString());
  const got = `got one that is valid from ${from} to ${to}`;
  throw new CertificateError("expired", `${whose}: expected to be valid at ${at}, ${got}; check this host's clock`);
}

function checkLeaf(leaf: Certificate, { name, time }: PathOptions): void {
  checkCommon(leaf, time, "server certificate");
  const { names, keyUsage, purposes } = leaf.extensions;
  if (!matches(names, name)) {
    const has = names.length === 0 ? "no name at all (common names do not count)" : names.slice(0, 8).map(describe).join(", ");
    throw new CertificateError("unfit", `server certificate: expected one for ${describe(name)}, got one for ${has}`);
  }
  if (keyUsage !== undefined && !(keyUsage & KEY_USAGE.digitalSignature)) {
    throw new CertificateError("unfit", "server certificate: expected keyUsage digitalSignature, got a key for other uses");
  }
  checkPurposes(purposes, "server certificate");
}

function checkAuthority(authority: Certificate, path: readonly Certificate[], time: number | "any"): void {
  checkCommon(authority, time, "issuing certificate");
  const { authority: isAuthority, keyUsage, pathLength, purposes } = authority.extensions;
  if (!isAuthority) {
    throw new CertificateError("unfit", "issuing certificate: expected an authority (basicConstraints cA), got one that may not issue");
  }
  if (keyUsage !== undefined && !(keyUsage & KEY_USAGE.keyCertSign)) {
    throw new CertificateError("unfit", "issuing certificate: expected keyUsage keyCertSign, got a key for other uses");
  }
  // RFC 5280 §4.2.1.9: those that are self-issued (a change of keys) do not count, nor does the leaf.
  const between = path.slice(1).filter(({ subject, issuer }) => !same(subject, issuer)).length;
  if (pathLength !== undefined && between > pathLength) {
    throw new CertificateError("unfit", `issuing certificate: expected at most ${pathLength} authorities below it, got ${between}`);
  }
  checkPurposes(purposes, "issuing certificate");
}

/** The wanted name is checked, too: a wildcard may reach where its authority must not. */
function checkConstraints(path: readonly Certificate[], wanted: ServerName): void {
  path.forEach(({ extensions: { constraints } }, i) => {
    if (!constraints) return;
    const names = [wanted, ...path.slice(0, i).flatMap(({ extensions }) => extensions.names)];
    const reason = i === 0 ? undefined : violation(constraints, names);
    if (reason !== undefined) throw new CertificateError("unfit", `certificate: ${reason}`);
  });
}

function checkPurposes(purposes: readonly string[] | undefined, whose: string): void {
  if (!purposes || purposes.includes(PURPOSE.serverAuth) || purposes.includes(PURPOSE.any)) return;
  throw new CertificateError("unfit", `${whose}: expected the purpose serverAuth, got ${purposes.join(", ") || "none"}`);
}

async function checkPins(path: readonly Certificate[], pins: readonly string[]): Promise<void> {
  if (pins.length === 0) return;
  const digests = await Promise.all(path.map(({ publicKey }) => webCrypto().digest("SHA-256", publicKey.spki as BufferSource)));
  const have = digests.map((digest) => btoa(String.fromCharCode(...new Uint8Array(digest))));
  if (have.some((pin) => pins.includes(pin))) return;
  throw new CertificateError("unfit", `expected a key with one of the ${pins.length} given pins in the chain, got ${have.join(", ")}`);
}
