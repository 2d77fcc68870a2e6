// SPDX-License-Identifier: MIT OR Apache-2.0
/** ML-KEM-768 against noble's: keys, secrets, and what a ciphertext gives that was changed. FIPS 203. */
import { sha3_256, sha3_512, shake128 } from "@noble/hashes/sha3.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { describe, expect, test } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { seededRandom } from "../../tests/support/core.ts";

const core = new Core();
const { bytes, exports } = core;
const scratch = core.constant("SCRATCH");
const random = seededRandom(203);
const octets = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);

function keyOf(seed: Uint8Array): Uint8Array {
  bytes.set(seed, scratch);
  exports.mlkemKey(scratch, scratch + 64);
  return bytes.slice(scratch + 64, scratch + 64 + 1184);
}

function open(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  bytes.set(seed, scratch);
  bytes.set(ciphertext, scratch + 64);
  exports.mlkemOpen(scratch, scratch + 64, scratch + 2048);
  return bytes.slice(scratch + 2048, scratch + 2048 + 32);
}

describe("ML-KEM-768", () => {
  test("tells its sizes", () => {
    expect(["SEED", "KEY", "CIPHERTEXT", "SECRET"].map((name) => core.constant(`MLKEM_${name}`))).toEqual([64, 1184, 1088, 32]);
  });

  test("makes the keys that noble makes, and opens what noble sealed", () => {
    for (let round = 0; round < 100; round++) {
      const seed = octets(64);
      const { publicKey, secretKey } = ml_kem768.keygen(seed);
      expect(keyOf(seed)).toEqual(publicKey);
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, octets(32));
      expect(open(seed, cipherText)).toEqual(sharedSecret);
      expect(ml_kem768.decapsulate(cipherText, secretKey)).toEqual(sharedSecret);
    }
  });

  test("gives of a changed ciphertext what noble gives: a secret that its sender does not know", () => {
    const seed = octets(64);
    const { publicKey, secretKey } = ml_kem768.keygen(seed);
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, octets(32));
    for (let round = 0; round < 150; round++) {
      const changed = cipherText.slice();
      changed[round < 4 ? [0, 959, 960, 1087][round]! : random() % changed.length]! ^= 1 << (random() & 7);
      const secret = open(seed, changed);
      expect(secret).not.toEqual(sharedSecret);
      expect(secret).toEqual(ml_kem768.decapsulate(changed, secretKey));
    }
  });

  test("takes any octets for a ciphertext", () => {
    const seed = octets(64);
    const { secretKey } = ml_kem768.keygen(seed);
    for (const any of [new Uint8Array(1088), new Uint8Array(1088).fill(0xff), ...Array.from({ length: 40 }, () => octets(1088))]) {
      expect(open(seed, any)).toEqual(ml_kem768.decapsulate(any, secretKey));
    }
  });

  test("of other seeds comes another key, by z another secret for what nobody sealed, and for what was sealed the same", () => {
    const seed = octets(64);
    const otherZ = seed.map((octet, i) => (i === 63 ? octet ^ 1 : octet));
    expect(keyOf(otherZ)).toEqual(keyOf(seed));
    expect(keyOf(seed.map((octet, i) => (i === 0 ? octet ^ 1 : octet)))).not.toEqual(keyOf(seed));
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(keyOf(seed), octets(32));
    expect(open(otherZ, cipherText)).toEqual(sharedSecret);
    expect(open(otherZ, new Uint8Array(1088))).not.toEqual(open(seed, new Uint8Array(1088)));
  });

  test("leaves neither seed nor secret behind", () => {
    const fresh = new Core();
    const at = fresh.constant("SCRATCH");
    const seed = octets(64);
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(keyOf(seed), octets(32));
    fresh.bytes.set(seed, at);
    fresh.bytes.set(cipherText, at + 64);
    fresh.exports.mlkemOpen(at, at + 64, at + 2048);
    expect(fresh.bytes.slice(at + 2048, at + 2080)).toEqual(sharedSecret);
    fresh.bytes.fill(0, at, at + 4096);
    const [rho, sigma] = [0, 32].map((from) => sha3_512(Uint8Array.of(...seed.subarray(0, 32), 3)).subarray(from, from + 32));
    const memory = Buffer.from(fresh.bytes.buffer);
    for (const secret of [seed.subarray(0, 32), seed.subarray(32), sigma!, sharedSecret]) expect(memory.includes(Buffer.from(secret.subarray(0, 16)))).toBe(false);
    // The twin: memory can be searched so.
    memory.set(rho!, 100_000);
    expect(memory.includes(Buffer.from(rho!.subarray(0, 16)))).toBe(true);
  });

  test("stands on SHA-3 as FIPS 202 has it", () => {
    // noble's, by which all above is judged, against the values of FIPS 202's examples for the empty message.
    const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");
    expect(hex(sha3_256(new Uint8Array(0)))).toBe("a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
    expect(hex(shake128(new Uint8Array(0), { dkLen: 16 }))).toBe("7f9c2ba4e88f827d616045507605853e");
  });
});
