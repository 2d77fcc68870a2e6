// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * ML-KEM-768 (FIPS 203) for who makes the keys: the encapsulation key of a seed, and the secret of a ciphertext.
 *
 *   seed         d (32) ‖ z (32), which is the decapsulation key in its short form (§3.3, §7.1)
 *   key          t (3 · 384) ‖ ρ (32) = 1184 octets
 *   ciphertext   u (3 · 320) ‖ v (128) = 1088 octets, of any content
 *
 * The keys are made anew from the seed when a ciphertext is opened: a third of a millisecond instead of 2400 octets to keep.
 * No branch, no address and no division depends on a secret; a ciphertext that nobody made from the key gives a secret
 * that nobody knows (§6.3). All working memory is wiped. Encapsulation is not here but for what decapsulation does again.
 * Tested in mlkem.test.ts against noble.
 */

import { RATE_256, RATE_512, RATE_SHAKE128, SHA3, SHAKE, keccakAbsorb, keccakEnd, keccakForget, keccakOctet, keccakSqueeze, keccakStart } from "./keccak";

export const MLKEM_SEED: i32 = 64;
export const MLKEM_KEY: i32 = 1184;
export const MLKEM_CIPHERTEXT: i32 = 1088;
export const MLKEM_SECRET: i32 = 32;

const K: i32 = 3;
const N: i32 = 256;
const Q: u32 = 3329;
/** floor(2^32 / Q) */
const Q_INVERSE: u64 = 1290167;
/** 1/128 mod Q. */
const HALVES: u32 = 3303;
const HALF: i32 = 32;
const ROW: i32 = 384;
const U_OCTETS: i32 = 320;
/** Octets of a polynomial in memory: 256 numbers below Q, of 16 bits. */
const POLY: usize = 512;
const VECTOR: usize = 3 * 512;

/** 17 to the power of the seven bits of the place, read backwards (Appendix A). */
const zetas: usize = memory.data(2 * 128, 8);
const work: usize = memory.data(4 * 1536 + 2 * 512 + 1184 + 1088 + 256, 16);
const secretVector: usize = work;
const keyVector: usize = work + VECTOR;
const noiseVector: usize = work + 2 * VECTOR;
const sumVector: usize = work + 3 * VECTOR;
const single: usize = work + 4 * VECTOR;
const other: usize = single + POLY;
const ownKey: usize = other + POLY;
const again: usize = ownKey + 1184;
/** 128 octets of hashes, and as many of what noise is made of. */
const hashes: usize = again + 1088;
const bits: usize = hashes + 128;
const WORK: usize = 4 * 1536 + 2 * 512 + 1184 + 1088 + 256;

// --- numbers below Q ---

/** x mod Q, for any x of 32 bits. */
function reduced(x: u32): u32 {
  const rest = x - <u32>((<u64>x * Q_INVERSE) >> 32) * Q;
  return once(rest);
}

/** x mod Q, for x below 2Q. */
function once(x: u32): u32 {
  const less = x - Q;
  return less + (<u32>(<i32>less >> 31) & Q);
}

function at(poly: usize, place: i32): u32 {
  return load<u16>(poly + (<usize>place << 1));
}

function put(poly: usize, place: i32, value: u32): void {
  store<u16>(poly + (<usize>place << 1), <u16>value);
}

// --- polynomials ---

function learnZetas(): void {
  let power: u32 = 1;
  for (let i = 0; i < 128; i++) {
    let place = 0;
    for (let bit = 0; bit < 7; bit++) place |= ((i >> bit) & 1) << (6 - bit);
    put(zetas, place, power);
    power = reduced(power * 17);
  }
}

/** Algorithm 9, in place. */
function transform(poly: usize): void {
  let i = 1;
  for (let length = 128; length >= 2; length >>= 1) {
    for (let start = 0; start < N; start += 2 * length) {
      const zeta = at(zetas, i++);
      for (let j = start; j < start + length; j++) {
        const turned = reduced(zeta * at(poly, j + length));
        const here = at(poly, j);
        put(poly, j + length, once(here + Q - turned));
        put(poly, j, once(here + turned));
      }
    }
  }
}

/** Algorithm 10, in place. */
function transformBack(poly: usize): void {
  let i = 127;
  for (let length = 2; length <= 128; length <<= 1) {
    for (let start = 0; start < N; start += 2 * length) {
      const zeta = at(zetas, i--);
      for (let j = start; j < start + length; j++) {
        const here = at(poly, j);
        const there = at(poly, j + length);
        put(poly, j, once(here + there));
        put(poly, j + length, reduced(zeta * (there + Q - here)));
      }
    }
  }
  for (let j = 0; j < N; j++) put(poly, j, reduced(at(poly, j) * HALVES));
}

