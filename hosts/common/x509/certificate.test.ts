// SPDX-License-Identifier: MIT OR Apache-2.0
import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as write from "../../../tests/support/der.ts";
import { issue, type KeyAlgorithm, makeCa } from "../../../tests/support/pki.ts";
import { NtpError } from "../errors.ts";
import { readCertificate } from "./certificate.ts";
import { certificatesIn } from "./pem.ts";

const ca = makeCa();
const leaf = issue(ca, { dns: ["Ntp.Example", "*.pool.example"], ips: ["192.0.2.1", "2001:db8::1"] });

test("every field is what node:crypto reads", () => {
  const ours = readCertificate(leaf.der);
  const theirs = new X509Certificate(leaf.certificate);
  expect(ours.notBefore).toBe(Date.parse(theirs.validFrom));
  expect(ours.notAfter).toBe(Date.parse(theirs.validTo));
  expect(Buffer.from(ours.publicKey.spki)).toEqual(theirs.publicKey.export({ type: "spki", format: "der" }));
  expect(Buffer.from(ours.subject)).toEqual(Buffer.from(leaf.subject));
  expect(Buffer.from(ours.issuer)).toEqual(Buffer.from(ca.subject));
  expect(ours.extensions).toMatchObject({ authority: false, keyUsage: 0x80, purposes: ["1.3.6.1.5.5.7.3.1"], unknownCritical: [] });
  expect(ours.extensions.names).toEqual([
    { kind: "dns", name: "ntp.example" },
    { kind: "dns", name: "*.pool.example" },
    { kind: "ip", octets: Uint8Array.of(192, 0, 2, 1) },
    { kind: "ip", octets: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) },
  ]);
});

test.each<[KeyAlgorithm, string, number]>([
  ["p256", "P-256", 0],
  ["p384", "P-384", 0],
  ["p521", "unknown", 0],
  ["ed25519", "ed25519", 0],
  ["rsa2048", "rsa", 2048],
  ["rsa-pss", "unknown", 0],
])("a %s key is of kind %s", (algorithm, kind, bits) => {
  expect(readCertificate(issue(ca, { algorithm }).der).publicKey).toMatchObject({ kind, bits });
});

test("every root certificate that Node brings can be read, with its dates and key", () => {
  expect(rootCertificates.length).toBeGreaterThan(100);
  for (const pem of rootCertificates) {
    const ours = readCertificate(certificatesIn(pem)[0] as Uint8Array);
    const theirs = new X509Certificate(pem);
    expect(ours.notAfter).toBe(Date.parse(theirs.validTo));
    if (ours.publicKey.kind === "rsa") expect(ours.publicKey.bits).toBe(theirs.publicKey.asymmetricKeyDetails?.modulusLength);
    expect(ours.publicKey.kind).not.toBe("unknown");
  }
});

describe("what is malformed", () => {
  test("every truncation", () => {
    for (let length = 0; length < leaf.der.length; length++) {
      expect(() => readCertificate(leaf.der.subarray(0, length)), `${length} octets`).toThrow(NtpError);
    }
  });

  test("octets behind it", () => {
    expect(() => readCertificate(write.concat(leaf.der, Uint8Array.of(0)))).toThrow("more octets");
  });

  test("any change of an octet is read or refused, never something else", () => {
    fc.assert(
      fc.property(fc.nat(leaf.der.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(leaf.der);
        changed[at] = value;
        try {
          readCertificate(changed);
        } catch (error) {
          expect(error).toMatchObject({ code: "TLS", reason: "malformed" });
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("an algorithm outside that is not the one inside, which is what was signed", () => {
    const changed = Uint8Array.from(leaf.der);
    const oid = write.oid("1.2.840.10045.4.3.2");
    const at = Buffer.from(changed).lastIndexOf(oid);
    changed[at + oid.length - 1] = 3;
    expect(() => readCertificate(changed)).toThrow("its two signature algorithms differ");
  });

  test("an extension given twice", () => {
    const twice = { oid: "1.2.3", value: write.nothing() };
    expect(() => readCertificate(issue(ca, { extra: [twice, twice] }).der)).toThrow("the extension 1.2.3 is there twice");
  });

  test("extensions in version 1", () => {
    const changed = Buffer.from(leaf.der);
    const version = Buffer.from(write.context(0, write.integer(2), true));
    changed[changed.indexOf(version) + 4] = 1;
    expect(() => readCertificate(changed)).toThrow("extensions in version 2");
  });

  test.each([
    ["a path length without cA", { oid: "2.5.29.19", value: write.sequence(write.integer(0)) }, "a path length without cA"],
    ["an address of five octets", { oid: "2.5.29.17", value: write.sequence(write.context(7, new Uint8Array(5))) }, "address of 4 or 16 octets, got 5"],
    ["a DNS name with a zero octet", { oid: "2.5.29.17", value: write.sequence(write.context(2, Buffer.from("a\0.example"))) }, "DNS name in ASCII"],
    ["octets behind an extension", { oid: "2.5.29.15", value: write.concat(write.namedBits([0]), write.nothing()) }, "more octets"],
  ])("%s", (_name, extension, message) => {
    expect(() => readCertificate(issue(ca, { ca: "absent", keyUsage: false, extra: [extension] }).der)).toThrow(message);
  });

  test.each(["20261301000000Z", "20260230000000Z", "20260101240000Z", "20260101006000Z", "202601010000Z", "20260101000000+0000", "20260101000000.5Z"])("the date %s", (date) => {
    const changed = Buffer.from(issue(ca, { notBefore: Date.UTC(2060, 0, 1), notAfter: Date.UTC(2061, 0, 1) }).der);
    const at = changed.indexOf("20600101000000Z");
    changed.write(date.slice(0, 15).padEnd(15, "0"), at);
    expect(() => readCertificate(changed)).toThrow(/date/);
  });
});
