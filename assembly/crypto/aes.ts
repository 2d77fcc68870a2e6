// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * AES-128, -192 and -256, encryption only (FIPS-197), in constant time: no branch and no address depends on a secret.
 *
 * The S-box is computed, not looked up in memory. A byte is taken as k + iθ over GF(16), with g⁴ = g + 1 (g is 0x5c in AES'
 * field), θ² = aθ + a (θ is 0xb2) and a = g. With j = i + k and N the norm of that byte,
 *
 *   p = 1/(1/i + a/k) + j = N/(k + ai)        q = 1/(1/j + a/k) + i = N/(k + aj)
 *
 * so that the inverse, (k + ai + iθ)/N, is linear in 1/p and 1/q, and AES' affine map and the factors of MixColumns go into
 * the tables that take p and q (M. Hamburg, "Accelerating AES with vector permute instructions", CHES 2009). Each table
 * has sixteen entries and lies in a vector register; an index of 16 or more stands for infinity, and gives 0.
 *
 * The state stays in that basis from the first round to the last. Tested in aes.test.ts against FIPS-197 and noble.
 */

/** Round keys in the basis of the state, sixteen octets each; behind them the number of rounds. */
export const AES_CONTEXT_SIZE: i32 = 256;
export const AES_BLOCK: i32 = 16;
const AT_ROUNDS: usize = 240;

// Tables: entry 0 is the lowest octet of the first number.
// Into the basis and out of it, by the low and by the high half of a byte.
const INTO_LOW: v128 = i64x2(0x30312c2d1d1c0100, 0x17160b0a3a3b2627);
const INTO_HIGH: v128 = i64x2(0xf573088e7bfd8600, 0x82047ff90c8af177);
const BACK_LOW: v128 = i64x2(0xbdbce1e05d5c0100, 0xedecb1b00d0c5150);
const BACK_HIGH: v128 = i64x2(0x3d8f883a07b5b200, 0x91232496ab191eac);
/** 1/n, and a/n; of 0 it is infinity. */
const INVERSE: v128 = i64x2(0x06070b0d0e090180, 0x0803040a050c020f);
const INVERSE_A: v128 = i64x2(0x0c0e05090f010280, 0x030608070a0b040d);
// What p and q add to the S-box' value, without its constant 0x63; to twice that; and to the last round's, in AES' own basis.
const ONCE_P: v128 = i64x2(0x80437cfc0c4fc300, 0x8cf0b3bf703f33cf);
const ONCE_Q: v128 = i64x2(0x23c5c6e5b772e600, 0x945297207103b451);
const TWICE_P: v128 = i64x2(0x93ef0192cf207c00, 0x5c5db27dceee21b3);
const TWICE_Q: v128 = i64x2(0xc31225e6f7e5d100, 0x341103f4d237c026);
const LAST_P: v128 = i64x2(0xac678d21b0d7cb00, 0x1c91f6463dea5a7b);
const LAST_Q: v128 = i64x2(0xe8772ac216619f00, 0xfed4a3b53c5d4b89);

// ShiftRows, and then each column turned up by 0, 1, 2 and 3 rows, as MixColumns adds them up.
const ROWS: v128 = i8x16(0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11);
const ROWS_1: v128 = i8x16(5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12);
const ROWS_2: v128 = i8x16(10, 15, 0, 5, 14, 3, 4, 9, 2, 7, 8, 13, 6, 11, 12, 1);
const ROWS_3: v128 = i8x16(15, 0, 5, 10, 3, 4, 9, 14, 7, 8, 13, 2, 11, 12, 1, 6);