/** sum += a · b, all transformed (Algorithms 11 and 12). */
function addProduct(sum: usize, a: usize, b: usize): void {
  for (let i = 0; i < N; i += 2) {
    const zeta = at(zetas, 64 + (i >> 2));
    const gamma = (i & 2) == 0 ? zeta : Q - zeta;
    const a0 = at(a, i);
    const a1 = at(a, i + 1);
    const b0 = at(b, i);
    const b1 = at(b, i + 1);
    put(sum, i, reduced(at(sum, i) + a0 * b0 + reduced(a1 * b1) * gamma));
    put(sum, i + 1, reduced(at(sum, i + 1) + a0 * b1 + a1 * b0));
  }
}

function add(sum: usize, poly: usize): void {
  for (let i = 0; i < N; i++) put(sum, i, once(at(sum, i) + at(poly, i)));
}

// --- sampling ---

/** An entry of the public matrix, from ρ (Algorithm 7). What it takes and passes over is public. */
function sampleEntry(rho: usize, first: i32, second: i32, out: usize): void {
  keccakStart(RATE_SHAKE128);
  keccakAbsorb(rho, HALF);
  keccakOctet(<u8>first);
  keccakOctet(<u8>second);
  keccakEnd(SHAKE);
  for (let i = 0; i < N; ) {
    keccakSqueeze(bits, 3);
    const three = load<u32>(bits) & 0xffffff;
    const low = three & 0xfff;
    const high = three >> 12;
    if (low < Q) put(out, i++, low);
    if (high < Q && i < N) put(out, i++, high);
  }
}

/** Small numbers, -2 to 2, from 32 secret octets and a number (Algorithm 8 with η = 2). */
function sampleNoise(seed: usize, number: i32, out: usize): void {
  keccakStart(RATE_256);
  keccakAbsorb(seed, HALF);
  keccakOctet(<u8>number);
  keccakEnd(SHAKE);
  keccakSqueeze(bits, 128);
  for (let i = 0; i < N; i++) {
    const four = <u32>load<u8>(bits + <usize>(i >> 1)) >> ((i & 1) << 2);
    put(out, i, once(Q + (four & 1) + ((four >> 1) & 1) - ((four >> 2) & 1) - ((four >> 3) & 1)));
  }
}

function sampleVector(seed: usize, number: i32, out: usize): void {
  for (let i = 0; i < K; i++) sampleNoise(seed, number + i, out + <usize>i * POLY);
}

/** sum[i] += A[i] · vector, or its transpose's. */
function addMatrix(rho: usize, transposed: bool, vector: usize, sum: usize): void {
  for (let i = 0; i < K; i++) {
    for (let j = 0; j < K; j++) {
      sampleEntry(rho, transposed ? i : j, transposed ? j : i, single);
      addProduct(sum + <usize>i * POLY, single, vector + <usize>j * POLY);
    }
  }
}

// --- octets ---

/** Numbers of `width` bits, one behind the other, the lowest bit first (Algorithm 5). */
function pack(poly: usize, width: i32, out: usize): void {
  let kept: u32 = 0;
  let count = 0;
  for (let i = 0; i < N; i++) {
    kept |= at(poly, i) << count;
    for (count += width; count >= 8; count -= 8) {
      store<u8>(out++, <u8>kept);
      kept >>= 8;
    }
  }
}

/** Algorithm 6. */
function unpack(octets: usize, width: i32, out: usize): void {
  let kept: u32 = 0;
  let count = 0;
  for (let i = 0; i < N; i++) {
    for (; count < width; count += 8) kept |= <u32>load<u8>(octets++) << count;
    put(out, i, kept & ((1 << width) - 1));
    kept >>= width;
    count -= width;
  }
}

/** §4.2.1: x · 2^width / Q, rounded, by multiplication. */
function compress(poly: usize, width: i32): void {
  for (let i = 0; i < N; i++) {
    const scaled = (at(poly, i) << width) + (Q >> 1) + 1;
    put(poly, i, <u32>((<u64>scaled * Q_INVERSE) >> 32) & ((1 << width) - 1));
  }
}

function decompress(poly: usize, width: i32): void {
  for (let i = 0; i < N; i++) put(poly, i, (at(poly, i) * Q + (1 << (width - 1))) >> width);
}

// --- the scheme ---

