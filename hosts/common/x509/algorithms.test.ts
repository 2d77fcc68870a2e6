// SPDX-License-Identifier: MIT OR Apache-2.0
import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import * as write from "../../../tests/support/der.ts";
import { checkKey, readAlgorithm, readPublicKey, type SignatureAlgorithm, verify } from "./algorithms.ts";

const DATA = Uint8Array.of(1, 2, 3);
const keyOf = ({ publicKey }: ReturnType<typeof generateKeyPairSync>) => readPublicKey(publicKey.export({ type: "spki", format: "der" }) as never);

describe("signatures", () => {
  const p256 = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ed = generateKeyPairSync("ed25519");
  const ecdsa: SignatureAlgorithm = { kind: "ecdsa", hash: "SHA-256" };
  const good = new Uint8Array(sign("sha256", DATA, p256.privateKey));

  test("of ECDSA in any length of r and s that DER allows", async () => {
    for (let i = 0; i < 40; i++) expect(await verify(keyOf(p256 as never), ecdsa, sign("sha256", DATA, p256.privateKey), DATA)).toBe(true);
  });

  test.each<[string, Uint8Array]>([
    ["cut", good.subarray(0, -1)],
    ["with octets behind it", write.concat(good, Uint8Array.of(0))],
    ["of zeros", write.sequence(write.integer(0), write.integer(0))],
    ["with an r too long", write.sequence(write.integer(2n ** 264n), write.integer(1))],
    ["that is not DER", new Uint8Array(64).fill(1)],
    ["that is empty", new Uint8Array()],
  ])("of ECDSA %s are false, not errors", async (_name, signature) => {
    expect(await verify(keyOf(p256 as never), ecdsa, signature, DATA)).toBe(false);
  });

  test("of Ed25519 are true or false", async () => {
    const signature = new Uint8Array(sign(null, DATA, ed.privateKey));
    expect(await verify(keyOf(ed as never), { kind: "ed25519" }, signature, DATA)).toBe(true);
    expect(await verify(keyOf(ed as never), { kind: "ed25519" }, signature.map((octet) => octet ^ 1), DATA)).toBe(false);
    expect(await verify(keyOf(ed as never), { kind: "ed25519" }, signature.subarray(1), DATA)).toBe(false);
    // Zeros: a point of small order would "sign" everything under laxer rules.
    const small = { ...keyOf(ed as never), point: new Uint8Array(32) };
    expect(await verify(small, { kind: "ed25519" }, new Uint8Array(64), DATA)).toBe(false);
  });

  test("by a key of another kind are false", async () => {
    expect(await verify(keyOf(ed as never), ecdsa, good, DATA)).toBe(false);
    expect(await verify(keyOf(p256 as never), { kind: "rsa-pkcs1", hash: "SHA-256" }, good, DATA)).toBe(false);
  });
});

describe("RSASSA-PSS parameters", () => {
  const [SHA1, SHA256, SHA384, MGF1] = ["1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "1.2.840.113549.1.1.8"] as const;
  const hash = (oid: string) => write.context(0, write.sequence(write.oid(oid), write.nothing()), true);
  const mask = (oid: string, generator: string = MGF1) => write.context(1, write.sequence(write.oid(generator), write.sequence(write.oid(oid), write.nothing())), true);
  const salt = (length: number) => write.context(2, write.integer(length), true);
  const read = (...parts: readonly Uint8Array[]) => {
    const contents = write.concat(write.oid("1.2.840.113549.1.1.10"), write.sequence(...parts));
    return readAlgorithm({ tag: 0x30, contents, raw: contents }).signatureAlgorithm;
  };

  test("are known when hash and mask are one", () => {
    expect(read(hash(SHA256), mask(SHA256), salt(32))).toEqual({ kind: "rsa-pss", hash: "SHA-256", saltLength: 32 });
  });

  test.each<[string, Uint8Array[]]>([
    ["absent, which means SHA-1", []],
    ["of SHA-1", [hash(SHA1), mask(SHA1), salt(20)]],
    ["of two hashes", [hash(SHA256), mask(SHA384), salt(32)]],
    ["with another mask", [hash(SHA256), mask(SHA256, "1.2.3"), salt(32)]],
    ["without a salt, which means 20 octets", [hash(SHA256), mask(SHA256)]],
    ["with too much salt", [hash(SHA256), mask(SHA256), salt(65)]],
    ["with another trailer", [hash(SHA256), mask(SHA256), salt(32), write.context(3, write.integer(2), true)]],
  ])("are an unknown algorithm when %s", (_name, parts) => {
    expect(read(...parts)).toBeUndefined();
  });
});

describe("keys", () => {
  const rsa = (modulus: bigint, exponent: bigint | number) =>
    write.sequence(
      write.sequence(write.oid("1.2.840.113549.1.1.1"), write.nothing()),
      write.bits(write.sequence(write.integer(modulus), write.integer(exponent))),
    );

  test.each([0, 1, 2, 65_536, 2n ** 40n + 1n])("with the RSA exponent %s are malformed", (exponent) => {
    expect(() => readPublicKey(rsa(2n ** 2047n + 1n, exponent))).toThrow("expected an odd exponent");
  });

  test.each([
    [2n ** 2047n + 1n, 2048, true],
    [2n ** 2046n + 1n, 2047, false],
    [2n ** 8191n + 1n, 8192, true],
    [2n ** 8192n + 1n, 8193, false],
  ])("of RSA are measured to the bit", (modulus, bits, fine) => {
    const key = readPublicKey(rsa(modulus, 65_537));
    expect(key.bits).toBe(bits);
    if (fine) checkKey(key, "key");
    else expect(() => checkKey(key, "key")).toThrow(`got ${bits} bits`);
  });

  test("with a point that is compressed, or too short, are malformed", () => {
    const curve = write.sequence(write.oid("1.2.840.10045.2.1"), write.oid("1.2.840.10045.3.1.7"));
    for (const point of [new Uint8Array(33).fill(2), new Uint8Array(64).fill(4)]) {
      expect(() => readPublicKey(write.sequence(curve, write.bits(point)))).toThrow("uncompressed point of P-256");
    }
    expect(() => readPublicKey(write.sequence(write.sequence(write.oid("1.3.101.112")), write.bits(new Uint8Array(31))))).toThrow("32 octets of Ed25519");
  });
});