// For the key schedule: the last word in all places, turned by an octet or not; all words moved up, zeros behind them.
const LAST_WORD: v128 = i8x16(12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
const LAST_WORD_TURNED: v128 = i8x16(13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12);
const UP_ONE_WORD: v128 = i8x16(-1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
const UP_TWO_WORDS: v128 = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7);

const NIBBLE: v128 = i8x16.splat(0x0f);
/** The S-box' constant, 0x63, in AES' basis and in ours. */
const CONSTANT: v128 = i8x16.splat(0x63);
const CONSTANT_INSIDE: v128 = i8x16.splat(0x6e);

/** The pieces of a round. Inlined, so that the tables stay in registers over all the rounds of a loop. */
export class Round {
  @inline static p(x: v128): v128 {
    const k = v128.and(x, NIBBLE);
    const i = v128.and(v128.shr<u16>(x, 4), NIBBLE);
    const sum = v128.xor(v128.swizzle(INVERSE_A, k), v128.swizzle(INVERSE, i));
    return v128.xor(v128.swizzle(INVERSE, sum), v128.xor(i, k));
  }

  @inline static q(x: v128): v128 {
    const k = v128.and(x, NIBBLE);
    const i = v128.and(v128.shr<u16>(x, 4), NIBBLE);
    const sum = v128.xor(v128.swizzle(INVERSE_A, k), v128.swizzle(INVERSE, v128.xor(i, k)));
    return v128.xor(v128.swizzle(INVERSE, sum), i);
  }

  /** SubBytes but for its constant (which is in the round keys), in the basis of the state. */
  @inline static sub(x: v128): v128 {
    return v128.xor(v128.swizzle(ONCE_P, Round.p(x)), v128.swizzle(ONCE_Q, Round.q(x)));
  }

  @inline static into(x: v128): v128 {
    return v128.xor(v128.swizzle(INTO_LOW, v128.and(x, NIBBLE)), v128.swizzle(INTO_HIGH, v128.and(v128.shr<u16>(x, 4), NIBBLE)));
  }

  @inline static back(x: v128): v128 {
    return v128.xor(v128.swizzle(BACK_LOW, v128.and(x, NIBBLE)), v128.swizzle(BACK_HIGH, v128.and(v128.shr<u16>(x, 4), NIBBLE)));
  }

  /** SubBytes, ShiftRows, MixColumns (2a₀ + 3a₁ + a₂ + a₃), AddRoundKey. */
  @inline static middle(x: v128, key: v128): v128 {
    const p = Round.p(x);
    const q = Round.q(x);
    const once = v128.xor(v128.swizzle(ONCE_P, p), v128.swizzle(ONCE_Q, q));
    const twice = v128.xor(v128.swizzle(TWICE_P, p), v128.swizzle(TWICE_Q, q));
    const others = v128.xor(v128.swizzle(once, ROWS_2), v128.swizzle(once, ROWS_3));
    const first = v128.xor(v128.swizzle(twice, ROWS), key);
    return v128.xor(v128.xor(v128.swizzle(v128.xor(once, twice), ROWS_1), first), others);
  }

  /** SubBytes, ShiftRows, AddRoundKey, and out of the basis. */
  @inline static last(x: v128, key: v128): v128 {
    const sub = v128.xor(v128.swizzle(LAST_P, Round.p(x)), v128.swizzle(LAST_Q, Round.q(x)));
    return v128.xor(v128.swizzle(sub, ROWS), key);
  }
}

/**
 * Expand the key of 16, 24 or 32 octets into `context`. Returns false for any other length.
 *
 * FIPS-197 §5.2 in the basis of the state: the key schedule is linear but for its S-box.
 */
export function aesExpand(key: usize, keyLength: i32, context: usize): bool {
  if (keyLength != 16 && keyLength != 24 && keyLength != 32) return false;
  const keyWords = keyLength >> 2;
  const rounds = keyWords + 6;
  for (let at = 0; at < keyLength; at += 8) {
    v128.store64_lane(context + <usize>at, Round.into(v128.load64_zero(key + <usize>at)), 0);
  }
  if (keyWords == 6) expandWords(context);
  else expandQuads(context, keyWords >> 2, rounds);
  const end = context + (<usize>rounds << 4);
  for (let at = context + 16; at < end; at += 16) v128.store(at, v128.xor(v128.load(at), CONSTANT_INSIDE));
  v128.store(end, v128.xor(Round.back(v128.load(end)), CONSTANT));
  store<i32>(context, rounds, AT_ROUNDS);
  return true;
}

/** The next power of x in AES' field; the eleventh is never asked for. */
function nextConstant(constant: i32): i32 {
  return (constant << 1) ^ ((constant >> 7) * 0x11b);
}

/** AES-128 and -256, whose keys are one and two round keys long: four words at a time. */
function expandQuads(context: usize, quads: i32, rounds: i32): void {
  let before = v128.load(context);
  let last = v128.load(context + (<usize>(quads - 1) << 4));
  let constant = 1;
  for (let i = quads; i <= rounds; i++) {
    let sub: v128;
    if (quads == 1 || (i & 1) == 0) {
      const turned = Round.sub(v128.swizzle(last, LAST_WORD_TURNED));
      sub = v128.xor(turned, v128.xor(Round.into(i32x4.splat(constant)), CONSTANT_INSIDE));
      constant = nextConstant(constant);
    } else {
      sub = v128.xor(Round.sub(v128.swizzle(last, LAST_WORD)), CONSTANT_INSIDE);
    }
    // Each word is added to all those behind it.
    const sums = v128.xor(before, v128.swizzle(before, UP_ONE_WORD));
    const next = v128.xor(v128.xor(sums, v128.swizzle(sums, UP_TWO_WORDS)), sub);
    v128.store(context + (<usize>i << 4), next);
    before = quads == 1 ? next : last;
    last = next;
  }
}

/** AES-192, whose six words do not fit round keys of four: word by word. */
function expandWords(context: usize): void {
  let word = load<u32>(context, 20);
  let constant = 1;
  for (let i = 6; i < 52; i++) {
    if (i % 6 == 0) {
      const sub = v128.xor(Round.sub(i32x4.splat(<i32>rotr<u32>(word, 8))), CONSTANT_INSIDE);
      word = <u32>v128.extract_lane<i32>(v128.xor(sub, Round.into(i32x4.splat(constant))), 0);
      constant = nextConstant(constant);
    }
    word ^= load<u32>(context + (<usize>(i - 6) << 2));
    store<u32>(context + (<usize>i << 2), word);
  }
}

/** How many rounds the key in `context` takes: 10, 12 or 14. */
export function aesRounds(context: usize): i32 {
  return load<i32>(context, AT_ROUNDS);
}

/** One block from `input` to `out`, which may be the same. */
export function aesEncrypt(context: usize, input: usize, out: usize): void {
  v128.store(out, aesBlock(context, v128.load(input)));
}

/** One block. */
export function aesBlock(context: usize, block: v128): v128 {
  const end = context + (<usize>aesRounds(context) << 4);
  let x = v128.xor(Round.into(block), v128.load(context));
  for (let key = context + 16; key < end; key += 16) x = Round.middle(x, v128.load(key));
  return Round.last(x, v128.load(end));
}

/** The cipher block chaining of CMAC: `x` and then `blocks` blocks at `data`, each added and encrypted. */
export function aesChain(context: usize, x: v128, data: usize, blocks: i32): v128 {
  if (isDefined(PAGE)) {
    for (; blocks > 0; blocks--, data += 16) x = aesBlock(context, v128.xor(x, v128.load(data)));
    return x;
  }
  const end = context + (<usize>aesRounds(context) << 4);
  for (; blocks > 0; blocks--) {
    x = v128.xor(Round.into(v128.xor(x, v128.load(data))), v128.load(context));
    for (let key = context + 16; key < end; key += 16) x = Round.middle(x, v128.load(key));
    x = Round.last(x, v128.load(end));
    data += 16;
  }
  return x;
}

/**
 * Encrypt `blocks` blocks at `at`, each for itself and in place; four at a time, since one alone waits for its own results
 * most of the time (measured: 89 ns for one, 46 each for two, 33 each for four). A page asks once in a while, and has to load
 * the code first: there the short way.
 */
export function aesBlocks(context: usize, at: usize, blocks: i32): void {
  if (isDefined(PAGE)) {
    for (; blocks > 0; blocks--, at += 16) v128.store(at, aesBlock(context, v128.load(at)));
    return;
  }
  const end = context + (<usize>aesRounds(context) << 4);
  for (; blocks > 1; blocks -= 4) {
    // Where fewer than four are left, the last one is done again: the same octets go to the same place.
    const b = at + 16;
    const c = blocks > 2 ? at + 32 : b;
    const d = blocks > 3 ? at + 48 : c;
    const first = v128.load(context);
    let w = v128.xor(Round.into(v128.load(at)), first);
    let x = v128.xor(Round.into(v128.load(b)), first);
    let y = v128.xor(Round.into(v128.load(c)), first);
    let z = v128.xor(Round.into(v128.load(d)), first);
    for (let key = context + 16; key < end; key += 16) {
      const roundKey = v128.load(key);
      w = Round.middle(w, roundKey);
      x = Round.middle(x, roundKey);
      y = Round.middle(y, roundKey);
      z = Round.middle(z, roundKey);
    }
    const last = v128.load(end);
    v128.store(at, Round.last(w, last));
    v128.store(b, Round.last(x, last));
    v128.store(c, Round.last(y, last));
    v128.store(d, Round.last(z, last));
    at += 64;
  }
  if (blocks == 1) v128.store(at, aesBlock(context, v128.load(at)));
}
