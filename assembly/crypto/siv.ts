// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * AES-SIV-CMAC-256, -384 and -512 (RFC 5297) as RFC 5116 §3 uses it and NTS with it: the strings are exactly the associated
 * data and the nonce, then the text; the result is the synthetic IV, 16 octets, and the encrypted text behind it.
 *
 * A nonce used twice betrays only that two messages are equal. Tested in aead.test.ts against RFC 5297 and noble.
 */

import { AES_CONTEXT_SIZE, aesBlocks, aesChain, aesExpand } from "./aes";
import { CMAC_CONTEXT_SIZE, cmacKey, cmacOf, cmacRest, doubled, padded } from "./cmac";
import { equalOctets } from "./constant";

export const SIV_TAG: i32 = 16;
/** S2V's key with its subkeys, the counter mode's key, and twice CMAC(0), with which S2V begins. */
export const AT_COUNTER_KEY: usize = <usize>CMAC_CONTEXT_SIZE;
const AT_START: usize = AT_COUNTER_KEY + <usize>AES_CONTEXT_SIZE;
export const SIV_CONTEXT_SIZE: i32 = CMAC_CONTEXT_SIZE + AES_CONTEXT_SIZE + 16;

/** Counter blocks are made eight at a time. */
const CHUNK: i32 = 8;
const stream: usize = memory.data(CHUNK * 16, 16);
const tail: usize = memory.data(32, 16);
const expected: usize = memory.data(16, 16);
/** RFC 5297 §2.5: bits 31 and 63 of the counter's start are cleared. */
const COUNTER_MASK: v128 = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, 0x7f, -1, -1, -1, 0x7f, -1, -1, -1);

/** Expand a key of 32, 48 or 64 octets: first half for S2V, second for counter mode. Returns false for any other length. */
export function sivKey(key: usize, keyLength: i32, context: usize): bool {
  const half = keyLength >> 1;
  if ((keyLength & 15) != 0 || !cmacKey(key, half, context)) return false;
  v128.store(context, doubled(cmacZero(context)), AT_START);
  return aesExpand(key + <usize>half, half, context + AT_COUNTER_KEY);
}

/** CMAC of sixteen octets of zero. */
function cmacZero(context: usize): v128 {
  v128.store(tail, i64x2.splat(0));
  return cmacOf(context, tail, 16);
}

/** S2V over the associated data, the nonce and the text (RFC 5297 §2.4). */
function synthesize(context: usize, ad: usize, adLength: i32, nonce: usize, nonceLength: i32, text: usize, length: i32): v128 {
  let d = v128.xor(v128.load(context, AT_START), cmacOf(context, ad, adLength));
  d = v128.xor(doubled(d), cmacOf(context, nonce, nonceLength));
  if (length < 16) {
    v128.store(tail, v128.xor(doubled(d), padded(text, length)));
    return cmacOf(context, tail, 16);
  }
  // d is added to the last sixteen octets, which may lie in two blocks: those two are made anew.
  const rest = 16 + (length & 15);
  const before = length - rest;
  memory.copy(tail, text + <usize>before, rest);
  const at = tail + <usize>(rest - 16);
  v128.store(at, v128.xor(v128.load(at), d));
  return cmacRest(context, aesChain(context, i64x2.splat(0), text, before >> 4), tail, rest);
}

/** S2V's start under this key: what the first string's CMAC is added to. */
export function sivStart(context: usize): v128 {
  return v128.load(context, AT_START);
}

/** Write the counters from the `skip`th on after the synthetic IV: `blocks` blocks at `at`. */
export function sivCounters(iv: v128, skip: i32, at: usize, blocks: i32): void {
  const start = v128.and(iv, COUNTER_MASK);
  const high = v128.extract_lane<u64>(start, 0);
  // With bit 63 cleared the low half cannot overflow in any length we can be given.
  const low = bswap<u64>(v128.extract_lane<u64>(start, 1)) + <u64>skip;
  for (let i = 0; i < blocks; i++) {
    store<u64>(at + (<usize>i << 4), high);
    store<u64>(at + (<usize>i << 4), bswap<u64>(low + <u64>i), 8);
  }
}

/** Counter mode from the synthetic IV under the expanded key at `counterKey`; `out` may be `text`. */
export function sivCounterMode(counterKey: usize, iv: v128, text: usize, length: i32, out: usize): void {
  for (let at = 0; at < length; at += CHUNK * 16) {
    const octets = min(CHUNK * 16, length - at);
    const blocks = (octets + 15) >> 4;
    sivCounters(iv, at >> 4, stream, blocks);
    aesBlocks(counterKey, stream, blocks);
    xorOctets(out + <usize>at, text + <usize>at, stream, octets);
  }
}

/** `out` becomes `a` ⊕ `b`; it may be either of them. */
export function xorOctets(out: usize, a: usize, b: usize, length: i32): void {
  let i: usize = 0;
  for (; i + 16 <= <usize>length; i += 16) v128.store(out + i, v128.xor(v128.load(a + i), v128.load(b + i)));
  for (; i < <usize>length; i++) store<u8>(out + i, load<u8>(a + i) ^ load<u8>(b + i));
}

/** Writes the tag and the encrypted text, `length` + 16 octets; `text` may be `out` + 16. Returns that length. */
export function sivSeal(context: usize, ad: usize, adLength: i32, nonce: usize, nonceLength: i32, text: usize, length: i32, out: usize): i32 {
  const iv = synthesize(context, ad, adLength, nonce, nonceLength, text, length);
  sivCounterMode(context + AT_COUNTER_KEY, iv, text, length, out + 16);
  v128.store(out, iv);
  return length + SIV_TAG;
}

/** Writes the text; `out` may be `sealed` + 16. Returns its length, -1 when it does not verify; nothing of it is then left. */
export function sivOpen(context: usize, ad: usize, adLength: i32, nonce: usize, nonceLength: i32, sealed: usize, length: i32, out: usize): i32 {
  const textLength = length - SIV_TAG;
  if (textLength < 0) return -1;
  const iv = v128.load(sealed);
  sivCounterMode(context + AT_COUNTER_KEY, iv, sealed + 16, textLength, out);
  v128.store(expected, synthesize(context, ad, adLength, nonce, nonceLength, out, textLength));
  v128.store(tail, iv);
  if (equalOctets(expected, tail, SIV_TAG)) return textLength;
  memory.fill(out, 0, textLength);
  return -1;
}
