// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Access lists: what is done with requests from where; the longest matching prefix decides.
 *
 * Addresses are IPv6; IPv4 stands in ::ffff:0:0/96, and that block is a world of its own: `::/0` is all of IPv6 and none of
 * IPv4, `0.0.0.0/0` all of IPv4, whichever kind of socket a request came by. A prefix of IPv6 that happens to cover the block
 * (shorter than 96 bits) does not reach into it.
 *
 * Rules are collected aside, in order, and compiled into a sorted list of places where the action changes; a lookup is a
 * binary search of at most twelve steps without a branch. The compiled list takes the place of the old one in one store, so
 * that reloading loses no request. Two lists: who gets time, and who may send control messages.
 *
 * Tested in access.test.ts against a naive search.
 */

/** Answered; under the rate limit where there is one for all. */
export const ACCESS_ALLOW: i32 = 0;
/** Never answered. */
export const ACCESS_DENY: i32 = 1;
/** Answered under the rate limit, also where that is not for all. */
export const ACCESS_LIMITED: i32 = 2;
/** Told to go away by a kiss DENY, within the budget for kisses. */
export const ACCESS_KISS: i32 = 3;
/** Answered, exempt from the rate limit. */
export const ACCESS_UNLIMITED: i32 = 4;

/** Who gets time. */
export const LIST_TIME: i32 = 0;
/** Who may send control messages: only ALLOW lets them. */
export const LIST_CONTROL: i32 = 1;

export const RULES_MAXIMUM: i32 = 1024;
/** Each rule makes a change where it starts and one where it ends; and there is one at address zero, two for IPv4's block. */
const CHANGES_MAXIMUM: i32 = 2 * (RULES_MAXIMUM + 1) + 1;

const ADDED: i32 = 0;
const FULL: i32 = 1;
const NO_SUCH_PREFIX: i32 = 2;

const MAPPED_LOW: u64 = 0x0000_ffff_0000_0000;
const MAPPED_LENGTH: i32 = 96;

/** A rule aside, or on the stack of the compiler. */
@unmanaged
class Rule {
  high: u64;
  low: u64;
  length: i32;
  action: i32;
}

/** Octets from one to the next. */
const RULE_SIZE: usize = 24;

/** From this address on, up to the next change, `action` is what to do. */
@unmanaged
class Change {
  high: u64;
  low: u64;
  action: i32;
}

const CHANGE_SIZE: usize = 24;

@unmanaged
class Compiled {
  count: i32;
}

const LISTS: i32 = 2;
const COMPILED_SIZE: i32 = 8 + CHANGES_MAXIMUM * 24;
const rules: usize = memory.data((RULES_MAXIMUM + 1) * 24, 8);
const stack: usize = memory.data(130 * 24, 8);
/** Of each list two places: the one in use and the one to compile into. */
const places: usize = memory.data(LISTS * 2 * COMPILED_SIZE, 8);
/** The compiled list in use, 0 while there is none. */
const inUse: usize = memory.data(LISTS * 4, 4);

let ruleCount: i32 = 0;

function ruleAt(index: i32): Rule {
  return changetype<Rule>(rules + <usize>index * RULE_SIZE);
}

function onStack(index: i32): Rule {
  return changetype<Rule>(stack + <usize>index * RULE_SIZE);
}

/** Forget the rules aside. What is in use stays in use. */
export function accessBegin(): void {
  ruleCount = 0;
}

/** The bits of a word that a prefix leaves open, when `length` of them are given: 0..64. */
function openBits(length: i32): u64 {
  return length <= 0 ? u64.MAX_VALUE : length >= 64 ? 0 : u64.MAX_VALUE >> <u64>length;
}

function before(rule: Rule, high: u64, low: u64, length: i32): bool {
  if (rule.high != high) return rule.high < high;
  if (rule.low != low) return rule.low < low;
  return rule.length < length;
}

/**
 * Add a rule aside; bits beyond `length` (0..128) are ignored. The same prefix again replaces the earlier rule. Returns 0,
 * 1 when there are 1024 already, 2 when length or action is none.
 */
export function accessAdd(high: u64, low: u64, length: i32, action: i32): i32 {
  if (length < 0 || length > 128 || action < ACCESS_ALLOW || action > ACCESS_UNLIMITED) return NO_SUCH_PREFIX;
  return insert(high & ~openBits(length), low & ~openBits(length - 64), length, action, RULES_MAXIMUM);
}

