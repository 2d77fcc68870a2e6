// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Interleaved mode, the server's side (RFC 9769 §2): an answer that brings the true transmit timestamp of the one before.
 *
 *   server      t2  t3              t6  t7
 *          ────╱──────╲────────────╱──────╲────
 *   client   t1        t4        t5        t8
 *
 *   request 2   origin t2    receive t4 (or any)   transmit t5 (or any)
 *   answer 2    origin = request's receive   receive t6   transmit t3, as the kernel saw it leave
 *
 * The server keeps pairs (receive timestamp it told, transmit timestamp). A request whose origin is the receive timestamp of
 * a pair, and whose receive and transmit timestamps differ, is answered in interleaved mode; any other in basic mode, which
 * costs nobody anything. Receive timestamps told are made unique for that. The pairs are not tied to addresses: clients
 * change theirs and share them, and what a pair holds is no secret worth more than the packet that told it.
 *
 * A pair is kept only for a request that looks like an interleaving client's second (an origin, and receive and transmit
 * timestamps that differ): so the third answer is the first interleaved one, and whoever asks once leaves no trace here. The
 * table has a fixed number of sets of four, chosen by a keyed mix of the receive timestamp; a new pair takes the place of an
 * empty one, else of one that was used, else of the oldest. Client mode only: symmetric associations are not this file's.
 *
 * Tested in interleaved.test.ts; live against chronyd in tests/interop.
 */

import { mixWord } from "../crypto/siphash";
import { counters } from "./counters";
import { AT_ORIGIN, AT_RECEIVE, AT_TRANSMIT, read64, write64 } from "../proto/header";
import { AT_BITS, AT_SERVER_COOKIE, BIT_INTERLEAVED } from "../proto/v5";
import { Incoming } from "./incoming";
import { Timestamp } from "../proto/timestamp";

/** 2^14 sets of 4: 65,536 pairs, 1 MiB. MUST be a power of two. */
const SETS: i32 = 16384;
const SET_SIZE: usize = 64;

@unmanaged
class Pair {
  /** 0: an empty place. */
  receive: Timestamp;
  /** Its lowest bit, 233 ps, is the mark of a pair that was used. 0: not sent yet. */
  transmit: Timestamp;
}

const PAIR_SIZE: usize = 16;
const USED: u64 = 1;
const pairs: usize = memory.data(SETS * 64, 64);

let interleaving: bool = false;

/** Switch the mode on or off; off forgets all pairs. */
export function interleaveClients(on: bool): void {
  interleaving = on;
  if (!on) memory.fill(pairs, 0, <usize>SETS * SET_SIZE);
}

export function interleaveOn(): bool {
  return interleaving;
}

function setOf(receive: Timestamp): usize {
  return pairs + <usize>(<u32>(mixWord(receive) >>> 32) & (SETS - 1)) * SET_SIZE;
}

/** Read what the look-ups for this request will read first. The result means nothing, but MUST be used. */
export function interleaveTouch(packet: usize, received: Timestamp): u32 {
  const origin = read64(packet + AT_ORIGIN);
  // Who names no answer before gets none in this mode, and no pair is looked up.
  return origin == 0 ? 0 : load<u32>(setOf(origin)) ^ load<u32>(setOf(received));
}

function find(set: usize, receive: Timestamp): Pair {
  for (let at = set; at < set + SET_SIZE; at += PAIR_SIZE) {
    if (load<u64>(at) == receive) return changetype<Pair>(at);
  }
  return changetype<Pair>(0);
}

/** The place of the set that a new pair may take. */
function placeIn(set: usize, now: Timestamp): Pair {
  let best = set;
  let most: u64 = 0;
  for (let at = set; at < set + SET_SIZE; at += PAIR_SIZE) {
    const pair = changetype<Pair>(at);
    if (pair.receive == 0) return pair;
    // A used pair is older than any other, and one from a future that was taken back oldest of all.
    const age = ((now - pair.receive) >>> 1) | ((pair.transmit & USED) << 63);
    if (age >= most) {
      most = age;
      best = at;
    }
  }
  return changetype<Pair>(best);
}

