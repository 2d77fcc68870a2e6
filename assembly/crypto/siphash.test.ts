// SPDX-License-Identifier: MIT OR Apache-2.0
/** The hash of the server's tables, against the algorithm as published, in BigInt arithmetic. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Core, unsigned } from "../../hosts/common/core/core.ts";
import { anyU64 } from "../../tests/support/core.ts";

const { exports } = new Core();
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint) => u64(value << bits) | (value >> (64n - bits));

/** SipHash-c-d of whole words. */
function sipHash([c, d]: readonly [number, number], key: readonly [bigint, bigint], words: readonly bigint[]): bigint {
  const v: [bigint, bigint, bigint, bigint] = [key[0] ^ 0x736f6d6570736575n, key[1] ^ 0x646f72616e646f6dn, key[0] ^ 0x6c7967656e657261n, key[1] ^ 0x7465646279746573n];
  const rounds = (times: number) => {
    for (; times > 0; times--) {
      v[0] = u64(v[0] + v[1]); v[2] = u64(v[2] + v[3]);
      v[1] = rotate(v[1], 13n) ^ v[0]; v[3] = rotate(v[3], 16n) ^ v[2];
      v[0] = rotate(v[0], 32n);
      v[2] = u64(v[2] + v[1]); v[0] = u64(v[0] + v[3]);
      v[1] = rotate(v[1], 17n) ^ v[2]; v[3] = rotate(v[3], 21n) ^ v[0];
      v[2] = rotate(v[2], 32n);
    }
  };
  for (const word of [...words, BigInt(words.length * 8) << 56n]) {
    v[3] ^= word;
    rounds(c);
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  rounds(d);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

describe("the hash of two words", () => {
  it("is SipHash-1-3, whatever key and words; and the oracle gives the published value of SipHash-2-4", () => {
    // Of the designers' table of values for the key 00..0f: the input 00..07.
    const key = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
    expect(sipHash([2, 4], key, [0x0706050403020100n])).toBe(0x93f5f5799a932462n);
    fc.assert(fc.property(anyU64, anyU64, anyU64, anyU64, (k0, k1, first, second) => {
      exports.tableKey(k0, k1);
      expect(unsigned(exports.hashWords(first, second))).toBe(sipHash([1, 3], [k0, k1], [first, second]));
    }), { numRuns: 300 });
  });

  it("puts clients elsewhere under another key, so that nobody can aim", () => {
    const places = (key: bigint) => {
      exports.tableKey(key, key);
      return Array.from({ length: 64 }, (_, i) => Number(unsigned(exports.hashWords(0n, BigInt(i))) & 8191n));
    };
    const [one, other] = [places(1n), places(2n)];
    expect(one.filter((place, i) => place === other[i]).length).toBeLessThan(3);
  });
});
