// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The authenticated encryptions of NTS behind one face, by their IANA numbers: 15, 16, 17 AES-SIV-CMAC-256, -384, -512
 * (RFC 5297; 15 is the one that RFC 8915 §5.1 demands), 30 AES-128-GCM-SIV (RFC 8452).
 *
 * A context is the caller's memory, AEAD_CONTEXT_SIZE octets, filled by {@link aeadKey} and secret. No length of anything
 * traps. Tested in aead.test.ts.
 */

import { GCM_SIV_CONTEXT_SIZE, GCM_SIV_KEY, GCM_SIV_NONCE, gcmSivKey, gcmSivOpen, gcmSivSeal } from "./gcmsiv";
import { SIV_CONTEXT_SIZE, sivKey, sivOpen, sivSeal } from "./siv";

export const AEAD_SIV_256: i32 = 15;
export const AEAD_SIV_384: i32 = 16;
export const AEAD_SIV_512: i32 = 17;
export const AEAD_GCM_SIV: i32 = 30;
/** What a sealed text is longer than the text, with each of them. */
export const AEAD_TAG: i32 = 16;

/** The number stands first; the rest keeps the alignment of vectors. */
const AT_KEYS: usize = 16;
const LARGEST: i32 = SIV_CONTEXT_SIZE > GCM_SIV_CONTEXT_SIZE ? SIV_CONTEXT_SIZE : GCM_SIV_CONTEXT_SIZE;
export const AEAD_CONTEXT_SIZE: i32 = 16 + LARGEST;

/** Octets of a key; 0 for a number that is not known. */
export function aeadKeyLength(id: i32): i32 {
  if (id == AEAD_SIV_256) return 32;
  if (id == AEAD_SIV_384) return 48;
  if (id == AEAD_SIV_512) return 64;
  return id == AEAD_GCM_SIV ? GCM_SIV_KEY : 0;
}

/** Octets of the nonce that we choose. AES-SIV takes any length, GCM-SIV this one only. */
export function aeadNonceLength(id: i32): i32 {
  if (id == AEAD_GCM_SIV) return GCM_SIV_NONCE;
  return aeadKeyLength(id) > 0 ? 16 : 0;
}

/** Expand `key`, as long as {@link aeadKeyLength} says. Returns false, with a context that opens nothing, for an unknown number. */
export function aeadKey(id: i32, key: usize, context: usize): bool {
  const length = aeadKeyLength(id);
  store<i32>(context, length > 0 ? id : 0);
  if (id == AEAD_GCM_SIV) {
    gcmSivKey(key, context + AT_KEYS);
    return true;
  }
  return length > 0 && sivKey(key, length, context + AT_KEYS);
}

/**
 * Seal `text`: writes `textLength` + 16 octets at `out` and returns how many; 0 when it cannot be done.
 *
 * AES-SIV puts the tag first, and `text` may be `out` + 16; GCM-SIV puts it last, and `text` may be `out`. Nothing else
 * may overlap.
 */
export function aeadSeal(
  context: usize, ad: usize, adLength: i32, nonce: usize, nonceLength: i32, text: usize, textLength: i32, out: usize,
): i32 {
  const id = load<i32>(context);
  if (adLength < 0 || nonceLength < 0 || textLength < 0) return 0;
  if (id == AEAD_GCM_SIV) {
    return nonceLength == GCM_SIV_NONCE ? gcmSivSeal(context + AT_KEYS, ad, adLength, nonce, text, textLength, out) : 0;
  }
  return id == 0 ? 0 : sivSeal(context + AT_KEYS, ad, adLength, nonce, nonceLength, text, textLength, out);
}

/**
 * Open `sealed`: writes the text at `out` and returns its length, `sealedLength` - 16; -1 when it does not verify, and then
 * `out` holds zeros. `out` may be where the encrypted text lies, as for {@link aeadSeal}.
 */
export function aeadOpen(
  context: usize, ad: usize, adLength: i32, nonce: usize, nonceLength: i32, sealed: usize, sealedLength: i32, out: usize,
): i32 {
  const id = load<i32>(context);
  if (adLength < 0 || nonceLength < 0) return -1;
  if (id == AEAD_GCM_SIV) {
    return nonceLength == GCM_SIV_NONCE ? gcmSivOpen(context + AT_KEYS, ad, adLength, nonce, sealed, sealedLength, out) : -1;
  }
  return id == 0 ? -1 : sivOpen(context + AT_KEYS, ad, adLength, nonce, nonceLength, sealed, sealedLength, out);
}
