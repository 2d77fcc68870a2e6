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

import { KIND_ADDRESS, clientHash, clientTouch } from "./clients";
import { gateLooksUp } from "./gate";
import { interleaveOn, interleaveTouch } from "./interleaved";
import { Incoming } from "./incoming";
import { beginAnswer, completeAnswer, finishAnswer } from "./answer";
import { openRequests } from "./ntsopen";
import { sealReplies } from "./ntsreply";
import { requestCount, requestsForget } from "./ntsrequest";
import { LATER, Server } from "./respond";
import { SLOT_COUNT, SLOT_SIZE, packetAt } from "./slots";
import { Timestamp } from "../proto/timestamp";

export const slotTable: usize = memory.data(SLOT_COUNT * offsetof<Incoming>(), 8);

/** What is known of the packet in a slot, 0..63. */
export function slotAt(index: i32): Incoming {
  return changetype<Incoming>(slotTable + <usize>index * offsetof<Incoming>());
}

/** Turn the request in slot `index` into its answer but for the transmit timestamp; returns its length, 0 for none. */
export function answerSlot(index: i32, server: Server): i32 {
  const at = index & (SLOT_COUNT - 1);
  const slot = slotAt(at);
  if (requestCount() > 0) requestsForget();
  slot.length = min(slot.length, SLOT_SIZE);
  slot.length = beginAnswer(packetAt(at), slot, server);
  if (slot.length == LATER) {
    openRequests();
    slot.length = completeAnswer(packetAt(at), slot, server);
  }
  return slot.length;
}

/** The answer in slot `index` leaves at `transmit`. */
export function finishSlot(index: i32, transmit: Timestamp, server: Server): void {
  const at = index & (SLOT_COUNT - 1);
  finishAnswer(packetAt(at), slotAt(at), transmit, server);
  if (requestCount() > 0) sealReplies(packetAt(at));
}

/** Where what was read beforehand goes, so that the reading is not optimised away. */
let warmth: u32 = 0;

/**
 * Before a batch: work out whose records it needs, and read them once in tight loops, so that the processor waits for many lines
 * of memory at the same time instead of one after the other. With more clients than its caches hold this halves the time. Whoever
 * answers the slots one by one need not call it.
 */
function warmBatch(count: i32): void {
  const looksUp = gateLooksUp();
  if (!looksUp && !interleaveOn()) return;
  for (let i = 0; i < count; i++) {
    const slot = slotAt(i);
    slot.hash = looksUp && slot.known ? clientHash(slot.high, slot.low, KIND_ADDRESS) : 0;
  }
  let sum: u32 = 0;
  if (looksUp) for (let i = 0; i < count; i++) sum += clientTouch(slotAt(i).hash);
  if (interleaveOn()) for (let i = 0; i < count; i++) sum += interleaveTouch(packetAt(i), slotAt(i).received);
  warmth = sum;
}

/**
 * Turn the first `count` slots into answers but for their transmit timestamps; {@link finishAnswer} is to be called for each,
 * and `sealReplies(0)` after all. NTS requests are opened together, as their ciphers run side by side.
 */
export function beginBatch(count: i32, server: Server): void {
  const limit = min(count, SLOT_COUNT);
  if (requestCount() > 0) requestsForget();
  warmBatch(limit);
  for (let i = 0; i < limit; i++) {
    const slot = slotAt(i);
    slot.length = min(slot.length, SLOT_SIZE);
    slot.length = beginAnswer(packetAt(i), slot, server);
  }
  if (requestCount() == 0) return;
  openRequests();
  for (let i = 0; i < limit; i++) {
    const slot = slotAt(i);
    if (slot.length == LATER) slot.length = completeAnswer(packetAt(i), slot, server);
  }
}

/** Answer the first `count` slots; all leave at `transmit`. Returns how many have an answer. */
export function answerBatch(count: i32, transmit: Timestamp, server: Server): i32 {
  beginBatch(count, server);
  const limit = min(count, SLOT_COUNT);
  let answers = 0;
  for (let i = 0; i < limit; i++) {
    const slot = slotAt(i);
    if (slot.length == 0) continue;
    finishAnswer(packetAt(i), slot, transmit, server);
    answers += 1;
  }
  if (requestCount() > 0) sealReplies(0);
  return answers;
}
