// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * POLYVAL (RFC 8452 §3) in constant time without a carry-less multiplication instruction.
 *
 * Bits are spread four apart, so that an integer product's carries fall into the holes between and can be masked away; 16
 * products of that kind make the low 64 bits of a carry-less one, and the high 64 bits are the low ones of the reversed
 * factors, reversed. Three such pairs (Karatsuba) multiply 128 bits. Where a processor multiplies 64 bits in a time that
 * depends on them, as some of 32 bits do, this is not in constant time.
 *
 * Tested in aead.test.ts through RFC 8452's vectors and noble.
 */

const BITS_0: u64 = 0x1111111111111111;
const BITS_1: u64 = 0x2222222222222222;
const BITS_2: u64 = 0x4444444444444444;
const BITS_3: u64 = 0x8888888888888888;

/** One sum at a time: the key, its reversal, and what has been added up. */
let keyLow: u64 = 0;
let keyHigh: u64 = 0;
let keyLowReversed: u64 = 0;
let keyHighReversed: u64 = 0;
let sumLow: u64 = 0;
let sumHigh: u64 = 0;

const tail: usize = memory.data(16, 16);

/** The low 64 bits of the carry-less product. */
function multiply(x: u64, y: u64): u64 {
  const x0 = x & BITS_0;
  const x1 = x & BITS_1;
  const x2 = x & BITS_2;
  const x3 = x & BITS_3;
  const y0 = y & BITS_0;
  const y1 = y & BITS_1;
  const y2 = y & BITS_2;
  const y3 = y & BITS_3;
  // At most 16 bits meet in a column, and only in the highest, whose carry leaves the word.
  const z0 = (x0 * y0) ^ (x1 * y3) ^ (x2 * y2) ^ (x3 * y1);
  const z1 = (x0 * y1) ^ (x1 * y0) ^ (x2 * y3) ^ (x3 * y2);
  const z2 = (x0 * y2) ^ (x1 * y1) ^ (x2 * y0) ^ (x3 * y3);
  const z3 = (x0 * y3) ^ (x1 * y2) ^ (x2 * y1) ^ (x3 * y0);
  return (z0 & BITS_0) | (z1 & BITS_1) | (z2 & BITS_2) | (z3 & BITS_3);
}

/** The 64 bits in the other order. */
function reversed(x: u64): u64 {
  x = ((x & 0x5555555555555555) << 1) | ((x >> 1) & 0x5555555555555555);
  x = ((x & 0x3333333333333333) << 2) | ((x >> 2) & 0x3333333333333333);
  x = ((x & 0x0f0f0f0f0f0f0f0f) << 4) | ((x >> 4) & 0x0f0f0f0f0f0f0f0f);
  return bswap<u64>(x);
}

export function polyvalStart(key: v128): void {
  keyLow = v128.extract_lane<u64>(key, 0);
  keyHigh = v128.extract_lane<u64>(key, 1);
  keyLowReversed = reversed(keyLow);
  keyHighReversed = reversed(keyHigh);
  sumLow = 0;
  sumHigh = 0;
}

/** Add `length` octets, the last block filled up with zeros. */
export function polyvalUpdate(data: usize, length: i32): void {
  for (; length >= 16; length -= 16) {
    polyvalBlock(load<u64>(data), load<u64>(data, 8));
    data += 16;
  }
  if (length <= 0) return;
  v128.store(tail, i64x2.splat(0));
  memory.copy(tail, data, length);
  polyvalBlock(load<u64>(tail), load<u64>(tail, 8));
}

/** sum ← (sum + block) · key · x^-128, modulo x^128 + x^127 + x^126 + x^121 + 1. */
export function polyvalBlock(low: u64, high: u64): void {
  const a = sumLow ^ low;
  const b = sumHigh ^ high;
  const aReversed = reversed(a);
  const bReversed = reversed(b);
  // Products of the halves: low, high, and of the sums for the middle.
  const low0 = multiply(a, keyLow);
  const high0 = multiply(b, keyHigh);
  const middle0 = multiply(a ^ b, keyLow ^ keyHigh) ^ low0 ^ high0;
  const lowR = multiply(aReversed, keyLowReversed);
  const highR = multiply(bReversed, keyHighReversed);
  const middleR = multiply(aReversed ^ bReversed, keyLowReversed ^ keyHighReversed) ^ lowR ^ highR;
  const v0 = low0;
  let v1 = (reversed(lowR) >> 1) ^ middle0;
  let v2 = high0 ^ (reversed(middleR) >> 1);
  let v3 = reversed(highR) >> 1;
  // Montgomery's reduction, 64 bits at a time: add the multiple of the polynomial that clears the lowest word.
  v2 ^= v0 ^ (v0 >> 1) ^ (v0 >> 2) ^ (v0 >> 7);
  v1 ^= (v0 << 63) ^ (v0 << 62) ^ (v0 << 57);
  v3 ^= v1 ^ (v1 >> 1) ^ (v1 >> 2) ^ (v1 >> 7);
  v2 ^= (v1 << 63) ^ (v1 << 62) ^ (v1 << 57);
  sumLow = v2;
  sumHigh = v3;
}

export function polyvalSum(): v128 {
  return v128.replace_lane<u64>(i64x2.splat(<i64>sumLow), 1, sumHigh);
}
