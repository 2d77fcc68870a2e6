// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A batch of packet slots in linear memory: the host receives straight into them, the core answers in place.
 *
 * Slot i holds a packet at `slots + i * SLOT_STRIDE`, and beside it in a table what the transport knows of it.
 * `answerBatch` replaces each length by that of the reply, 0 where there is none to send; a control message for the host is
 * such a slot, too, with its length in `control`.
 *
 * Tested in respond.test.ts; measured in bench/core.ts.
 */

import { Incoming } from "./incoming";
import { answerTo, finishAnswer } from "./answer";
import { Server } from "./respond";
import { Timestamp } from "../proto/timestamp";

export const SLOT_COUNT: i32 = 64;
/** The longest datagram taken; a longer one is cut and then found malformed. */
export const SLOT_SIZE: i32 = 2048;
/**
 * One cache line more than the size: with a power of two, the first lines of all slots would fall into the same few sets
 * of the level-1 cache and evict each other.
 */
export const SLOT_STRIDE: i32 = SLOT_SIZE + 64;

export const slotPackets: usize = memory.data(SLOT_COUNT * SLOT_STRIDE, 64);
export const slotTable: usize = memory.data(SLOT_COUNT * offsetof<Incoming>(), 8);

function slotAt(index: i32): Incoming {
  return changetype<Incoming>(slotTable + <usize>index * offsetof<Incoming>());
}

/** Turn the request in slot `index` into its answer but for the transmit timestamp; returns its length, 0 for none. */
export function answerSlot(index: i32, server: Server): i32 {
  const slot = slotAt(index & (SLOT_COUNT - 1));
  slot.length = min(slot.length, SLOT_SIZE);
  slot.length = answerTo(slotPackets + <usize>((index & (SLOT_COUNT - 1)) * SLOT_STRIDE), slot, server);
  return slot.length;
}

/** The answer in slot `index` leaves at `transmit`. */
export function finishSlot(index: i32, transmit: Timestamp, server: Server): void {
  const at = index & (SLOT_COUNT - 1);
  finishAnswer(slotPackets + <usize>(at * SLOT_STRIDE), slotAt(at), transmit, server);
}

/** Answer the first `count` slots; all leave at `transmit`. Returns how many have an answer. */
export function answerBatch(count: i32, transmit: Timestamp, server: Server): i32 {
  let answers = 0;
  const limit = min(count, SLOT_COUNT);
  for (let i = 0; i < limit; i++) {
    const slot = slotAt(i);
    const packet = slotPackets + <usize>(i * SLOT_STRIDE);
    slot.length = min(slot.length, SLOT_SIZE);
    slot.length = answerTo(packet, slot, server);
    if (slot.length == 0) continue;
    finishAnswer(packet, slot, transmit, server);
    answers += 1;
  }
  return answers;
}
