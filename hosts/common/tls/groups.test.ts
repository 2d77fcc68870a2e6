// SPDX-License-Identifier: MIT OR Apache-2.0
import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { x25519 } from "@noble/curves/ed25519.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { concat } from "./codec.ts";
import { x25519 as ladder } from "./x25519.ts";
import { firstShares, offeredGroups, onP256, retryShare } from "./groups.ts";

const random = (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes);

const octets = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
/** RFC 7748 §6.1. */
const ALICES_SHARE = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
const BOB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
const BOBS_SHARE = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
const SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

afterEach(() => vi.restoreAllMocks());

test("what is offered follows the wish for a hybrid", async () => {
  expect(offeredGroups("require")).toEqual(["X25519MLKEM768"]);
  expect(offeredGroups("prefer")).toEqual(["X25519MLKEM768", "X25519", "P-256"]);
  expect(offeredGroups("off")).toEqual(["X25519", "P-256"]);
  expect((await firstShares("prefer", random)).map(({ share }) => share.length)).toEqual([1184 + 32, 32]);
});

describe.each(["WebCrypto", "noble, where WebCrypto has it not"])("X25519 by %s", (by) => {
  beforeEach(() => {
    if (by !== "WebCrypto") vi.spyOn(crypto.subtle, "importKey").mockRejectedValue(new DOMException("Unrecognized name", "NotSupportedError"));
  });

  test("agrees with node:crypto", async () => {
    const ours = await retryShare("X25519", random);
    const theirs = generateKeyPairSync("x25519");
    const point = theirs.publicKey.export({ type: "spki", format: "der" }).subarray(-32);
    const spki = Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), ours.share]);
    const shared = diffieHellman({ privateKey: theirs.privateKey, publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }) });
    expect(Buffer.from(await ours.agree(point))).toEqual(shared);
  });

  test("makes of Bob's octets what RFC 7748 §6.1 says", async () => {
    const bob = await retryShare("X25519", (bytes) => (bytes.set(octets(BOB)), bytes));
    expect(bob.share).toEqual(octets(BOBS_SHARE));
    expect(await bob.agree(octets(ALICES_SHARE))).toEqual(octets(SHARED));
  });

  test("makes another key each time", async () => {
    const [one, other] = [await retryShare("X25519", random), await retryShare("X25519", random)];
    expect(one.share).not.toEqual(other.share);
  });

  test.each([
    ["zero", new Uint8Array(32)],
    ["one", Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))],
    ["order 8", new Uint8Array(Buffer.from("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "hex"))],
    ["31 octets", new Uint8Array(31).fill(9)],
    ["33 octets", new Uint8Array(33).fill(9)],
  ])("refuses a share of %s", async (_, theirs) => {
    for (const share of [...(await firstShares("off", random))]) await expect(share.agree(theirs)).rejects.toMatchObject({ alert: "illegal_parameter" });
    const [hybrid] = await firstShares("require", random);
    await expect(hybrid!.agree(concat(new Uint8Array(1088), theirs))).rejects.toMatchObject({ alert: "illegal_parameter" });
  });
});

test("a secret of zeros is refused, whoever let it through", async () => {
  const share = await retryShare("X25519", random);
  vi.spyOn(crypto.subtle, "deriveBits").mockResolvedValue(new ArrayBuffer(32));
  await expect(share.agree(random(new Uint8Array(32)))).rejects.toMatchObject({ alert: "illegal_parameter" });
});

test("X25519 gives what RFC 7748 §5.2 and noble's own give", () => {
  const scalar = octets("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const point = octets("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
  expect(ladder.scalarMult(scalar, point)).toEqual(octets("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
  for (let i = 0; i < 20; i++) {
    const secret = random(new Uint8Array(32));
    const theirs = x25519.getPublicKey(random(new Uint8Array(32)));
    expect(ladder.getPublicKey(secret)).toEqual(x25519.getPublicKey(secret));
    expect(ladder.getSharedSecret(secret, theirs)).toEqual(x25519.getSharedSecret(secret, theirs));
  }
});

test("P-256 agrees with node:crypto", async () => {
  const ours = await retryShare("P-256", random);
  const theirs = createECDH("prime256v1");
  const point = theirs.generateKeys();
  expect(Buffer.from(await ours.agree(point))).toEqual(theirs.computeSecret(ours.share));
});

test("the hybrid secret is ML-KEM's before X25519's", async () => {
  const [hybrid] = await firstShares("require", random);
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(hybrid!.share.subarray(0, 1184));
  const own = random(new Uint8Array(32));
  const secret = await hybrid!.agree(concat(cipherText, x25519.getPublicKey(own)));
  expect(secret).toEqual(concat(sharedSecret, x25519.getSharedSecret(own, hybrid!.share.subarray(1184))));
});

describe("a point on P-256", () => {
  const point = new Uint8Array(createECDH("prime256v1").generateKeys());
  test("is taken", () => expect(onP256(point)).toBe(true));
  test.each<[string, (good: Uint8Array) => Uint8Array]>([
    ["off the curve", (good) => good.map((octet, i) => (i === 64 ? octet ^ 1 : octet))],
    ["at zero", () => concat(Uint8Array.of(4), new Uint8Array(64))],
    ["beyond the field", () => concat(Uint8Array.of(4), new Uint8Array(64).fill(0xff))],
    ["compressed", (good) => concat(Uint8Array.of(2), good.subarray(1, 33))],
    ["of another form", (good) => good.map((octet, i) => (i === 0 ? 6 : octet))],
    ["cut", (good) => good.subarray(0, 64)],
    ["at infinity", () => Uint8Array.of(0)],
  ])("%s is refused", async (_name, change) => {
    expect(onP256(change(point))).toBe(false);
    await expect((await retryShare("P-256", random)).agree(change(point))).rejects.toMatchObject({ alert: "illegal_parameter" });
  });
});
