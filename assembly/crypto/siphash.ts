// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * SipHash-1-3 of 16 octets: where in a table a client belongs, in a way that nobody without the key can aim at.
 *
 * One round a word and three to finish are what hash tables elsewhere use against floods; it is no MAC and MUST NOT be used
 * as one. The key comes from the host's randomness; without one the table works, but can be aimed at.
 *
 * Tested in siphash.test.ts against the published algorithm in BigInt arithmetic.
 */

let key0: u64 = 0;
let key1: u64 = 0;

/** The secret of this instance's tables. */
export function tableKey(first: u64, second: u64): void {
  key0 = first;
  key1 = second;
}

const ABSORBING: i32 = 3;
const ROUNDS: i32 = ABSORBING + 3;

/** The hash of two words, as of their 16 octets in little-endian order. All state is in locals: globals would cost five times as much. */
export function hashWords(first: u64, second: u64): u64 {
  let v0 = key0 ^ 0x736f6d6570736575;
  let v1 = key1 ^ 0x646f72616e646f6d;
  let v2 = key0 ^ 0x6c7967656e657261;
  let v3 = key1 ^ 0x7465646279746573;
  for (let turn = 0; turn < ROUNDS; turn++) {
    // The last word holds the octets left over, none, and their number in its highest octet. To finish, zero is as good as no word.
    const word = turn == 0 ? first : turn == 1 ? second : turn == 2 ? <u64>16 << 56 : 0;
    if (turn == ABSORBING) v2 ^= 0xff;
    v3 ^= word;
    v0 += v1;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v0 = rotl<u64>(v0, 32);
    v2 += v3;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 += v3;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v2 += v1;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= word;
  }
  return v0 ^ v1 ^ v2 ^ v3;
}

/**
 * A much cheaper mix of one word with the key, its highest bits the best: for words that we made up ourselves, such as our own
 * receive timestamps, so that nobody could choose them anyway.
 */
export function mixWord(word: u64): u64 {
  const mixed = (word ^ key0) * 0x9e3779b97f4a7c15;
  return (mixed ^ (mixed >>> 32)) * 0xd6e8feb86659fd93;
}
