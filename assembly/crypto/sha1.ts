// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * SHA-1 (FIPS 180-4 §6.1), for old symmetric keys only: it is broken for signatures and used for nothing else here.
 *
 * Streaming: `sha1Start`, any number of `sha1Update`, `sha1Finish`. One digest at a time. Tested in hash.test.ts at every
 * split of 0 to 3 blocks.
 */

import { BLOCKS_SIZE, Blocks } from "./blocks";

export const SHA1_LENGTH: i32 = 20;

const state: usize = memory.data(20, 8);
const blocks = changetype<Blocks>(memory.data(BLOCKS_SIZE, 8));
@lazy const block: usize = blocks.octets;
/** The message schedule: 80 words. */
const schedule: usize = memory.data(320, 8);

export function sha1Start(): void {
  store<u32>(state, 0x67452301, 0);
  store<u32>(state, 0xefcdab89, 4);
  store<u32>(state, 0x98badcfe, 8);
  store<u32>(state, 0x10325476, 12);
  store<u32>(state, 0xc3d2e1f0, 16);
  blocks.start();
}

export function sha1Update(data: usize, length: i32): void {
  blocks.update(data, length, compress);
}

/** Write the digest, 20 octets, at `out`. */
export function sha1Finish(out: usize): void {
  blocks.finish(true, compress);
  for (let at: usize = 0; at < <usize>SHA1_LENGTH; at += 4) store<u32>(out + at, bswap<u32>(load<u32>(state + at)));
}

function compress(): void {
  for (let i: usize = 0; i < 64; i += 4) store<u32>(schedule + i, bswap<u32>(load<u32>(block + i)));
  for (let at = schedule + 64; at < schedule + 320; at += 4) {
    store<u32>(at, rotl<u32>(load<u32>(at - 12) ^ load<u32>(at - 32) ^ load<u32>(at - 56) ^ load<u32>(at - 64), 1));
  }
  let a = load<u32>(state, 0);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  let e = load<u32>(state, 16);
  for (let i = 0; i < 80; i++) {
    let mixed: u32;
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = rotl<u32>(a, 5) + mixed + e + load<u32>(schedule + (<usize>i << 2));
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = next;
  }
  store<u32>(state, load<u32>(state, 0) + a, 0);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
}
