// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Interleaved client mode (RFC 9769 §2): each reply brings the transmit timestamp of the one before, taken as it really left.
 *
 *   server      t2  t3              t6  t7
 *          ────╱──────╲────────────╱──────╲────
 *   client   t1        t4        t5        t8
 *
 *   request 2   origin t2   receive echo   transmit random
 *   reply 2     origin echo   receive t6   transmit t3 (true)     interleaved: measures (t1, t2, t3, t4)
 *               origin random receive t6   transmit t7 (guessed)  basic: measures (t5, t6, t7, t8)
 *
 * Echo and random are known to nobody off the path, and which of them comes back tells the mode. A server that has forgotten
 * us (restarted, or without the mode) answers in basic mode, which costs nothing. Each exchange is measured once: where its
 * basic reply was used already, the interleaved one that completes it is not.
 *
 * NTPv5 says all this in its header: a flag asks for the mode and tells it, and the server names the exchange by a cookie.
 *
 * An exchange is completed a poll later. If the clock was slewed meanwhile, its t1 and t4 are said anew in terms of the clock
 * as it runs now (discipline/ledger.ts); if it was stepped, the exchange is dropped.
 *
 * The build for pages (assembly/page.ts) leaves it out.
 *
 * Tested in interleaved.test.ts; live against chronyd in tests/interop.
 */

import { Exchange } from "./exchange";
import { Sample } from "./sample";
import { noteMoment, reckon } from "../discipline/clock";
import { Moment, bridged, movedSince } from "../discipline/ledger";
import { SOURCES } from "../discipline/memory";
import { AT_ORIGIN, read64 } from "../proto/header";
import { BIT_INTERLEAVED, VERSION_5, bitsOf } from "../proto/v5";

/** Requests in a row without a usable reply after which the server's memory of us is not relied on. */
const FORGOTTEN_AFTER: u8 = 4;

/** What an association keeps for the next reply. */
@unmanaged
export class Interleaved extends Exchange {
  /** 1: interleaved replies are wanted. */
  interleaving: u8;
  /** 1: there is an exchange to complete. */
  kept: u8;
  /** 1: it was measured already, by its basic reply. */
  measured: u8;
  /** Requests since. */
  asked: u8;
  /** t1 and t4 as they were read, and when t4 was, on the monotonic clock. */
  keptT1: u64;
  keptT4: u64;
  keptWhen: u64;
}

/** Of each association: when the request under way was sent, when that of the exchange kept was, and when its reply came. */
const MOMENTS: i32 = 3;
const ASKED: i32 = 0;
const KEPT_T1: i32 = 1;
const KEPT_T4: i32 = 2;
const moments: usize = memory.data(SOURCES * 3 * offsetof<Moment>(), 8);

function momentAt(index: i32, which: i32): Moment {
  return changetype<Moment>(moments + <usize>((index & (SOURCES - 1)) * MOMENTS + which) * offsetof<Moment>());
}

/** A request goes out at `now`: in interleaved mode if there is an exchange to complete. */
export function interleaveRequest(state: Interleaved, index: i32, now: u64, random: u64): void {
  if (isDefined(PAGE)) return;
  state.echo = 0;
  state.wantsInterleaved = state.interleaving;
  if (!state.interleaving) return;
  noteMoment(momentAt(index, ASKED), now);
  state.asked = min<u8>(state.asked + 1, FORGOTTEN_AFTER + 1);
  if (!state.kept || state.asked > FORGOTTEN_AFTER) return;
  // As unknown as the random transmit timestamp to who sees neither.
  const echo = (random ^ 0x9e3779b97f4a7c15) * 0xd1342543de82ef95;
  state.echo = echo != 0 && echo != state.origin ? echo : ~state.origin;
}

/** Before a reply is judged that may complete the exchange kept: say its times in terms of the clock as it runs `now`. */
export function interleaveRecall(state: Interleaved, index: i32, packet: usize, now: u64): void {
  if (isDefined(PAGE) || state.echo == 0) return;
  const completes = <i32>state.version == VERSION_5 ? (bitsOf(packet) & BIT_INTERLEAVED) != 0 : read64(packet + AT_ORIGIN) == state.echo;
  if (!completes) return;
  reckon(now);
  state.savedT1 = state.keptT1 + <u64>movedSince(momentAt(index, KEPT_T1));
  state.savedT4 = state.keptT4 + <u64>movedSince(momentAt(index, KEPT_T4));
}

/** Can the sample be used, or was its exchange measured before or the clock stepped within it? */
export function interleaveFresh(state: Interleaved, index: i32, sample: Sample): bool {
  if (isDefined(PAGE)) return true;
  return !sample.interleaved || (!state.measured && bridged(momentAt(index, KEPT_T1)));
}

/** A usable reply came at `now`: its exchange is the next one to be completed. */
export function interleaveKeep(state: Interleaved, index: i32, now: u64, sample: Sample): void {
  if (isDefined(PAGE) || !state.interleaving) return;
  memory.copy(changetype<usize>(momentAt(index, KEPT_T1)), changetype<usize>(momentAt(index, ASKED)), offsetof<Moment>());
  noteMoment(momentAt(index, KEPT_T4), now);
  state.keptT1 = state.t1;
  state.keptT4 = state.t4;
  state.keptWhen = now;
  state.savedT2 = sample.receiveTime;
  state.savedCookie = sample.serverCookie;
  state.previousInterleaved = sample.interleaved;
  state.measured = sample.interleaved ? 0 : 1;
  // Without a cookie the server remembers nothing.
  state.kept = <i32>sample.version != VERSION_5 || sample.serverCookie != 0 ? 1 : 0;
  state.asked = 0;
}

/** Nothing to complete: after a step, or a reply that was no use. */
export function interleaveForget(state: Interleaved): void {
  if (!isDefined(PAGE)) state.kept = 0;
}
