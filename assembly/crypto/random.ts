// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Random octets for nonces: AES-256 in counter mode under a key that the host seeds with 32 random octets.
 *
 * Each filling of the pool begins with the next key, so that who learns the state cannot work out what came before. It
 * gives nothing until it is seeded. Tested in random.test.ts.
 */

import { AES_CONTEXT_SIZE, aesBlocks, aesExpand } from "./aes";

export const SEED_LENGTH: i32 = 32;
/** Blocks of one filling; the first two are the next key. */
const POOL_BLOCKS: i32 = 66;

const context: usize = memory.data(AES_CONTEXT_SIZE, 16);
const pool: usize = memory.data(POOL_BLOCKS * 16, 16);
let seeded: bool = false;
let taken: i32 = POOL_BLOCKS;

/** Start anew from the 32 octets at `seed`. They MUST be random, and no other instance may be given the same. */
export function randomSeed(seed: usize): void {
  aesExpand(seed, SEED_LENGTH, context);
  taken = POOL_BLOCKS;
  seeded = true;
}

export function randomReady(): bool {
  return seeded;
}

/** Sixteen octets that nobody else has. MUST NOT be asked before {@link randomReady}. */
export function randomBlock(): v128 {
  if (taken == POOL_BLOCKS) fill();
  const at = pool + (<usize>taken << 4);
  taken += 1;
  const block = v128.load(at);
  v128.store(at, i64x2.splat(0));
  return block;
}

function fill(): void {
  for (let i = 0; i < POOL_BLOCKS; i++) v128.store(pool + (<usize>i << 4), v128.replace_lane<i32>(i64x2.splat(0), 0, i));
  aesBlocks(context, pool, POOL_BLOCKS);
  aesExpand(pool, SEED_LENGTH, context);
  memory.fill(pool, 0, SEED_LENGTH);
  taken = 2;
}
