// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5 in an association: which version the next request has, and whom the server follows.
 *
 * **Version "auto"** (draft-ietf-ntp-ntpv5, "Version Negotiation"): requests of version 4 bear a mark; where it comes back, the
 * next one is of version 5. After two without an answer, one for each draft, it is version 4 again, for long without the mark.
 *
 *        version 4, marked ──── mark came back ───▶ version 5
 *          ▲        │ eight requests without         │ two unanswered
 *          │        ▼                                ▼
 *          └── 256 polls ── version 4, plain ◀───────┘
 *
 * Four of version 4 without an answer are followed by two of version 5, and so on: a server may speak nothing else, or no more.
 *
 * **Version 5** alone is never left; each unanswered request is followed by one that names the next draft.
 *
 * **Reference identifiers** are asked for where we are a server ourselves, a chunk with each poll, round and round. Until all of
 * them are known the source is measured but not followed; one that follows us is not followed either, and when it no longer
 * does, it is taken back after some polls at random, so that two that met give way to each other at different times.
 *
 * Tested in v5.test.ts; against ntpd-rs in tests/interop.
 */

import { renewSource } from "./belief";
import { Association, associationAt } from "./state";
import { TEST6_UNSYNCHRONISED, TESTG_LOOP } from "./check";
import { WANT_REFERENCE_IDS } from "./exchange";
import { interleaveForget } from "./interleaved";
import { Sample } from "./sample";
import { WANT_CORRECTION } from "./v5fields";
import { CHUNK, chunkAt, nextChunk } from "./v5exchange";
import { AUTH_NONE } from "./authentic";
import { SOURCES, sourceAt } from "../discipline/memory";
import { disciplineRemoveSource } from "../discipline/index";
import { VERSION_5 } from "../proto/v5";
import { DRAFTS } from "../proto/v5draft";
import { FILTER_OCTETS, ID_SIZE, filterAdd, filterHoldsUs, filterJoin, idOfAddress, referenceIds, referenceIdsReset } from "../proto/v5ids";

/** Marked requests before it is believed that the server has no NTPv5. */
const MARKED_TRIES: u16 = 8;
/** Polls without the mark after that. */
const PLAIN_POLLS: u16 = 256;
/** Unanswered requests of version 5 after which "auto" is version 4 again: one for each draft. */
const PATIENCE: u8 = 2;
/** Unanswered requests of version 4 after which "auto" looks whether the server speaks version 5 alone. */
const PATIENCE_OLD: u8 = 4;
/** Minimum polls beyond these are not followed: 9 hours, 36 hours where the server is authenticated. */
const POLL_CAP: i32 = 15;
const POLL_CAP_AUTHENTICATED: i32 = 17;
/** Of the discipline's selection. */
const SURVIVOR: i32 = 1;

/** Of each source: its filter. */
const filters: usize = memory.data(64 * 512, 8);
/** Of each source: the identifier that its address makes. */
const addressIds: usize = memory.data(64 * 20, 8);

function filterOf(index: i32): usize {
  return filters + <usize>(index & (SOURCES - 1)) * <usize>FILTER_OCTETS;
}

function addressIdOf(index: i32): usize {
  return addressIds + <usize>(index & (SOURCES - 1)) * <usize>ID_SIZE;
}

/** Version 5 in an association that was opened; `auto`: if the server speaks it. `serving`: we are a server, too. */
export function associationVersion5(index: i32, auto: bool, serving: bool): void {
  const association = associationAt(index);
  association.auto5 = auto ? 1 : 0;
  association.unanswered4 = 0;
  association.tries5 = MARKED_TRIES;
  association.marked = auto ? 1 : 0;
  association.version = auto ? 4 : <u8>VERSION_5;
  association.wants &= ~WANT_REFERENCE_IDS;
  association.known5 = 0;
  association.looped = 0;
  association.chunk = 0;
  association.follows = 1;
  if (!serving) return;
  association.wants |= WANT_REFERENCE_IDS;
  association.follows = 0;
  memory.fill(filterOf(index), 0, FILTER_OCTETS);
}

/** Version 4 after all: keys were established for it. */
export function associationVersion4(index: i32): void {
  associationVersion5(index, false, false);
  associationAt(index).version = 4;
}

/** Ask for what network nodes on the way corrected (v5fields.ts), wherever version 5 is spoken. Not in interleaved mode. */
export function associationCorrect(index: i32): void {
  associationAt(index).wants |= WANT_CORRECTION;
}

/** The address of a source, 4 or 16 octets at `address`, or a reference clock's identifier: who it is while it tells none. */
export function associationAddress(index: i32, address: usize, length: i32): void {
  idOfAddress(address, length, addressIdOf(index));
}

