// SPDX-License-Identifier: MIT OR Apache-2.0
/** NTP's keyed MACs against Node's digests and noble's CMAC, RFC 8573's vector, and every flipped bit. */
import { createHash } from "node:crypto";
import { cmac } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { Bench, fromHex, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, scratch } = bench;
const [KEY, MAC, DATA] = [scratch, scratch + 512, scratch + 1024];
const random = seededRandom(8573);
const noise = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
const digest = (name: string) => (key: Uint8Array, data: Uint8Array) => new Uint8Array(createHash(name).update(key).update(data).digest());
const byCmac = (key: Uint8Array, data: Uint8Array) => cmac(data, key);

const TYPES = [
  { name: "MD5", type: 1, length: 16, keys: [1, 16, 20, 64, 255], oracle: digest("md5") },
  { name: "SHA-1", type: 2, length: 20, keys: [1, 16, 20, 64, 255], oracle: digest("sha1") },
  { name: "SHA-256", type: 3, length: 32, keys: [1, 16, 32, 64, 255], oracle: digest("sha256") },
  { name: "AES-128-CMAC", type: 4, length: 16, keys: [16], oracle: byCmac },
  { name: "AES-256-CMAC", type: 5, length: 16, keys: [32], oracle: byCmac },
];

function write(type: number, key: Uint8Array, data: Uint8Array): string {
  core.bytes.set(key, KEY);
  core.bytes.set(data, DATA);
  return hex(bench.octets(exports.macWrite(type, KEY, key.length, DATA, data.length, MAC), MAC));
}

function verify(type: number, key: Uint8Array, data: Uint8Array, mac: Uint8Array): boolean {
  core.bytes.set(key, KEY);
  core.bytes.set(data, DATA);
  core.bytes.set(mac, MAC);
  return exports.macVerify(type, KEY, key.length, DATA, data.length, MAC, mac.length) !== 0;
}

describe.each(TYPES)("$name", ({ type, length, keys, oracle }) => {
  it("is what others say, for every length of data to 300", () => {
    expect(exports.macLength(type)).toBe(length);
    for (let size = 0; size <= 300; size++) {
      const [key, data] = [noise(keys[size % keys.length]!), noise(size)];
      const right = oracle(key, data);
      expect(write(type, key, data), `${size} octets`).toBe(hex(right));
      expect(verify(type, key, data, right)).toBe(true);
    }
  });

  it("refuses any flipped bit of MAC, data and key", () => {
    const [key, data] = [noise(keys[0]!), noise(48)];
    const mac = oracle(key, data);
    const flip = (octets: Uint8Array, bit: number) => octets.map((octet, at) => (at === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));
    for (let bit = 0; bit < 8 * length; bit++) expect(verify(type, key, data, flip(mac, bit))).toBe(false);
    for (let bit = 0; bit < 8 * 48; bit++) expect(verify(type, key, flip(data, bit), mac)).toBe(false);
    for (let bit = 0; bit < 8 * key.length; bit++) expect(verify(type, flip(key, bit), data, mac)).toBe(false);
  });

  it("refuses any MAC that is cut, but for the 20 octets that NTPv4 has room for", () => {
    const [key, data] = [noise(keys[0]!), noise(48)];
    const mac = oracle(key, data);
    for (let cut = 0; cut < length; cut++) expect(verify(type, key, data, mac.subarray(0, cut)), `${cut} octets`).toBe(cut === 20);
    expect(verify(type, key, data, new Uint8Array([...mac, 0]))).toBe(false);
  });

  it("refuses keys that do not fit, and lengths below zero", () => {
    for (let size = 0; size <= 64; size++) {
      const fits = type < 4 ? size > 0 : size === keys[0];
      expect(exports.macKeyFits(type, size), `${size} octets`).toBe(Number(fits));
      expect(exports.macWrite(type, KEY, size, DATA, 48, MAC)).toBe(fits ? length : 0);
    }
    expect(exports.macWrite(type, KEY, keys[0]!, DATA, -1, MAC)).toBe(0);
    expect(exports.macVerify(type, KEY, -1, DATA, 48, MAC, length)).toBe(0);
    expect(exports.macVerify(type, KEY, keys[0]!, DATA, 48, MAC, -1)).toBe(0);
  });
});

describe("MACs", () => {
  it("of AES-128 are RFC 4493's, which RFC 8573 takes as they are", () => {
    expect(write(4, fromHex("2b7e151628aed2a6abf7158809cf4f3c"), fromHex("6bc1bee22e409f96e93d7e117393172a"))).toBe("070a16b46b4d4144f79bdd9dd04a287c");
  });

  it("of a type that is not known do not exist", () => {
    for (const type of [-1, 0, 6, 255]) {
      expect([exports.macLength(type), exports.macKeyFits(type, 16), exports.macWrite(type, KEY, 16, DATA, 48, MAC), exports.macVerify(type, KEY, 16, DATA, 48, MAC, 0)]).toEqual([0, 0, 0, 0]);
    }
  });
});
