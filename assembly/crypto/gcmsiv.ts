// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * AES-128-GCM-SIV (RFC 8452), AEAD 30 of NTS: each nonce, twelve octets, has keys of its own; the tag stands behind the text.
 *
 * Tested in aead.test.ts against RFC 8452 appendix C and noble.
 */

import { AES_CONTEXT_SIZE, aesBlock, aesBlocks, aesExpand } from "./aes";
import { equalOctets } from "./constant";
import { polyvalBlock, polyvalStart, polyvalSum, polyvalUpdate } from "./polyval";
import { xorOctets } from "./siv";

export const GCM_SIV_TAG: i32 = 16;
export const GCM_SIV_NONCE: i32 = 12;
export const GCM_SIV_KEY: i32 = 16;
export const GCM_SIV_CONTEXT_SIZE: i32 = AES_CONTEXT_SIZE;

const CHUNK: i32 = 8;
const stream: usize = memory.data(CHUNK * 16, 16);
const tags: usize = memory.data(32, 16);
const messageKey: usize = memory.data(16, 16);
/** The encryption key of one message, expanded. */
const message: usize = memory.data(AES_CONTEXT_SIZE, 16);
/** RFC 8452 §4: the tag's last bit is cleared before its encryption and set for the counter. */
const LAST_BIT: v128 = i8x16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -128);

export function gcmSivKey(key: usize, context: usize): void {
  aesExpand(key, GCM_SIV_KEY, context);
}

/** The keys of one message: POLYVAL's is started with, the cipher's expanded (RFC 8452 §4). */
function deriveKeys(context: usize, nonce: usize): void {
  for (let i = 0; i < 4; i++) {
    const at = stream + (<usize>i << 4);
    store<u32>(at, i);
    memory.copy(at + 4, nonce, GCM_SIV_NONCE);
  }
  aesBlocks(context, stream, 4);
  // The first eight octets of each block.
  store<u64>(messageKey, load<u64>(stream, 32), 0);
  store<u64>(messageKey, load<u64>(stream, 48), 8);
  polyvalStart(v128.replace_lane<u64>(v128.load(stream), 1, load<u64>(stream, 16)));
  aesExpand(messageKey, GCM_SIV_KEY, message);
}

/** The tag of the message whose keys were derived. */
function tagOf(ad: usize, adLength: i32, nonce: usize, text: usize, length: i32): v128 {
  polyvalUpdate(ad, adLength);
  polyvalUpdate(text, length);
  polyvalBlock(<u64>adLength << 3, <u64>length << 3);
  v128.store(tags, i64x2.splat(0));
  memory.copy(tags, nonce, GCM_SIV_NONCE);
  return aesBlock(message, v128.andnot(v128.xor(polyvalSum(), v128.load(tags)), LAST_BIT));
}

/** Counter mode from the tag; the counter is the first 32 bits, little-endian, and wraps. `out` may be `text`. */
function counterMode(tag: v128, text: usize, length: i32, out: usize): void {
  const start = v128.or(tag, LAST_BIT);
  let counter = v128.extract_lane<u32>(start, 0);
  for (let at = 0; at < length; at += CHUNK * 16) {
    const octets = min(CHUNK * 16, length - at);
    const blocks = (octets + 15) >> 4;
    for (let i = 0; i < blocks; i++) v128.store(stream + (<usize>i << 4), v128.replace_lane<u32>(start, 0, counter++));
    aesBlocks(message, stream, blocks);
    xorOctets(out + <usize>at, text + <usize>at, stream, octets);
  }
}

/** Writes the encrypted text and the tag, `length` + 16 octets; `out` may be `text`. Returns that length. */
export function gcmSivSeal(context: usize, ad: usize, adLength: i32, nonce: usize, text: usize, length: i32, out: usize): i32 {
  deriveKeys(context, nonce);
  const tag = tagOf(ad, adLength, nonce, text, length);
  counterMode(tag, text, length, out);
  v128.store(out + <usize>length, tag);
  return length + GCM_SIV_TAG;
}

/** Writes the text; `out` may be `sealed`. Returns its length, -1 when it does not verify; nothing of it is then left. */
export function gcmSivOpen(context: usize, ad: usize, adLength: i32, nonce: usize, sealed: usize, length: i32, out: usize): i32 {
  const textLength = length - GCM_SIV_TAG;
  if (textLength < 0) return -1;
  deriveKeys(context, nonce);
  const tag = v128.load(sealed + <usize>textLength);
  counterMode(tag, sealed, textLength, out);
  const right = tagOf(ad, adLength, nonce, out, textLength);
  v128.store(tags, right);
  v128.store(tags, tag, 16);
  if (equalOctets(tags, tags + 16, GCM_SIV_TAG)) return textLength;
  memory.fill(out, 0, textLength);
  return -1;
}
