// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Transmit stamps by the kernel, for the answers that want one: looped back, with the datagram, in the socket's error queue.
 *
 * A looped datagram comes with the headers of the layers below, whose lengths depend on the device. So it is looked at from its
 * end: an answer that awaits its stamp has this length, and this receive timestamp in its place, which serves as its name.
 *
 * Late stamps (a device with a queue of its own) find their answer among the last {@link AWAITED}; then they are forgotten.
 *
 * Where network cards stamp, two stamps come of one answer, the kernel's and the card's, in an entry each. The kernel's counts
 * until the card's comes, which is judged by it; one that came first, or alone, is judged by when the answer was made.
 * Tested in mmsg.test.ts, with cards in cards.test.ts.
 */

import { AT_RECEIVE, read64 } from "../proto/header";
import { ownTime } from "./clockline";
import { stampBettered, stampTransmitted } from "./answer";
import { cardSent, cardStamps, cardsOn } from "./cards";
import { Server } from "./respond";
import { MMSG_SIZE, Controls, forgetCard, readControls } from "./ancillary";
import { Timestamp } from "../proto/timestamp";

/** Messages read from the error queue at a time: more than a batch asks for, so that one read empties it. */
export const LOOPED_BATCH: i32 = 32;
/** The longest answer and the headers below it. */
const LOOPED_SIZE: i32 = 2048 + 128;
const MSG_TRUNC: u32 = 0x20;
/** Room for stamps, addresses of both families, and the error entry with the address that the kernel adds to it. */
const CONTROL_LOOPED: usize = 256;

const headers: usize = memory.data(LOOPED_BATCH * 64, 64);
const vectors: usize = memory.data(LOOPED_BATCH * 16, 16);
const controlArea: usize = memory.data(LOOPED_BATCH * 256, 16);
const packets: usize = memory.data(LOOPED_BATCH * LOOPED_SIZE, 16);
const controls = changetype<Controls>(memory.data(offsetof<Controls>(), 8));

export const mmsgLooped: usize = headers;

/** An answer that has been sent and whose transmit stamp is not known yet. */
@unmanaged
class Awaited {
  /** Its receive timestamp as it lies in the packet. */
  name: u64;
  /** Of the answer; 0: nothing is awaited. */
  length: i32;
}

/** A power of two; several batches. */
const AWAITED: i32 = 128;
const awaited: usize = memory.data(AWAITED * 16, 8);
let newest: i32 = 0;

/** What else is known of an answer that is awaited, beside it in a table of its own: without cards nobody reads it. */
@unmanaged
class Beside {
  /** The system's clock when it was made. */
  made: Timestamp;
  /** The kernel's stamp; 0: it has not come yet. */
  kernel: Timestamp;
}
const beside: usize = memory.data(AWAITED * 16, 8);

/** A stamp that came: of the answer with this receive timestamp. */
@unmanaged
export class TransmitStamp {
  receive: Timestamp;
  transmit: Timestamp;
}
/** What the last {@link mmsgStamps} found. */
export const transmitStamps: usize = memory.data(LOOPED_BATCH * 16, 8);

function awaitedAt(index: i32): Awaited {
  return changetype<Awaited>(awaited + (<usize>(index & (AWAITED - 1)) << 4));
}

function besideAt(index: i32): Beside {
  return changetype<Beside>(beside + (<usize>(index & (AWAITED - 1)) << 4));
}

/** Forget all, and lay the structures out for a linear memory at the native address `base`. */
export function resetLooped(base: u64): void {
  memory.fill(awaited, 0, <usize>AWAITED * 16);
  for (let i = 0; i < LOOPED_BATCH; i++) {
    const index = <usize>i;
    const header = headers + index * MMSG_SIZE;
    const vector = vectors + index * 16;
    // No place for a name: it is known to whom the answer went.
    store<u64>(header, base + <u64>vector, 16);
    store<u64>(header, 1, 24);
    store<u64>(header, base + <u64>(controlArea + index * CONTROL_LOOPED), 32);
    store<u64>(vector, base + <u64>(packets + index * <usize>LOOPED_SIZE));
    store<u64>(vector, <u64>LOOPED_SIZE, 8);
    resetHeader(i);
  }
}

function resetHeader(index: i32): void {
  const header = headers + <usize>index * MMSG_SIZE;
  store<u64>(header, <u64>CONTROL_LOOPED, 40);
  store<i32>(header, 0, 48);
}

/** The answer of `length` octets at `packet`, made at `made`, will be sent with a request for its stamp. */
export function stampAwaited(packet: usize, length: i32, made: Timestamp): void {
  newest += 1;
  const known = besideAt(newest);
  known.made = made;
  known.kernel = 0;
  const entry = awaitedAt(newest);
  entry.name = load<u64>(packet + AT_RECEIVE);
  entry.length = length;
}

/** recvmmsg read `count` messages from the error queue into MMSG_LOOPED. Returns how many stamps are in TRANSMIT_STAMPS. */
export function mmsgStamps(count: i32, server: Server): i32 {
  let found = 0;
  const limit = max(0, min(count, LOOPED_BATCH));
  for (let i = 0; i < limit; i++) {
    const header = headers + <usize>i * MMSG_SIZE;
    forgetCard(controls);
    readControls(controlArea + <usize>i * CONTROL_LOOPED, <i32>min(load<u64>(header, 40), <u64>CONTROL_LOOPED), controls);
    const whole = (load<u32>(header, 48) & MSG_TRUNC) == 0;
    if (whole && controls.isTransmit != 0 && (controls.stamp | controls.card) != 0) {
      const packet = packets + <usize>i * <usize>LOOPED_SIZE;
      if (matchStamp(packet, min(load<i32>(header, 56), LOOPED_SIZE), found)) {
        const stamp = changetype<TransmitStamp>(transmitStamps + (<usize>found << 4));
        if (better) stampBettered(stamp.receive, stamp.transmit, server);
        else stampTransmitted(stamp.receive, stamp.transmit, server);
        found += 1;
      }
    }
    resetHeader(i);
  }
  return found;
}

/** The stamp that was found takes the place of one that was told before. */
let better: bool = false;

/** Find whose stamp this is. Newest first: mostly it is of the last batch. */
function matchStamp(packet: usize, length: i32, found: i32): bool {
  for (let i = 0; i < AWAITED; i++) {
    const entry = awaitedAt(newest - i);
    const from = length - entry.length;
    if (entry.length == 0 || from < 0) continue;
    const at = packet + <usize>from + AT_RECEIVE;
    if (load<u64>(at) != entry.name) continue;
    better = false;
    let left = controls.stamp;
    if (cardsOn()) left = ofBoth(entry, besideAt(newest - i));
    else entry.length = 0;
    if (left == 0) return false;
    const stamp = changetype<TransmitStamp>(transmitStamps + (<usize>found << 4));
    stamp.receive = read64(at);
    stamp.transmit = ownTime(left);
    return true;
  }
  return false;
}

/** Of the kernel's stamp and the card's, which come in any order: what is to be told now; 0: nothing new. */
function ofBoth(entry: Awaited, known: Beside): Timestamp {
  const told = known.kernel != 0;
  if (!told) known.kernel = controls.stamp;
  const byKernel = known.kernel != 0;
  const byCard = controls.card == 0 ? 0 : cardSent(controls, byKernel ? known.kernel : known.made, byKernel);
  // Without a card's stamp to come, or with it, nothing more is awaited.
  if (byCard != 0 || !cardStamps(controls) || (controls.card != 0 && byKernel)) entry.length = 0;
  better = told && byCard != 0;
  return byCard != 0 ? byCard : told ? 0 : controls.stamp;
}
