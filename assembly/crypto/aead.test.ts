// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The AEADs of NTS against RFC 5297 appendix A, RFC 8452 appendix C and noble, at every length of text and of associated
 * data; every flipped bit must be refused, and a refused text must leave nothing behind.
 */
import { aessiv, ecb, gcmsiv } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { Bench, concat, fromHex, hex, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports } = bench;
const [CONTEXT, KEY, AD, NONCE, TEXT, OUT] = Array.from({ length: 6 }, (_, slot) => bench.at + slot * core.constant("SLOT_STRIDE_OCTETS")) as [number, number, number, number, number, number];
const random = seededRandom(5297);
const noise = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
const IDS = [15, 16, 17, 30];
const CANARY = 0xe7;

interface Message {
  id: number;
  key: Uint8Array;
  ad: Uint8Array;
  nonce: Uint8Array;
}

function prepare({ id, key, ad, nonce }: Message): void {
  core.bytes.set(key, KEY);
  core.bytes.set(ad, AD);
  core.bytes.set(nonce, NONCE);
  expect(exports.aeadKey(id, KEY, CONTEXT)).toBe(1);
}

function seal(message: Message, text: Uint8Array): string {
  prepare(message);
  core.bytes.set(text, TEXT);
  core.bytes.fill(CANARY, OUT, OUT + text.length + 17);
  const length = exports.aeadSeal(CONTEXT, AD, message.ad.length, NONCE, message.nonce.length, TEXT, text.length, OUT);
  expect(core.bytes[OUT + length], "wrote behind its end").toBe(CANARY);
  return hex(bench.octets(length, OUT));
}

/** The text, or undefined when it was refused; then nothing of it may be left. */
function open(message: Message, sealed: Uint8Array): string | undefined {
  prepare(message);
  core.bytes.set(sealed, TEXT);
  core.bytes.fill(CANARY, OUT, OUT + sealed.length + 1);
  const length = exports.aeadOpen(CONTEXT, AD, message.ad.length, NONCE, message.nonce.length, TEXT, sealed.length, OUT);
  if (length >= 0) return hex(bench.octets(length, OUT));
  expect(length).toBe(-1);
  if (sealed.length >= 16 && message.nonce.length === (message.id === 30 ? 12 : message.nonce.length)) {
    expect(bench.octets(sealed.length - 16, OUT).every((octet) => octet === 0), "a refused text was left behind").toBe(true);
  }
  return undefined;
}

const oracle = ({ id, key, ad, nonce }: Message) => (id === 30 ? gcmsiv(key, nonce, ad) : aessiv(key, ad, nonce));
const messageOf = (id: number, adLength: number, nonceLength = exports.aeadNonceLength(id)): Message =>
  ({ id, key: noise(exports.aeadKeyLength(id)), ad: noise(adLength), nonce: noise(nonceLength) });

// POLYVAL's field with big integers, to find a text whose tag begins with a given counter: RFC 8452 appendix C.3 shows the
// counter's wrap for AES-256 only.
const MODULUS = (1n << 128n) | (1n << 127n) | (1n << 126n) | (1n << 121n) | 1n;
const toInteger = (octets: Uint8Array) => octets.reduceRight((value, octet) => (value << 8n) | BigInt(octet), 0n);
const toBlock = (value: bigint) => Uint8Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** a · b · x^-128 */
function dot(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 0n; bit < 128n; bit++) {
    if ((b >> bit) & 1n) product ^= a;
    if (product & 1n) product ^= MODULUS;
    // Divided by x at each step: what bit 0 adds 128 times, what bit 127 adds once.
    product >>= 1n;
  }
  return product;
}

/** What times `a` is the neutral element of dot: a to the power of 2^128 - 2. */
function inverse(a: bigint): bigint {
  let [result, square] = [undefined as bigint | undefined, dot(a, a)];
  for (let bit = 1; bit < 128; bit++) {
    result = result === undefined ? square : dot(result, square);
    square = dot(square, square);
  }
  return result!;
}

