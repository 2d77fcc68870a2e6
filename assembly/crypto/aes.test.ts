// SPDX-License-Identifier: MIT OR Apache-2.0
/** AES against FIPS-197 and noble, and CMAC against RFC 4493 and noble at every length. */
import { cmac, ecb } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { Bench, fromHex, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, scratch } = bench;
const KEY = scratch;
const CONTEXT = scratch + 64;
const OUT = scratch + 1024;
const DATA = scratch + 2048;
const random = seededRandom(197);
const noise = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);

function encrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  core.bytes.set(key, KEY);
  core.bytes.set(block, DATA);
  expect(exports.aesExpand(KEY, key.length, CONTEXT)).toBe(1);
  exports.aesEncrypt(CONTEXT, DATA, OUT);
  return bench.octets(16, OUT);
}

function cmacOf(key: Uint8Array, data: Uint8Array): string {
  core.bytes.set(key, KEY);
  core.bytes.set(data, DATA);
  expect(exports.cmacKey(KEY, key.length, CONTEXT)).toBe(1);
  exports.cmac(CONTEXT, DATA, data.length, OUT);
  return hex(bench.octets(16, OUT));
}

describe("AES", () => {
  it.each([
    ["000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"],
    ["000102030405060708090a0b0c0d0e0f1011121314151617", "dda97ca4864cdfe06eaf70a0ec0d7191"],
    ["000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"],
  ])("with the key %s is what FIPS-197 appendix C says", (key, block) => {
    expect(hex(encrypt(fromHex(key), fromHex("00112233445566778899aabbccddeeff")))).toBe(block);
  });

  it.each([16, 24, 32])("with random keys of %i octets is what noble says", (length) => {
    for (let run = 0; run < 500; run++) {
      const [key, block] = [noise(length), noise(16)];
      expect(hex(encrypt(key, block))).toBe(hex(ecb(key, { disablePadding: true }).encrypt(block)));
    }
  });

  it("has an S-box for all 256 octets, in the key schedule and in each row of the state", () => {
    for (let octet = 0; octet < 256; octet++) {
      const block = new Uint8Array(16).fill(octet);
      for (const key of [block, new Uint8Array(16)]) expect(hex(encrypt(key, block))).toBe(hex(ecb(key, { disablePadding: true }).encrypt(block)));
    }
  });

  it("refuses a key of any other length", () => {
    for (let length = 0; length <= 64; length++) expect(exports.aesExpand(KEY, length, CONTEXT), `${length} octets`).toBe(Number([16, 24, 32].includes(length)));
    expect(exports.aesExpand(KEY, -16, CONTEXT)).toBe(0);
  });
});

describe("CMAC", () => {
  const message = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

  it.each([
    [0, "bb1d6929e95937287fa37d129b756746"],
    [16, "070a16b46b4d4144f79bdd9dd04a287c"],
    [40, "dfa66747de9ae63030ca32611497c827"],
    [64, "51f0bebf7e3b9d92fc49741779363cfe"],
  ])("of %i octets is what RFC 4493 §4 says", (length, digest) => {
    expect(cmacOf(fromHex("2b7e151628aed2a6abf7158809cf4f3c"), fromHex(message).subarray(0, length))).toBe(digest);
  });

  it.each([16, 24, 32])("with a key of %i octets is what noble says, at every length to 300", (keyLength) => {
    for (let length = 0; length <= 300; length++) {
      const [key, data] = [noise(keyLength), noise(length)];
      expect(cmacOf(key, data), `${length} octets`).toBe(hex(cmac(data, key)));
    }
  });

  it("reads nothing behind the end of memory", () => {
    const [key, data] = [noise(16), noise(40)];
    core.bytes.set(key, KEY);
    for (let length = 0; length <= 40; length++) {
      const at = core.bytes.length - length;
      core.bytes.set(data.subarray(0, length), at);
      exports.cmacKey(KEY, 16, CONTEXT);
      exports.cmac(CONTEXT, at, length, OUT);
      expect(hex(bench.octets(16, OUT)), `${length} octets`).toBe(hex(cmac(data.subarray(0, length), key)));
    }
  });
});
