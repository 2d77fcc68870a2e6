// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Manycast (RFC 5905 §3.1): find servers by asking a whole network, then follow each of them as an ordinary source.
 *
 *   manycastTimer(w, now, random) ──▶ SEND the packet in slot 0 to everybody, then manycastSent(w, t1); TIMER
 *   manycastReply(w, length, t4, now) ──▶ 1: its sender may be followed; the host says so by manycastFollow(w, index)
 *
 * The request is that of a client, and one answer of each server is awaited for a few seconds. It comes from an address that
 * nobody knew, so that it is judged by what only who saw the request can know, its origin, and by what it tells: a server
 * that is not fit to be followed now is none. What it measures is not used: the source's own burst follows at once.
 *
 * While fewer servers than wanted are reachable everybody is asked again, less and less often; else nobody is.
 *
 * Tested in manycast.test.ts and hosts/common/client/manycast.test.ts; live with ntpd in tests/interop.
 */

import { ACTION_SEND, ACTION_TIMER, UNREACHABLE_AFTER, action, associationAt, lastSample } from "./state";
import { Exchange, VERDICT_SAMPLE, replyRead, requestWrite } from "./exchange";
import { SOURCES } from "../discipline/memory";
import { MODE_CLIENT } from "../proto/header";
import { slotPackets } from "../server/slots";
import { Timestamp } from "../proto/timestamp";

/** Networks that are asked. */
const MANYCASTS: i32 = 4;
/** log2 s from one request to the next: at first, at most, and from one look to the next while there is enough. */
const FIRST_POLL: i32 = 4;
const LONGEST_POLL: i32 = 10;
const LOOK_POLL: i32 = 6;
/** Answers count for so long, 32.32 s. */
const WINDOW: u64 = 5 << 32;

@unmanaged
class Manycast extends Exchange {
  active: u8;
  /** log2 s from the last request to the next. */
  wait: i8;
  /** So many servers are wanted. */
  limit: i32;
  /** The associations that were found, one bit each. */
  found: u64;
  /** When everybody was asked last, on the monotonic clock. */
  askedAt: u64;
}

const manycasts: usize = memory.data(MANYCASTS * offsetof<Manycast>(), 8);

function manycastAt(which: i32): Manycast {
  return changetype<Manycast>(manycasts + <usize>(which & (MANYCASTS - 1)) * offsetof<Manycast>());
}

/** Look for `limit` servers. The first manycastTimer is due at once. */
export function manycastOpen(which: i32, version: i32, limit: i32): void {
  const manycast = manycastAt(which);
  memory.fill(changetype<usize>(manycast), 0, offsetof<Manycast>());
  manycast.active = 1;
  manycast.version = <u8>version;
  manycast.mode = <u8>MODE_CLIENT;
  manycast.wait = <i8>FIRST_POLL;
  manycast.limit = limit;
}

/** Look no more. What was found stays. */
export function manycastClose(which: i32): void {
  manycastAt(which).active = 0;
}

/** Association `index` follows a server that was found here. */
export function manycastFollow(which: i32, index: i32): void {
  manycastAt(which).found |= bitOf(index);
}

/** An association of those found that is to be closed: its server is gone. -1: none. Call until there is none. */
export function manycastLost(which: i32): i32 {
  const manycast = manycastAt(which);
  for (let index = 0; index < SOURCES; index++) {
    if ((manycast.found & bitOf(index)) == 0 || isReachable(index)) continue;
    manycast.found &= ~bitOf(index);
    return index;
  }
  return -1;
}

/** The time named has come. `random`: 64 bits nobody can guess. */
export function manycastTimer(which: i32, now: u64, random: u64): i32 {
  const manycast = manycastAt(which);
  if (!manycast.active) return 0;
  if (isEnough(manycast)) {
    manycast.origin = 0;
    manycast.wait = <i8>FIRST_POLL;
    action.timer = now + (<u64>1 << (32 + LOOK_POLL));
    return ACTION_TIMER;
  }
  manycast.origin = random != 0 ? random : 1;
  manycast.t1 = 0;
  manycast.askedAt = now;
  action.length = requestWrite(slotPackets, manycast);
  // Up to an eighth later, from other bits than the origin shows: those who started together ask apart.
  const spread = ((random * 0x9e3779b97f4a7c15) >> 35) << <u64>manycast.wait;
  action.timer = now + (<u64>1 << <u64>(32 + manycast.wait)) + spread;
  manycast.wait = <i8>min(<i32>manycast.wait + 1, LONGEST_POLL);
  return ACTION_SEND | ACTION_TIMER;
}

/** When the request really left. MUST be told before its answers. */
export function manycastSent(which: i32, t1: Timestamp): void {
  manycastAt(which).t1 = t1;
}

/** A datagram from anybody lies in slot 0 and came at `t4`. 1: an answer of a server that may be followed. */
export function manycastReply(which: i32, length: i32, t4: Timestamp, now: u64): i32 {
  const manycast = manycastAt(which);
  if (!manycast.active || manycast.origin == 0 || manycast.t1 == 0) return 0;
  if (now - manycast.askedAt > WINDOW || isEnough(manycast)) return 0;
  manycast.t4 = t4;
  const verdict = replyRead(slotPackets, length, manycast, lastSample);
  return verdict == VERDICT_SAMPLE && lastSample.problems == 0 ? 1 : 0;
}

function isEnough(manycast: Manycast): bool {
  let count = 0;
  for (let index = 0; index < SOURCES; index++) {
    if ((manycast.found & bitOf(index)) != 0 && isReachable(index)) count += 1;
  }
  return count >= manycast.limit;
}

/** A new one counts until it has been asked in vain. */
function isReachable(index: i32): bool {
  const association = associationAt(index);
  return association.active != 0 && association.silent < UNREACHABLE_AFTER;
}

function bitOf(index: i32): u64 {
  return <u64>1 << <u64>(index & (SOURCES - 1));
}