/** Algorithms 13 and 16: the key into `ownKey`, transformed vectors into `secretVector` and `keyVector`. */
function makeKeys(seed: usize): void {
  learnZetas();
  keccakStart(RATE_512);
  keccakAbsorb(seed, HALF);
  keccakOctet(<u8>K);
  keccakEnd(SHA3);
  keccakSqueeze(hashes, 2 * HALF);
  sampleVector(hashes + HALF, 0, secretVector);
  sampleVector(hashes + HALF, K, keyVector);
  for (let i = 0; i < K; i++) {
    transform(secretVector + <usize>i * POLY);
    transform(keyVector + <usize>i * POLY);
  }
  addMatrix(hashes, false, secretVector, keyVector);
  for (let i = 0; i < K; i++) pack(keyVector + <usize>i * POLY, 12, ownKey + <usize>(i * ROW));
  memory.copy(ownKey + <usize>(K * ROW), hashes, HALF);
}

/** Algorithm 14: the message of 32 octets under `ownKey`, with the randomness, into `again`. */
function encrypt(message: usize, randomness: usize): void {
  sampleVector(randomness, 0, noiseVector);
  sampleVector(randomness, K, sumVector);
  memory.fill(other, 0, POLY);
  for (let i = 0; i < K; i++) {
    transform(noiseVector + <usize>i * POLY);
    transform(sumVector + <usize>i * POLY);
    addProduct(other, keyVector + <usize>i * POLY, noiseVector + <usize>i * POLY);
  }
  addMatrix(ownKey + <usize>(K * ROW), true, noiseVector, sumVector);
  for (let i = 0; i < K; i++) {
    const u = sumVector + <usize>i * POLY;
    transformBack(u);
    compress(u, 10);
    pack(u, 10, again + <usize>(i * U_OCTETS));
  }
  transformBack(other);
  sampleNoise(randomness, 2 * K, single);
  add(other, single);
  unpack(message, 1, single);
  decompress(single, 1);
  add(other, single);
  compress(other, 4);
  pack(other, 4, again + <usize>(K * U_OCTETS));
}

/** Algorithm 15: what the ciphertext says under `secretVector`, 32 octets to `message`. */
function decrypt(ciphertext: usize, message: usize): void {
  memory.fill(other, 0, POLY);
  for (let i = 0; i < K; i++) {
    unpack(ciphertext + <usize>(i * U_OCTETS), 10, single);
    decompress(single, 10);
    transform(single);
    addProduct(other, secretVector + <usize>i * POLY, single);
  }
  transformBack(other);
  unpack(ciphertext + <usize>(K * U_OCTETS), 4, single);
  decompress(single, 4);
  for (let i = 0; i < N; i++) put(other, i, once(at(single, i) + Q - at(other, i)));
  compress(other, 1);
  pack(other, 1, message);
}

/** The encapsulation key of the seed of 64 octets at `seed`, to `out`. */
export function mlkemKey(seed: usize, out: usize): void {
  makeKeys(seed);
  memory.copy(out, ownKey, MLKEM_KEY);
  forget();
}

/** The shared secret, 32 octets to `out`, of any ciphertext of {@link MLKEM_CIPHERTEXT} octets (Algorithm 18). */
export function mlkemOpen(seed: usize, ciphertext: usize, out: usize): void {
  makeKeys(seed);
  const message = hashes;
  decrypt(ciphertext, message);
  // H(key) behind the message; of both, the secret and the randomness.
  keccakStart(RATE_256);
  keccakAbsorb(ownKey, MLKEM_KEY);
  keccakEnd(SHA3);
  keccakSqueeze(hashes + HALF, HALF);
  keccakStart(RATE_512);
  keccakAbsorb(hashes, 2 * HALF);
  keccakEnd(SHA3);
  const secret = hashes + 2 * HALF;
  keccakSqueeze(secret, 2 * HALF);
  encrypt(message, secret + HALF);
  // What a ciphertext gives that the key's holder would have made otherwise.
  keccakStart(RATE_256);
  keccakAbsorb(seed + HALF, HALF);
  keccakAbsorb(ciphertext, MLKEM_CIPHERTEXT);
  keccakEnd(SHAKE);
  keccakSqueeze(message, HALF);
  let differs: u32 = 0;
  for (let i: usize = 0; i < <usize>MLKEM_CIPHERTEXT; i++) differs |= <u32>(load<u8>(again + i) ^ load<u8>(ciphertext + i));
  const mask = <u8>((<i32>(0 - differs)) >> 31);
  for (let i: usize = 0; i < <usize>HALF; i++) {
    const right = load<u8>(secret + i);
    store<u8>(out + i, right ^ (mask & (right ^ load<u8>(message + i))));
  }
  forget();
}

function forget(): void {
  memory.fill(work, 0, WORK);
  keccakForget();
}