/** Four blocks of text whose tag begins with `counter`. */
function textWithCounter({ key, nonce }: Message, counter: number): Uint8Array {
  const block = (i: number) => ecb(key, { disablePadding: true }).encrypt(concat(Uint8Array.of(i, 0, 0, 0), nonce)).slice(0, 8);
  const h = toInteger(concat(block(0), block(1)));
  const cipher = ecb(concat(block(2), block(3)), { disablePadding: true });
  let sum: Uint8Array;
  let filler = 0;
  do {
    const tag = new Uint8Array(16);
    new DataView(tag.buffer).setUint32(0, counter, true);
    tag[8] = filler++;
    sum = cipher.decrypt(tag).map((octet, i) => octet ^ (nonce[i] ?? 0));
  } while (sum[15]! & 0x80);
  // sum = (first · H^5) + (lengths · H), the blocks between being zero.
  const lengths = (BigInt(64 * 8) << 64n);
  const undo = inverse(h);
  let first = toInteger(sum) ^ dot(lengths, h);
  for (let power = 0; power < 5; power++) first = dot(first, undo);
  return concat(toBlock(first), new Uint8Array(48));
}

describe("AES-SIV", () => {
  // RFC 5297 §A.2 has three strings before the text, NTS always two; §A.1 has one. The interface here is NTS's, so that the
  // vectors of the whole are noble's, which is first held to the RFC's.
  it("in noble is what RFC 5297 A.1 and A.2 say", () => {
    const a1 = aessiv(fromHex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), fromHex("101112131415161718191a1b1c1d1e1f2021222324252627"));
    expect(hex(a1.encrypt(fromHex("112233445566778899aabbccddee")))).toBe("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c");
    const a2 = aessiv(
      fromHex("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f"),
      fromHex("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100"), fromHex("102030405060708090a0"), fromHex("09f911029d74e35bd84156c5635688c0"),
    );
    expect(hex(a2.encrypt(fromHex("7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553"))))
      .toBe("7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d");
  });
});

describe("AES-128-GCM-SIV", () => {
  // RFC 8452 §C.1: key, nonce, associated data, text, result.
  it.each([
    ["01000000000000000000000000000000", "030000000000000000000000", "", "", "dc20e2d83f25705bb49e439eca56de25"],
    ["01000000000000000000000000000000", "030000000000000000000000", "", "0100000000000000", "b5d839330ac7b786578782fff6013b815b287c22493a364c"],
    ["01000000000000000000000000000000", "030000000000000000000000", "01", "0200000000000000", "1e6daba35669f4273b0a1a2560969cdf790d99759abd1508"],
    ["e66021d5eb8e4f4066d4adb9c33560e4", "f46e44bb3da0015c94f70887", "", "", "a4194b79071b01a87d65f706e3949578"],
    ["36864200e0eaf5284d884a0e77d31646", "bae8e37fc83441b16034566b", "46bb91c3c5", "7a806c", "af60eb711bd85bc1e4d3e0a462e074eea428a8"],
  ])("with the key %s is what RFC 8452 appendix C.1 says", (key, nonce, ad, text, result) => {
    const message = { id: 30, key: fromHex(key), nonce: fromHex(nonce), ad: fromHex(ad) };
    expect(seal(message, fromHex(text))).toBe(result);
    expect(open(message, fromHex(result))).toBe(text);
  });

  it.each([0, 1, 2])("has a counter of 32 bits that wraps and carries nowhere, here after %i blocks and one", (before) => {
    const message = messageOf(30, 0);
    const text = textWithCounter(message, 0xffffffff - before);
    const sealed = seal(message, text);
    expect(new DataView(fromHex(sealed).buffer).getUint32(text.length, true)).toBe(0xffffffff - before);
    expect(sealed).toBe(hex(oracle(message).encrypt(text)));
    expect(open(message, fromHex(sealed))).toBe(hex(text));
  });

  it("refuses a nonce that is not twelve octets long", () => {
    for (let length = 0; length <= 64; length++) {
      if (length === 12) continue;
      const message = messageOf(30, 5, length);
      expect(seal(message, noise(9))).toBe("");
      expect(open(message, noise(40))).toBeUndefined();
    }
  });
});

