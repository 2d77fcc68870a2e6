// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Cookies of our own (RFC 8915 §6), and the generations of keys that seal them.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |                       Key identifier                     (32) |
 * 4 |                           Nonce                         (128) |
 * 20|                       Synthetic IV                      (128) |
 * 36|       C2S key, S2C key, encrypted: 64 octets for AEAD 15      |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * AES-SIV-CMAC-256; associated data: key identifier (4) and the AEAD's number (2). Each AEAD has keys of another length, so
 * that a cookie's length tells which it is for, and the number need not stand in it to be authenticated. Nothing in it
 * depends on the NTP version. 100 octets for AEAD 15, 132 for 16, 164 for 17, 68 for 30.
 *
 * Up to eight generations are held: the host sets them, says which one is current, and clears the oldest. A cookie of a
 * cleared generation cannot be opened again. Tested in ntscookies.test.ts.
 */

import { AEAD_GCM_SIV, AEAD_SIV_256, AEAD_SIV_384, AEAD_SIV_512, aeadKeyLength } from "../crypto/aead";
import { cmacOf, doubled } from "../crypto/cmac";
import { SIV_CONTEXT_SIZE, sivKey, sivOpen, sivSeal, sivStart } from "../crypto/siv";
import { read32, write32 } from "../proto/header";

export const GENERATIONS: i32 = 8;
export const COOKIE_KEY_LENGTH: i32 = 32;
export const COOKIE_NONCE: usize = 4;
export const COOKIE_TAG: usize = 20;
export const COOKIE_KEYS: usize = 36;
/** Two keys of the longest, AEAD 17's. */
export const COOKIE_KEYS_MAXIMUM: i32 = 128;

/** A generation: its SIV context stands first, so that its address is the context's. */
const AT_STARTS: usize = <usize>SIV_CONTEXT_SIZE;
const AT_ID: usize = AT_STARTS + 64;
const AT_VALID: usize = AT_ID + 4;
const GENERATION_SIZE: usize = AT_ID + 16;

const generations: usize = memory.data(GENERATIONS * <i32>GENERATION_SIZE, 16);
const associated: usize = memory.data(8, 8);
const keys: usize = memory.data(COOKIE_KEYS_MAXIMUM, 16);
let current: usize = 0;

function generationAt(slot: i32): usize {
  return generations + <usize>slot * GENERATION_SIZE;
}

/** The valid generation of that identifier; 0 when there is none. */
export function generationOf(id: u32): usize {
  for (let slot = 0; slot < GENERATIONS; slot++) {
    const generation = generationAt(slot);
    if (load<i32>(generation, AT_VALID) != 0 && load<u32>(generation, AT_ID) == id) return generation;
  }
  return 0;
}

/** The generation that seals; 0 when there is none. */
export function generationCurrent(): usize {
  return current;
}

/** Set the key, 32 octets, of generation `slot`. Returns false for a slot that does not exist or an identifier of another. */
export function generationSet(slot: i32, id: u32, key: usize): bool {
  if (<u32>slot >= <u32>GENERATIONS) return false;
  const generation = generationAt(slot);
  const known = generationOf(id);
  if (known != 0 && known != generation) return false;
  sivKey(key, COOKIE_KEY_LENGTH, generation);
  store<u32>(generation, id, AT_ID);
  store<i32>(generation, 1, AT_VALID);
  for (let i = 0; i < 4; i++) v128.store(generation + (<usize>i << 4), startOf(generation, id, aeadAt(i)), AT_STARTS);
  return true;
}

/** S2V after the associated data, doubled: what the nonce's CMAC is added to. */
function startOf(generation: usize, id: u32, aead: i32): v128 {
  associate(id, aead);
  return doubled(v128.xor(sivStart(generation), cmacOf(generation, associated, 6)));
}

function associate(id: u32, aead: i32): void {
  write32(associated, id);
  store<u16>(associated, bswap<u16>(<u16>aead), 4);
}

/** Forget a generation: its cookies cannot be opened again. */
export function generationClear(slot: i32): void {
  if (<u32>slot >= <u32>GENERATIONS) return;
  const generation = generationAt(slot);
  memory.fill(generation, 0, GENERATION_SIZE);
  if (current == generation) current = 0;
}

/** Seal with generation `slot` from now on. Returns false when it is not set. */
export function generationChoose(slot: i32): bool {
  if (<u32>slot >= <u32>GENERATIONS || load<i32>(generationAt(slot), AT_VALID) == 0) return false;
  current = generationAt(slot);
  return true;
}

export function generationId(generation: usize): u32 {
  return load<u32>(generation, AT_ID);
}

/** S2V's state before the nonce, for a cookie of that AEAD. */
export function generationStart(generation: usize, aead: i32): v128 {
  return v128.load(generation + (<usize>aeadIndex(aead) << 4), AT_STARTS);
}

function aeadAt(index: i32): i32 {
  return index == 0 ? AEAD_SIV_256 : index == 1 ? AEAD_SIV_384 : index == 2 ? AEAD_SIV_512 : AEAD_GCM_SIV;
}

function aeadIndex(aead: i32): i32 {
  return aead == AEAD_SIV_256 ? 0 : aead == AEAD_SIV_384 ? 1 : aead == AEAD_SIV_512 ? 2 : 3;
}

/** Octets of a cookie for that AEAD; 0 for one that is not known. */
export function cookieLength(aead: i32): i32 {
  const key = aeadKeyLength(aead);
  return key == 0 ? 0 : <i32>COOKIE_KEYS + 2 * key;
}

/** The AEAD of a cookie of so many octets; 0 when no cookie of ours is that long. */
export function cookieAead(length: i32): i32 {
  for (let i = 0; i < 4; i++) if (cookieLength(aeadAt(i)) == length) return aeadAt(i);
  return 0;
}

/**
 * Seal the two keys of a client into a cookie at `out`, with sixteen random octets at `random`. Returns its length, 0 when
 * the AEAD is not known or no generation is current.
 */
export function cookieSeal(aead: i32, c2s: usize, s2c: usize, out: usize, random: usize): i32 {
  const keyLength = aeadKeyLength(aead);
  if (keyLength == 0 || current == 0) return 0;
  const id = generationId(current);
  memory.copy(keys, c2s, keyLength);
  memory.copy(keys + <usize>keyLength, s2c, keyLength);
  write32(out, id);
  v128.store(out, v128.load(random), COOKIE_NONCE);
  associate(id, aead);
  sivSeal(current, associated, 6, out + COOKIE_NONCE, 16, keys, 2 * keyLength, out + COOKIE_TAG);
  memory.fill(keys, 0, COOKIE_KEYS_MAXIMUM);
  return cookieLength(aead);
}

/** Open a cookie: C2S and S2C go to `out`, one behind the other. Returns its AEAD; 0 when it is none of ours. */
export function cookieOpen(cookie: usize, length: i32, out: usize): i32 {
  const aead = cookieAead(length);
  if (aead == 0) return 0;
  const id = read32(cookie);
  const generation = generationOf(id);
  if (generation == 0) return 0;
  associate(id, aead);
  const sealed = length - <i32>COOKIE_TAG;
  return sivOpen(generation, associated, 6, cookie + COOKIE_NONCE, 16, cookie + COOKIE_TAG, sealed, out) < 0 ? 0 : aead;
}
