// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Network cards' stamps, told in terms of the system's clock, each judged by what is known without it.
 *
 *   system's clock
 *     │        ╱  rate        A card stamps by a clock of its own, which may count TAI, or from when it was switched on. The
 *     │   since,             host reads both clocks together, shortly after datagrams have come, and fills in one line for
 *     │   offset ─ ─ ─       each card. A stamp further than `stale` from it is of no datagram that just passed.
 *     └──────────── card's
 *
 * The kernel stamps the same datagram: after the card where it comes in, before the card where it goes out. A card's stamp on
 * the wrong side of the kernel's by more than the reading of both clocks may be wrong by, or far off on the right side, is
 * refused. The limits are the host's, which judges its own sockets' stamps by the same (hosts/native/cards.ts).
 *
 * Without cards nothing of this is called. Tested in cards.test.ts; over sockets in hosts/native/server-cards.test.ts.
 */

import { Controls } from "./ancillary";
import { counters } from "./counters";
import { Interval, Timestamp } from "../proto/timestamp";

/** A card's line, filled in by the host, and what has become of its stamps. */
@unmanaged
export class Card {
  /** The card's clock when `offset` held. */
  since: Timestamp;
  /** The system's clock less the card's. */
  offset: Interval;
  /** What the system's clock gains on the card's, s/s. */
  rate: f64;
  /** What the reading of both may be wrong by. */
  doubt: Interval;
  /** What an octet takes on the card's link, in units of 2^-32 s; 0: not known. */
  octet: f64;
  /** Index of its interface. */
  device: u32;
  /** The line holds; 0: its clock could not be read. */
  known: u32;
  /** Datagrams in a row that it did not stamp. */
  missed: u32;
  /** Why its stamps were refused, as bits; for the host's owner. */
  reasons: u32;
}

/** What the host sets: limits, and how many cards there are. */
@unmanaged
export class CardLimits {
  /** Further from the line than this, a stamp is of nothing that just passed. */
  stale: Interval;
  /** On the side of the kernel's stamp where a card's cannot be, and where it is. */
  wrongSide: Interval;
  rightSide: Interval;
  /** The same where the kernel's is missing, and the process' has to do, which may be late. */
  processSide: Interval;
  /** Datagrams in a row without a card's stamp until it is told. */
  patience: u32;
  count: i32;
}

/** More than a machine has in one network. */
export const CARD_COUNT: i32 = 16;

const REASON_STALE: u32 = 1;
/** Does not fit: the kernel's stamp of what was received, sent; twice that: the process'. */
const REASON_RECEIVED: u32 = 2;
const REASON_SENT: u32 = 8;
const REASON_SILENT: u32 = 32;

/** Octets of a frame's check sequence, which is not counted in its length. */
const CHECK_SEQUENCE: u32 = 4;

export const cards: usize = memory.data(CARD_COUNT * offsetof<Card>(), 8);
export const cardLimits = changetype<CardLimits>(memory.data(offsetof<CardLimits>(), 8));

/** Whether there is a card at all. */
// @ts-ignore: decorator
@inline
export function cardsOn(): bool {
  return cardLimits.count > 0;
}

/** The card that a datagram passed, or a null. One that is not told is the only one. */
function cardOf(controls: Controls): Card {
  const device = controls.stamper != 0 ? controls.stamper : controls.device;
  const count = min(cardLimits.count, CARD_COUNT);
  if (device == 0) return changetype<Card>(count == 1 ? cards : 0);
  for (let i = 0; i < count; i++) {
    const card = changetype<Card>(cards + <usize>i * offsetof<Card>());
    if (card.device == device) return card;
  }
  return changetype<Card>(0);
}

/** Whether there is a card that stamps what passes there. */
export function cardStamps(controls: Controls): bool {
  return changetype<usize>(cardOf(controls)) != 0;
}

/**
 * When a datagram came, by the system's clock, as its card says; 0 where none does, or is not believed. `other`: what is known
 * without it, by the kernel or by the process.
 */
export function cardReceived(controls: Controls, other: Timestamp, byKernel: bool): Timestamp {
  const card = cardOf(controls);
  if (changetype<usize>(card) == 0) return 0;
  if (controls.card == 0) {
    card.missed += 1;
    if (card.missed == cardLimits.patience) card.reasons |= REASON_SILENT;
    return 0;
  }
  // A card stamps the beginning of a frame in both directions, everybody else the end of one that was received.
  const took = controls.frame == 0 ? 0 : <u64>nearest<f64>(<f64>(controls.frame + CHECK_SEQUENCE) * card.octet);
  const system = onSystemClock(card, controls.card + took);
  if (system == 0) return 0;
  if (!fits(card, <i64>(other - system), byKernel)) return refused(card, byKernel ? REASON_RECEIVED : REASON_RECEIVED << 1);
  counters.hardwareReceived += 1;
  return system;
}

/** When a datagram left, likewise. */
export function cardSent(controls: Controls, other: Timestamp, byKernel: bool): Timestamp {
  const card = cardOf(controls);
  if (changetype<usize>(card) == 0) return 0;
  const system = onSystemClock(card, controls.card);
  if (system == 0) return 0;
  if (!fits(card, <i64>(system - other), byKernel)) return refused(card, byKernel ? REASON_SENT : REASON_SENT << 1);
  counters.hardwareSent += 1;
  return system;
}

/** The stamp in terms of the system's clock; 0: it is stale. */
function onSystemClock(card: Card, stamp: Timestamp): Timestamp {
  card.missed = 0;
  const span = <i64>(stamp - card.since);
  if (card.known == 0 || span > cardLimits.stale || span < -cardLimits.stale) return refused(card, REASON_STALE);
  return stamp + <u64>(card.offset + <i64>nearest<f64>(<f64>span * card.rate));
}

/** `ahead`: how far it is on the side of the other stamp where it belongs. */
function fits(card: Card, ahead: Interval, byKernel: bool): bool {
  return ahead >= -cardLimits.wrongSide - card.doubt && ahead <= (byKernel ? cardLimits.rightSide : cardLimits.processSide);
}

function refused(card: Card, reason: u32): Timestamp {
  card.reasons |= reason;
  counters.hardwareRefused += 1;
  return 0;
}