describe.each(IDS)("AEAD %i", (id) => {
  it("seals and opens every length of text to 300 as noble does", () => {
    for (let length = 0; length <= 300; length++) {
      const message = messageOf(id, random() % 70);
      const text = noise(length);
      const sealed = oracle(message).encrypt(text);
      expect(seal(message, text), `${length} octets`).toBe(hex(sealed));
      expect(open(message, sealed), `${length} octets`).toBe(hex(text));
    }
  });

  it("authenticates every length of associated data to 300 as noble does", () => {
    for (let length = 0; length <= 300; length++) {
      const message = messageOf(id, length);
      const text = noise(random() % 40);
      const sealed = oracle(message).encrypt(text);
      expect(seal(message, text), `${length} octets`).toBe(hex(sealed));
      expect(open(message, sealed), `${length} octets`).toBe(hex(text));
    }
  });

  it("opens and seals in place", () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 100, 128, 129, 300]) {
      const message = messageOf(id, 20);
      const text = noise(length);
      const sealed = oracle(message).encrypt(text);
      prepare(message);
      const place = id === 30 ? OUT : OUT + 16;
      core.bytes.set(text, place);
      exports.aeadSeal(CONTEXT, AD, 20, NONCE, message.nonce.length, place, length, OUT);
      expect(hex(bench.octets(length + 16, OUT))).toBe(hex(sealed));
      expect(exports.aeadOpen(CONTEXT, AD, 20, NONCE, message.nonce.length, OUT, length + 16, place)).toBe(length);
      expect(hex(bench.octets(length, place))).toBe(hex(text));
    }
  });

  it.each([0, 5, 16, 40, 100])("refuses any flipped bit of tag, text of %i octets, associated data, nonce and key", (length) => {
    const message = messageOf(id, 37);
    const sealed = fromHex(seal(message, noise(length)));
    expect(open(message, sealed)).toBeDefined();
    const flip = (octets: Uint8Array, bit: number) => octets.map((octet, at) => (at === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));
    for (let bit = 0; bit < sealed.length * 8; bit++) expect(open(message, flip(sealed, bit)), `bit ${bit}`).toBeUndefined();
    for (const part of ["ad", "nonce", "key"] as const) {
      // With no text to encrypt, AES-SIV never uses the second half of its key.
      const octets = part === "key" && length === 0 && id !== 30 ? message.key.length / 2 : message[part].length;
      for (let bit = 0; bit < octets * 8; bit++) {
        expect(open({ ...message, [part]: flip(message[part], bit) }, sealed), `bit ${bit} of the ${part}`).toBeUndefined();
      }
    }
  });

  it("refuses what is cut, and what is moved between associated data and nonce", () => {
    const message = messageOf(id, 37);
    const sealed = fromHex(seal(message, noise(50)));
    for (let length = 0; length < sealed.length; length++) expect(open(message, sealed.subarray(0, length)), `${length} octets`).toBeUndefined();
    const { ad, nonce } = message;
    expect(open({ ...message, ad: concat(ad, nonce.subarray(0, 1)), nonce: nonce.subarray(1) }, sealed)).toBeUndefined();
    expect(open({ ...message, ad: ad.subarray(0, 36) }, sealed)).toBeUndefined();
  });

  it("never traps and never writes with a length below zero", () => {
    prepare(messageOf(id, 0));
    for (const lengths of [[-1, 12, 4], [3, -1, 4], [3, 12, -1], [-2147483648, -2147483648, -2147483648]] as const) {
      expect(exports.aeadSeal(CONTEXT, AD, lengths[0], NONCE, lengths[1], TEXT, lengths[2], OUT)).toBe(0);
      expect(exports.aeadOpen(CONTEXT, AD, lengths[0], NONCE, lengths[1], TEXT, lengths[2], OUT)).toBe(-1);
    }
  });
});

describe("AES-SIV with a nonce", () => {
  it.each([15, 16, 17])("of any length to 70 does as noble does (AEAD %i)", (id) => {
    for (let length = 0; length <= 70; length++) {
      const message = messageOf(id, 30, length);
      const text = noise(length % 37);
      const sealed = oracle(message).encrypt(text);
      expect(seal(message, text), `a nonce of ${length} octets`).toBe(hex(sealed));
      expect(open(message, sealed)).toBe(hex(text));
    }
  });
});

describe("an AEAD that is not known", () => {
  it("has no lengths, and a context that neither seals nor opens", () => {
    for (const id of [-1, 0, 1, 14, 18, 29, 31, 0x7fffffff]) {
      expect([exports.aeadKeyLength(id), exports.aeadNonceLength(id), exports.aeadKey(id, KEY, CONTEXT)]).toEqual([0, 0, 0]);
      expect(exports.aeadSeal(CONTEXT, AD, 0, NONCE, 12, TEXT, 4, OUT)).toBe(0);
      expect(exports.aeadOpen(CONTEXT, AD, 0, NONCE, 12, TEXT, 40, OUT)).toBe(-1);
    }
  });
});
