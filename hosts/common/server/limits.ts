// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Who gets time and how often: rules and limits as people write them, checked, and put into a core.
 *
 * Checking is apart from putting in, so that a wrong rule is found before anything is changed, and so that every worker of a
 * server can be given the same. Tested in limits.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Core } from "../core/core.ts";
import { prefixNumber, type Prefix } from "./address.ts";

/**
 * What is done with requests from a prefix: `allow`, `deny` (silence), `kiss` (a kiss DENY, within the budget for kisses, else
 * silence), `limited` (under the rate limit, also where that is not for all), `unlimited` (exempt from it).
 */
export type AccessAction = "allow" | "deny" | "limited" | "kiss" | "unlimited";

/** One rule, as a text ("deny 192.0.2.0/24", "allow all") or in parts. */
export type AccessRule = string | { readonly action: AccessAction; readonly prefix: string };

export interface RateLimitOptions {
  /** Seconds between the requests of one address (IPv6: one /64) in the long run. Default 8. */
  readonly interval?: number;
  /** How many may come at once. Default 8. */
  readonly burst?: number;
  /** One in 2^leak of what is over the limit is answered all the same, 1..16, or 0 for none. Default 2. */
  readonly leak?: number;
  /** A limit for each IPv4 /24 and IPv6 /48, beside that for addresses. Default none. */
  readonly prefix?: { readonly interval: number; readonly burst: number };
  /** Who is over the limit is told so by a kiss RATE. `false`: never. */
  readonly kiss?: false | {
    /** Seconds between two kisses to one address. Default 64. */
    readonly interval?: number;
    /** Kisses a second, to all together. Default 10. */
    readonly rate?: number;
    /** How many at once. Default 50. */
    readonly burst?: number;
  };
  /** Who is limited: all, or only those for whom a rule says `limited`. Default "all". */
  readonly who?: "all" | "limited";
}

/** Rules as the core takes them: plain data, fit for any thread. */
export interface CheckedRule extends Prefix {
  readonly action: number;
}

/** Limits as the core takes them. */
export interface CheckedLimits {
  readonly interval: number;
  readonly burst: number;
  readonly leak: number;
  readonly prefixInterval: number;
  readonly prefixBurst: number;
  readonly kissInterval: number;
  readonly allKissesInterval: number;
  readonly kissBurst: number;
  readonly everybody: boolean;
}

/** assembly/server/access.ts */
const ACTIONS: Record<AccessAction, number> = { allow: 0, deny: 1, limited: 2, kiss: 3, unlimited: 4 };
export const RULES_MAXIMUM = 1024;
export const LIST_TIME = 0;
export const LIST_CONTROL = 1;
/** All of IPv4, all of IPv6. */
const ALL = ["0.0.0.0/0", "::/0"] as const;

function wrong(what: string, got: unknown): NtpError {
  return new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${typeof got === "object" ? JSON.stringify(got) : String(got)}`);
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedAccess(rules: readonly AccessRule[]): CheckedRule[] {
  const checked = rules.flatMap((rule) => checkedRule(rule));
  if (checked.length > RULES_MAXIMUM) throw wrong(`at most ${RULES_MAXIMUM} access rules ("all" counts twice)`, checked.length);
  return checked;
}

function checkedRule(rule: AccessRule): CheckedRule[] {
  const parts = typeof rule === "string" ? rule.trim().split(/\s+/) : [rule.action, rule.prefix];
  const [action = "", prefix = ""] = parts;
  if (parts.length !== 2 || !Object.hasOwn(ACTIONS, action)) {
    throw wrong(`an access rule like "deny 192.0.2.0/24" with one of ${Object.keys(ACTIONS).join(", ")}`, rule);
  }
  return (prefix === "all" ? ALL : [prefix]).map((text) => ({ ...checkedPrefix(text), action: ACTIONS[action as AccessAction] }));
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedPrefix(text: string): Prefix {
  const prefix = prefixNumber(text);
  if (!prefix) throw wrong(`"all", an address or a prefix without bits beyond its length, like 192.0.2.0/24 or 2001:db8::/32`, text);
  return prefix;
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedLimits(options: RateLimitOptions | boolean): CheckedLimits {
  const { interval = 8, burst = 8, leak = 2, prefix, kiss = {}, who = "all" } = options === true ? {} : options === false ? { interval: 0 } : options;
  const kisses = kiss === false ? { interval: 0, rate: 1, burst: 0 } : { interval: 64, rate: 10, burst: 50, ...kiss };
  const off = options === false;
  if (!off) span("a rateLimit.interval", interval);
  count("a rateLimit.burst", burst);
  if (!(Number.isInteger(leak) && leak >= 0 && leak <= 16)) throw wrong("a rateLimit.leak of 0..16", leak);
  if (prefix) {
    span("a rateLimit.prefix.interval", prefix.interval);
    count("a rateLimit.prefix.burst", prefix.burst);
  }
  if (kiss !== false) {
    span("a rateLimit.kiss.interval", kisses.interval);
    count("a rateLimit.kiss.burst", kisses.burst);
    if (!(kisses.rate >= 1e-4 && kisses.rate <= 1e6)) throw wrong("a rateLimit.kiss.rate of 0.0001..1000000 a second", kisses.rate);
  }
  if (who !== "all" && who !== "limited") throw wrong(`"all" or "limited" for rateLimit.who`, who);
  return {
    interval, burst, leak, prefixInterval: prefix?.interval ?? 0, prefixBurst: prefix?.burst ?? 1, everybody: who === "all",
    kissInterval: kisses.interval, allKissesInterval: 1 / kisses.rate, kissBurst: kisses.burst,
  };
}

function span(what: string, value: number): void {
  if (!(value >= 1e-6 && value <= 131_072)) throw wrong(`${what} of 0.000001..131072 s`, value);
}

function count(what: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1 && value <= 8192)) throw wrong(`${what} of 1..8192`, value);
}

/** Put rules into use as one of the core's lists, in place of those before, all at once. */
export function setAccess({ exports }: Core, rules: readonly CheckedRule[], list = LIST_TIME, fallback: AccessAction = "allow"): void {
  exports.accessBegin();
  for (const { high, low, length, action } of rules) exports.accessAdd(BigInt.asIntN(64, high), BigInt.asIntN(64, low), length, action);
  exports.accessCommit(list, ACTIONS[fallback]);
}

/** Put limits into use. What clients have used up of the old ones counts on. */
export function setLimits({ exports }: Core, limits: CheckedLimits, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): void {
  const interval = (seconds: number) => exports.intervalFromSeconds(seconds);
  exports.limitAddresses(interval(limits.interval), limits.burst, limits.everybody ? 1 : 0);
  exports.limitPrefixes(interval(limits.prefixInterval), limits.prefixBurst);
  exports.limitLeak(limits.leak, new DataView(random(new Uint8Array(4)).buffer).getUint32(0));
  exports.limitKisses(interval(limits.kissInterval), interval(limits.allKissesInterval), limits.kissBurst);
}