/** More tries are not needed: stamps of one clock come in order, and only so many fall into one grain of it. */
const UNIQUE_TRIES: i32 = 16;

/**
 * The mode is on, and the answer to a client's request stands at `packet`; `origin`, `receive` and `transmit` are what the request had. Turn it
 * into an interleaved one if it can be, and keep a place for its own transmit timestamp if one may be asked for.
 */
export function interleaveAnswer(packet: usize, from: Incoming, origin: Timestamp, receive: Timestamp, transmit: Timestamp): void {
  if (origin == 0 || receive == transmit) return;
  const sent = pairUp(packet, from, origin);
  if (sent == 0) return;
  write64(packet + AT_ORIGIN, receive);
  write64(packet + AT_TRANSMIT, sent);
}

/** The same for NTPv5, which says in the header whether the mode is wanted, and names the answer before by the cookie it brought. */
export function interleaveAnswer5(packet: usize, from: Incoming, cookie: u64): void {
  const sent = pairUp(packet, from, cookie);
  // The receive timestamp is unique now, and says nothing that its own field does not.
  store<u64>(packet + AT_SERVER_COOKIE, load<u64>(packet + AT_RECEIVE));
  if (sent == 0) return;
  store<u16>(packet, load<u16>(packet, AT_BITS) | bswap<u16>(<u16>BIT_INTERLEAVED), AT_BITS);
  write64(packet + AT_TRANSMIT, sent);
}

/**
 * Make the answer's receive timestamp unique and keep a place for its transmit timestamp. Returns when the answer left that told
 * `origin`, 0 where that is not known; else the answer is one in interleaved mode, and stamped.
 */
function pairUp(packet: usize, from: Incoming, origin: Timestamp): Timestamp {
  let told = read64(packet + AT_RECEIVE);
  let set = setOf(told);
  for (let tries = 0; tries < UNIQUE_TRIES && (told == 0 || changetype<usize>(find(set, told)) != 0); tries++) set = setOf(++told);
  const before = find(setOf(origin), origin);
  const known = origin != 0 && changetype<usize>(before) != 0 && before.transmit != 0;
  const sent = known ? before.transmit & ~USED : 0;
  if (known) before.transmit |= USED;
  // Past its last try the timestamp is one that is there: that pair becomes the newer answer's.
  const there = find(set, told);
  const pair = changetype<usize>(there) != 0 ? there : placeIn(set, told);
  pair.receive = told;
  pair.transmit = 0;
  from.pair = changetype<usize>(pair);
  from.stampWanted = 1;
  write64(packet + AT_RECEIVE, told);
  if (!known) return 0;
  from.stamped = 1;
  counters.interleaved += 1;
  return sent;
}

/** The answer leaves about now: good enough until the true time comes, if ever. */
export function interleaveSent(from: Incoming, transmit: Timestamp): void {
  if (from.pair == 0) return;
  changetype<Pair>(from.pair).transmit = transmit & ~USED;
}

/**
 * What a basic answer says of when it leaves. Its two timestamps MUST NOT be equal (RFC 9769 §2): it could not be told from an
 * interleaved one by whoever copies one of them.
 */
export function interleaveApart(transmit: Timestamp, receive: Timestamp): Timestamp {
  return interleaving && transmit == receive ? transmit + 1 : transmit;
}

/** The answer that told `receive` left at `transmit` indeed. Returns false when nothing is known of it any more. */
export function interleaveTrue(receive: Timestamp, transmit: Timestamp): bool {
  if (receive == 0) return false;
  const pair = find(setOf(receive), receive);
  if (changetype<usize>(pair) == 0 || pair.transmit == 0) return false;
  pair.transmit = (transmit & ~USED) | (pair.transmit & USED);
  counters.stamps += 1;
  return true;
}