function insert(high: u64, low: u64, length: i32, action: i32, most: i32): i32 {
  let at = ruleCount;
  while (at > 0 && !before(ruleAt(at - 1), high, low, length)) at -= 1;
  const there = ruleAt(at);
  if (at < ruleCount && there.high == high && there.low == low && there.length == length) {
    there.action = action;
    return ADDED;
  }
  if (ruleCount >= most) return FULL;
  memory.copy(changetype<usize>(ruleAt(at + 1)), changetype<usize>(there), <usize>(ruleCount - at) * RULE_SIZE);
  there.high = high;
  there.low = low;
  there.length = length;
  there.action = action;
  ruleCount += 1;
  return ADDED;
}

/** Is there a rule for exactly IPv4's block? */
function mappedRule(): bool {
  for (let i = 0; i < ruleCount; i++) {
    const rule = ruleAt(i);
    if (rule.high == 0 && rule.low == MAPPED_LOW && rule.length == MAPPED_LENGTH) return true;
  }
  return false;
}

/** Note that `action` holds from an address on. Changes come in rising order; a later one at the same address wins. */
function change(list: usize, high: u64, low: u64, action: i32): void {
  const compiled = changetype<Compiled>(list);
  const first = list + 8;
  const last = changetype<Change>(first + <usize>(compiled.count - 1) * CHANGE_SIZE);
  if (compiled.count > 0 && last.high == high && last.low == low) {
    last.action = action;
    return;
  }
  const next = changetype<Change>(first + <usize>compiled.count * CHANGE_SIZE);
  next.high = high;
  next.low = low;
  next.action = action;
  compiled.count += 1;
}

/** The rule on top of the stack ends: what is below it holds from the next address on. */
function leave(list: usize, depth: i32, fallback: i32): void {
  const rule = onStack(depth - 1);
  const low = rule.low | openBits(rule.length - 64);
  const high = rule.high | openBits(rule.length);
  const below = depth > 1 ? onStack(depth - 2).action : fallback;
  // After the very last address nothing comes.
  if (low == u64.MAX_VALUE && high == u64.MAX_VALUE) return;
  change(list, low == u64.MAX_VALUE ? high + 1 : high, low + 1, below);
}

/** Does the rule on the stack end before this address? */
function ended(rule: Rule, high: u64, low: u64): bool {
  const lastHigh = rule.high | openBits(rule.length);
  return lastHigh < high || (lastHigh == high && (rule.low | openBits(rule.length - 64)) < low);
}

/** Compile the rules aside and put them into use as list `which`, with `fallback` for whatever no rule is for. */
export function accessCommit(which: i32, fallback: i32): void {
  const list = which & (LISTS - 1);
  if (!mappedRule()) insert(0, MAPPED_LOW, MAPPED_LENGTH, fallback, RULES_MAXIMUM + 1);
  const place = places + <usize>(list * 2) * COMPILED_SIZE;
  const target = load<usize>(inUse + <usize>list * 4) == place ? place + COMPILED_SIZE : place;
  changetype<Compiled>(target).count = 0;
  change(target, 0, 0, fallback);
  let depth = 0;
  for (let i = 0; i < ruleCount; i++) {
    const rule = ruleAt(i);
    while (depth > 0 && ended(onStack(depth - 1), rule.high, rule.low)) leave(target, depth--, fallback);
    memory.copy(changetype<usize>(onStack(depth)), changetype<usize>(rule), RULE_SIZE);
    depth += 1;
    change(target, rule.high, rule.low, rule.action);
  }
  while (depth > 0) leave(target, depth--, fallback);
  ruleCount = 0;
  store<usize>(inUse + <usize>list * 4, target);
}

/** Take list `which` out of use: everybody is allowed time again, nobody control. */
export function accessClear(which: i32): void {
  store<usize>(inUse + <usize>(which & (LISTS - 1)) * 4, 0);
}

/** What list `which` says of an address; `none` while there is no such list. */
export function accessOf(which: i32, high: u64, low: u64, none: i32): i32 {
  const list = load<usize>(inUse + <usize>(which & (LISTS - 1)) * 4);
  if (list == 0) return none;
  // The last change at or below the address; the first is at zero, so there is one.
  let at = list + 8;
  let count = changetype<Compiled>(list).count;
  while (count > 1) {
    const half = count >> 1;
    const middle = at + <usize>half * CHANGE_SIZE;
    const there = changetype<Change>(middle);
    const reached = <i32>(there.high < high) | (<i32>(there.high == high) & <i32>(there.low <= low));
    at = select(middle, at, reached);
    count -= half;
  }
  return changetype<Change>(at).action;
}
