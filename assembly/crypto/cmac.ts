// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * AES-CMAC (RFC 4493, NIST SP 800-38B), for symmetric keys (RFC 8573) and inside AES-SIV.
 *
 * A context holds the expanded key and the two subkeys. Tested in aes.test.ts against RFC 4493 and noble.
 */

import { AES_BLOCK, AES_CONTEXT_SIZE, aesBlock, aesChain, aesExpand } from "./aes";

export const CMAC_LENGTH: i32 = 16;
export const CMAC_CONTEXT_SIZE: i32 = AES_CONTEXT_SIZE + 32;
/** K1, for a last block that is whole; behind it K2, for one that is padded. */
const AT_SUBKEYS: usize = <usize>AES_CONTEXT_SIZE;

const INDEX: v128 = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
const ONE_BIT: v128 = i8x16.splat(-128);
const tail: usize = memory.data(16, 16);

/** Twice `block` in GF(2^128) as a big-endian polynomial modulo x^128 + x^7 + x^2 + x + 1 (RFC 4493 §2.3). */
export function doubled(block: v128): v128 {
  const high = bswap<u64>(v128.extract_lane<u64>(block, 0));
  const low = bswap<u64>(v128.extract_lane<u64>(block, 1));
  const carry = (high >> 63) * 0x87;
  const result = i64x2.splat(<i64>bswap<u64>((high << 1) | (low >> 63)));
  return v128.replace_lane<u64>(result, 1, bswap<u64>((low << 1) ^ carry));
}

/** Expand a key of 16, 24 or 32 octets. Returns false for any other length. */
export function cmacKey(key: usize, keyLength: i32, context: usize): bool {
  if (!aesExpand(key, keyLength, context)) return false;
  cmacSubkeys(context, aesBlock(context, i64x2.splat(0)));
  return true;
}

/** Complete a context whose key is expanded; `zero` is a block of zeros encrypted with it. */
export function cmacSubkeys(context: usize, zero: v128): void {
  const once = doubled(zero);
  v128.store(context, once, AT_SUBKEYS);
  v128.store(context, doubled(once), AT_SUBKEYS + 16);
}

/** What is added to a last block that is whole. */
export function cmacWhole(context: usize): v128 {
  return v128.load(context, AT_SUBKEYS);
}

/** The CMAC of `length` octets at `data`. */
export function cmacOf(context: usize, data: usize, length: i32): v128 {
  return cmacRest(context, i64x2.splat(0), data, length);
}

/** The same when whole blocks before `data` have already been chained into `x`; then `length` MUST NOT be 0. */
export function cmacRest(context: usize, x: v128, data: usize, length: i32): v128 {
  const before = length > 0 ? (length - 1) >> 4 : 0;
  x = aesChain(context, x, data, before);
  return aesBlock(context, v128.xor(x, lastBlock(context, data + (<usize>before << 4), length - (before << 4))));
}

/** The last `length` octets, 0 to 16, padded if need be, with the subkey that says which. */
export function lastBlock(context: usize, data: usize, length: i32): v128 {
  if (length == AES_BLOCK) return v128.xor(v128.load(data), v128.load(context, AT_SUBKEYS));
  return v128.xor(padded(data, length), v128.load(context, AT_SUBKEYS + 16));
}

/** A block begun with `length` octets, fewer than 16, then a one bit and zeros. */
export function padded(data: usize, length: i32): v128 {
  const end = i8x16.splat(<i8>length);
  const begun = v128.and(v128.lt<u8>(INDEX, end), sixteen(data, length));
  return v128.or(begun, v128.and(v128.eq<i8>(INDEX, end), ONE_BIT));
}

/** The octets at `data` and whatever follows the first `length`, but never what lies behind the end of memory. */
function sixteen(data: usize, length: i32): v128 {
  if (data + 16 <= <usize>memory.size() << 16) return v128.load(data);
  memory.copy(tail, data, length);
  return v128.load(tail);
}

/** Write the CMAC, 16 octets, at `out`. */
export function cmac(context: usize, data: usize, length: i32, out: usize): void {
  v128.store(out, cmacOf(context, data, length));
}
