// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Rate limits: how often an address and a prefix may ask, and who is told so.
 *
 * A bucket of `burst` packets fills by one each `interval`. It is kept as one number, the moment when it will be full again, so
 * that no remainder is lost and nothing need be done between packets:
 *
 *            now        full              now + burst × interval
 *    ─────────┼──────────┼────────────────────┼─────────
 *             ├──────────┤ missing            a packet adds one interval, and passes if the end is not passed
 *
 * A packet over the limit takes nothing out. One in 2^leak of them is answered all the same: else whoever forges a client's
 * address could keep it from getting time. Of the rest, some get a kiss RATE (RFC 5905 §7.4), which has a budget for each
 * address and one for all; the others get nothing. The first packet of a new client always passes, also where its prefix is
 * over the limit.
 *
 * Tested in ratelimit.test.ts.
 */

import { Client, KIND_PREFIX, clientHash, clientOf } from "./clients";
import { Incoming } from "./incoming";
import { Interval, Timestamp } from "../proto/timestamp";

/** What comes of a packet. */
export const PASS: i32 = 0;
export const LEAK: i32 = 1;
export const KISS: i32 = 2;
export const DROP: i32 = 3;

/** How often something may happen. An interval of 0: always. */
@unmanaged
class Rate {
  interval: Interval;
  /** Interval times burst. */
  capacity: Interval;
}

const RATE_SIZE: i32 = 16;
const perAddress = changetype<Rate>(memory.data(RATE_SIZE, 8));
const perPrefix = changetype<Rate>(memory.data(RATE_SIZE, 8));
const kissesOfOne = changetype<Rate>(memory.data(RATE_SIZE, 8));
const kissesOfAll = changetype<Rate>(memory.data(RATE_SIZE, 8));
/** When the bucket of all kisses is full again. */
const allKisses: usize = memory.data(8, 8);

let leakMask: u32 = 0;
let leaking: bool = false;
let forAll: bool = false;
let kissing: bool = false;
/** A generator for the leak alone: xorshift, seeded by the host. */
let random: u32 = 0x9e3779b9;

/** The longest interval, 2^17 s, and the largest burst, 2^13: their product is still an interval. */
const LONGEST: i64 = <i64>1 << 49;
const LARGEST: i32 = 8192;

function setRate(rate: Rate, interval: Interval, burst: i32): void {
  rate.interval = max<i64>(0, min<i64>(interval, LONGEST));
  rate.capacity = rate.interval * <i64>max(1, min(burst, LARGEST));
}

/** log2 s of the interval between the packets of everybody's address, rounded up, of 0..17: NTPv5's minimum poll. */
let poll: i32 = 0;

export function limitPoll(): i32 {
  return poll;
}

/** The limit for an address; an interval of 0 is no limit. `everybody`: not only who the access list says is limited. */
export function limitAddresses(interval: Interval, burst: i32, everybody: bool): void {
  setRate(perAddress, interval, burst);
  forAll = everybody;
  const whole = perAddress.interval;
  poll = forAll && whole > (<i64>1 << 32) ? 32 - <i32>clz<u64>(<u64>whole - 1) : 0;
}

/** The limit for a prefix (/24, /48); an interval of 0 is no limit. */
export function limitPrefixes(interval: Interval, burst: i32): void {
  setRate(perPrefix, interval, burst);
}

/** One in 2^`exponent` of what is over the limit is answered; 0: none. */
export function limitLeak(exponent: i32, seed: u32): void {
  leaking = exponent > 0;
  leakMask = (<u32>1 << <u32>min(exponent, 31)) - 1;
  random = seed | 1;
}

/** The budgets for kisses: one for each address (one at a time), one for all. Where `burst` is 0, there are no kisses. */
export function limitKisses(one: Interval, all: Interval, burst: i32): void {
  setRate(kissesOfOne, one, 1);
  setRate(kissesOfAll, all, burst);
  kissing = burst > 0;
}

/** Is there a limit for somebody of whom the access list says `limited` or nothing special? */
export function limitOn(limited: bool): bool {
  return (forAll || limited) && (perAddress.interval > 0 || perPrefix.interval > 0);
}

/** Is there any limit at all? */
export function limitsInUse(): bool {
  return perAddress.interval > 0 || perPrefix.interval > 0;
}

/** What is missing of a bucket that will be full again at `full`. A clock that was set back MUST NOT lock anybody out. */
function missing(full: Timestamp, now: Timestamp, rate: Rate): Interval {
  const span = <i64>(full - now);
  return span < 0 || span > rate.capacity ? 0 : span;
}

function has(at: usize, now: Timestamp, rate: Rate): bool {
  return rate.interval == 0 || missing(load<u64>(at), now, rate) + rate.interval <= rate.capacity;
}

function take(at: usize, now: Timestamp, rate: Rate): void {
  if (rate.interval == 0) return;
  // A first packet passes whatever the prefix's bucket holds: MUST NOT make it emptier than empty, which looks like a clock set back.
  store<u64>(at, now + <u64>min<i64>(missing(load<u64>(at), now, rate) + rate.interval, rate.capacity));
}

/** The verdict on a packet of `client`, whose `requests` count this one already. */
export function limit(client: Client, from: Incoming, now: Timestamp): i32 {
  const own = changetype<usize>(client) + offsetof<Client>("full");
  let pass = has(own, now, perAddress);
  if (perPrefix.interval > 0) {
    // MUST keep the client's own record: in a flood all of its set may be of this second.
    const hash = clientHash(from.high, from.low, KIND_PREFIX);
    const record = clientOf(from.high, from.low, KIND_PREFIX, hash, now, changetype<usize>(client));
    const prefix = changetype<usize>(record) + offsetof<Client>("full");
    pass = pass && (client.requests <= 1 || has(prefix, now, perPrefix));
    if (pass) take(prefix, now, perPrefix);
  }
  if (pass) {
    take(own, now, perAddress);
    return PASS;
  }
  if (leaking && (draw() & leakMask) == 0) return LEAK;
  return mayKiss(client, now) ? KISS : DROP;
}

function draw(): u32 {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  // The low bits of xorshift are its weakest.
  return random >>> 1;
}

/** Is there budget for a kiss to this client? If so, it is taken. */
export function mayKiss(client: Client, now: Timestamp): bool {
  const own = changetype<usize>(client) + offsetof<Client>("kissable");
  if (!kissing || !has(own, now, kissesOfOne) || !has(allKisses, now, kissesOfAll)) return false;
  take(own, now, kissesOfOne);
  take(allKisses, now, kissesOfAll);
  return true;
}