/** An address's fingerprint: alike for the same address, unlike for others; 0 before {@link associationAddress}. */
export function addressOf(index: i32): u64 {
  return load<u64>(addressIdOf(index));
}

/** Name this draft first: keys were established for it. A server may have passed over its name there, and want another here. */
export function associationDraft(index: i32, draft: i32): void {
  associationAt(index).draft = <u8>(draft % DRAFTS);
}

/** May the time of the last reply be used, as far as loops go? If not, why is noted. */
export function isFollowed5(association: Association): bool {
  if ((association.wants & WANT_REFERENCE_IDS) == 0) return true;
  if (association.looped != 0) association.lastProblems |= TESTG_LOOP;
  const unknown = <i32>association.version == VERSION_5 && association.follows == 0;
  if (association.looped == 0 && !unknown) return true;
  association.unfit += 1;
  return false;
}

/** The next request is due; `unanswered`: the one before got no answer. */
export function version5Request(association: Association, unanswered: bool): void {
  if (<i32>association.version == VERSION_5) {
    if (unanswered) lost(association);
    return;
  }
  if (!association.auto5) return;
  if (unanswered) association.unanswered4 += 1;
  if (association.unanswered4 >= PATIENCE_OLD) return begin5(association);
  if (association.tries5 > 0) {
    association.tries5 -= 1;
    if (association.tries5 > 0) return;
    association.tries5 = association.marked ? PLAIN_POLLS : MARKED_TRIES;
    association.marked = association.marked ? 0 : 1;
  }
}

/** The next requests are of version 5. */
function begin5(association: Association): void {
  association.version = <u8>VERSION_5;
  association.unanswered5 = 0;
  association.unanswered4 = 0;
  interleaveForget(association);
}

function lost(association: Association): void {
  association.draft = <u8>((<i32>association.draft + 1) % DRAFTS);
  association.unanswered5 = min<u8>(association.unanswered5 + 1, PATIENCE);
  if (association.auto5 == 0 || association.unanswered5 < PATIENCE) return;
  association.version = 4;
  association.marked = 0;
  association.tries5 = PLAIN_POLLS;
  interleaveForget(association);
}

/** An answer came, whatever it says: how often may be asked, which version is next, whom the server follows. */
export function version5Answered(association: Association, sample: Sample, random: u64): void {
  if (<i32>sample.version != VERSION_5) {
    association.unanswered4 = 0;
    if (sample.markReturned != 0 && association.auto5 != 0) begin5(association);
    return;
  }
  association.unanswered5 = 0;
  const cap = association.auth == AUTH_NONE ? POLL_CAP : POLL_CAP_AUTHENTICATED;
  association.pollFloor = <i8>max(0, min(<i32>sample.poll, cap));
  if ((association.wants & WANT_REFERENCE_IDS) == 0 || chunkAt == 0) return;
  if ((sample.problems & TEST6_UNSYNCHRONISED) != 0 && association.follows == 0 && association.looped == 0) return awaitServer(association);
  takeChunk(association, random);
}

/** Who follows nobody yet may follow us next: what it tells now says nothing of whom its time will come from. */
function awaitServer(association: Association): void {
  association.known5 = 0;
  association.chunk = 0;
}

/** A chunk of reference identifiers has come. */
function takeChunk(association: Association, random: u64): void {
  const index = association.place;
  memory.copy(filterOf(index) + <usize>association.chunk, chunkAt, CHUNK);
  association.chunk = nextChunk(association.chunk);
  if (association.chunk == 0) association.known5 = 1;
  if (association.known5 == 0) return;
  if (filterHoldsUs(filterOf(index))) {
    // A new penance each time, so that of two that follow each other one comes back first.
    association.penance = <u8>(1 + ((random >> 32) % 5));
    association.looped = 1;
    association.follows = 0;
    disciplineRemoveSource(index);
  } else if (association.penance > 0) {
    association.penance -= 1;
  } else if (association.follows == 0) {
    association.looped = 0;
    association.follows = 1;
    if (!sourceAt(index).active) renewSource(index);
  }
}

/** Our own identifier and those of all that we follow, where servers tell them ({@link referenceIds}). */
export function referenceIdsUpdate(): void {
  referenceIdsReset();
  for (let index = 0; index < SOURCES; index++) {
    const association = associationAt(index);
    const source = sourceAt(index);
    if (!source.active || source.samples == 0 || source.selection != SURVIVOR) continue;
    // A reference clock has no association; it is known by its identifier.
    if (association.active && <i32>association.version == VERSION_5) filterJoin(referenceIds, filterOf(index));
    else filterAdd(referenceIds, addressIdOf(index));
  }
}
