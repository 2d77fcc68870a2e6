// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The extensions of a certificate that decide whether it may be used (RFC 5280 §4.2).
 *
 * Each is `SEQUENCE { oid, critical BOOLEAN DEFAULT FALSE, OCTET STRING }`. One that is critical and not known here is
 * listed in `unknownCritical`, and refused by path.ts. Tested in certificate.test.ts and path.test.ts.
 *
 * @module
 */

import { DerReader, explicit, implicit, TAG } from "./der.ts";
import { malformed } from "./error.ts";

/** A name in subjectAltName or nameConstraints. Kinds that we do not compare are "other". */
export type GeneralName =
  | { readonly kind: "dns"; readonly name: string }
  /** 4 or 16 octets; in constraints followed by a mask as long. */
  | { readonly kind: "ip"; readonly octets: Uint8Array }
  | { readonly kind: "other"; readonly tag: number };

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export interface Extensions {
  /** cA of basicConstraints; undefined: the extension is absent. */
  readonly authority: boolean | undefined;
  /** How many authorities may follow it in a path; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Bits of keyUsage, bit 0 highest; undefined: absent, any use. */
  readonly keyUsage: number | undefined;
  /** Object identifiers of extKeyUsage; undefined: absent, any purpose. */
  readonly purposes: readonly string[] | undefined;
  readonly names: readonly GeneralName[];
  readonly constraints: NameConstraints | undefined;
  readonly unknownCritical: readonly string[];
}

export const KEY_USAGE = { digitalSignature: 0x80, keyCertSign: 0x04 } as const;
export const PURPOSE = { any: "2.5.29.37.0", serverAuth: "1.3.6.1.5.5.7.3.1" } as const;

const OID = {
  keyUsage: "2.5.29.15",
  names: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  purposes: "2.5.29.37",
} as const;

/** certificatePolicies: we ask for none, so that any are fine (RFC 5280 §6.1.1: initial-explicit-policy is false). */
const HARMLESS = ["2.5.29.32"];
/** More than any real certificate has; each costs a comparison with the others. */
const MOST_EXTENSIONS = 64;
const MOST_NAMES = 1024;

type Draft = { -readonly [K in keyof Extensions]: Extensions[K] };

export function readExtensions(contents: Uint8Array | undefined): Extensions {
  const found: Draft = {
    authority: undefined,
    pathLength: undefined,
    keyUsage: undefined,
    purposes: undefined,
    names: [],
    constraints: undefined,
    unknownCritical: [],
  };
  if (!contents) return found;
  const outer = new DerReader(contents, "extensions");
  const list = outer.enter(TAG.sequence);
  outer.end();
  const seen = new Set<string>();
  while (list.more) {
    const fields = list.enter(TAG.sequence, "extension");
    const oid = fields.oid();
    if (seen.has(oid)) malformed(`certificate: the extension ${oid} is there twice`);
    if (seen.add(oid).size > MOST_EXTENSIONS) malformed(`certificate: expected at most ${MOST_EXTENSIONS} extensions`);
    const critical = fields.optionalBoolean();
    const value = fields.read(TAG.octetString).contents;
    fields.end();
    if (!readKnown(found, oid, value) && critical && !HARMLESS.includes(oid)) found.unknownCritical = [...found.unknownCritical, oid];
  }
  return found;
}

/** Whether it was one that we know. */
function readKnown(found: Draft, oid: string, value: Uint8Array): boolean {
  const reader = new DerReader(value, `extension ${oid}`);
  switch (oid) {
    case OID.basicConstraints: {
      const fields = reader.enter(TAG.sequence);
      found.authority = fields.optionalBoolean();
      if (fields.more) found.pathLength = fields.small();
      fields.end();
      if (found.pathLength !== undefined && !found.authority) malformed("certificate: a path length without cA");
      break;
    }
    case OID.keyUsage: {
      const { contents } = reader.read(TAG.bitString);
      if (contents.length < 2 || contents.length > 3 || (contents[0] ?? 8) > 7) malformed("certificate: expected keyUsage of 1 to 9 bits");
      found.keyUsage = contents[1] ?? 0;
      break;
    }
    case OID.purposes: {
      const fields = reader.enter(TAG.sequence);
      const purposes: string[] = [];
      while (fields.more) purposes.push(fields.oid());
      found.purposes = purposes;
      break;
    }
    case OID.names:
      found.names = readNames(reader.enter(TAG.sequence));
      break;
    case OID.nameConstraints: {
      const fields = reader.enter(TAG.sequence);
      const [permitted, excluded] = [fields.optional(explicit(0)), fields.optional(explicit(1))];
      fields.end();
      found.constraints = { permitted: readSubtrees(permitted?.contents), excluded: readSubtrees(excluded?.contents) };
      break;
    }
    default:
      return false;
  }
  reader.end();
  return true;
}

function readNames(list: DerReader): GeneralName[] {
  const names: GeneralName[] = [];
  while (list.more) {
    names.push(readName(list, [4, 16]));
    if (names.length > MOST_NAMES) malformed(`certificate: expected at most ${MOST_NAMES} names`);
  }
  return names;
}

/** GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1]? }; the last two MUST NOT be there. */
function readSubtrees(contents: Uint8Array | undefined): GeneralName[] {
  const names: GeneralName[] = [];
  const list = new DerReader(contents ?? new Uint8Array(0), "name constraints");
  while (list.more) {
    const fields = list.enter(TAG.sequence);
    names.push(readName(fields, [8, 32]));
    fields.end();
    if (names.length > MOST_NAMES) malformed(`certificate: expected at most ${MOST_NAMES} name constraints`);
  }
  return names;
}

function readName(list: DerReader, addressLengths: readonly number[]): GeneralName {
  const { tag, contents } = list.next();
  if (tag === implicit(2)) {
    if (contents.some((octet) => octet < 0x20 || octet > 0x7e)) malformed("certificate: expected a DNS name in ASCII");
    return { kind: "dns", name: Array.from(contents, (octet) => String.fromCharCode(octet)).join("").toLowerCase() };
  }
  if (tag === implicit(7)) {
    if (!addressLengths.includes(contents.length)) {
      malformed(`certificate: expected an address of ${addressLengths.join(" or ")} octets, got ${contents.length}`);
    }
    return { kind: "ip", octets: contents };
  }
  return { kind: "other", tag };
}
