// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The packet slots in linear memory that hosts receive into and send from. A file of its own, so that a client that needs but
 * slot 0 has nothing of the server's beside it (assembly/page.ts). Tested in answer.test.ts and tests/fuzz/packets.test.ts.
 */

export const SLOT_COUNT: i32 = 64;
/** The longest datagram taken; a longer one is cut and then found malformed. */
export const SLOT_SIZE: i32 = 2048;
/**
 * One cache line more than the size: with a power of two, the first lines of all slots would fall into the same few sets
 * of the level-1 cache and evict each other.
 */
export const SLOT_STRIDE: i32 = SLOT_SIZE + 64;

export const slotPackets: usize = memory.data(SLOT_COUNT * SLOT_STRIDE, 64);

/** The packet of a slot, 0..63. */
export function packetAt(index: i32): usize {
  return slotPackets + <usize>(index * SLOT_STRIDE);
}
