// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A core as a server under test: requests put in from any address at any time, through the same functions that hosts call.
 *
 * @module
 */

import { Core, unsigned } from "../../hosts/common/core/core.ts";
import { packet, seconds, type HeaderFields } from "./core.ts";

/** 2026-11-22, in era 0. */
export const START = 0xeead4791_00000000n;

export const ALLOW = 0;
export const DENY = 1;
export const LIMITED = 2;
export const KISS = 3;
export const UNLIMITED = 4;

/** An IPv6 address as two numbers; IPv4 in its mapped form. */
export interface Address {
  readonly high: bigint;
  readonly low: bigint;
}

export const IPV4_BLOCK = 0xffff_0000_0000n;

export function ipv4(a: number, b: number, c: number, d: number): Address {
  return { high: 0n, low: IPV4_BLOCK | BigInt(((a << 24) | (b << 16) | (c << 8) | d) >>> 0) };
}

export function ipv6(high: bigint, low = 1n): Address {
  return { high, low };
}

/** What came of one request. */
export interface Outcome {
  readonly reply: Uint8Array;
  readonly view: DataView;
  readonly stampWanted: boolean;
  readonly stamped: boolean;
  readonly control: number;
}

const SLOT_FIELDS = ["LENGTH", "RECEIVED", "HIGH", "LOW", "PORT", "KNOWN", "STAMP_WANTED", "STAMPED", "CONTROL"] as const;
export const COUNTERS = ["RECEIVED", "ANSWERED", "MALFORMED", "UNANSWERABLE", "DENIED", "LIMITED", "HUSHED", "CONTROL", "KISSES_RATE", "KISSES_DENY",
  "LEAKED", "INTERLEAVED", "AUTHENTICATED", "NTS", "STAMPS", "EVICTED"] as const;
const SERVER_FIELDS = ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME", "MONO_OFFSET", "UPDATED", "GROWTH",
  "MAXIMUM_DISTANCE", "LEAP_AT", "LEAP_WINDOW", "SMEAR_LENGTH", "SMEAR_SHAPE", "SMEAR_LEAP"] as const;

export class TestServer {
  readonly core = new Core();
  readonly exports = this.core.exports;
  readonly at = this.core.constant("SLOTS");
  readonly server = this.core.constant("SERVER");
  readonly slot = this.core.fields("SLOT_TABLE", SLOT_FIELDS, "SLOT");
  readonly fields = this.core.fields("SERVER", SERVER_FIELDS);
  readonly #counters = this.core.fields("COUNTERS", COUNTERS);
  now = START;

  constructor() {
    this.exports.tableKey(0x0706050403020100n, 0x0f0e0d0c0b0a0908n);
    this.core.view.setUint8(this.fields.STRATUM, 2);
    this.core.setU32(this.fields.REFID, 0xc0000201);
    this.core.setU64(this.fields.REFERENCE_TIME, START - seconds(16));
  }

  /** A datagram from there, now; answered and, a little later, sent. */
  ask(from: Address | undefined, octets: Uint8Array = packet({ transmitTime: 7n }), later = seconds(0.0001)): Outcome {
    const { core, exports, slot } = this;
    core.bytes.set(octets.subarray(0, 2048), this.at);
    core.view.setInt32(slot.LENGTH, octets.length, true);
    core.setU64(slot.RECEIVED, this.now);
    core.view.setUint8(slot.KNOWN, from ? 1 : 0);
    core.setU64(slot.HIGH, from?.high ?? 0n);
    core.setU64(slot.LOW, from?.low ?? 0n);
    const length = exports.answerSlot(0, this.server);
    if (length > 0) exports.finishSlot(0, this.now + later, this.server);
    const reply = core.bytes.slice(this.at, this.at + Math.max(0, length));
    return {
      reply,
      view: new DataView(reply.buffer),
      stampWanted: core.view.getUint8(slot.STAMP_WANTED) === 1,
      stamped: core.view.getUint8(slot.STAMPED) === 1,
      control: core.view.getInt32(slot.CONTROL, true),
    };
  }

  request(from: Address | undefined, fields: Partial<HeaderFields>): Outcome {
    return this.ask(from, packet(fields));
  }

  wait(time: number): void {
    this.now += seconds(time);
  }

  counter(name: (typeof COUNTERS)[number]): number {
    return Number(unsigned(this.core.u64(this.#counters[name])));
  }

  /** All counters that are not nought. */
  counters(): Partial<Record<(typeof COUNTERS)[number], number>> {
    return Object.fromEntries(COUNTERS.map((name) => [name, this.counter(name)] as const).filter(([, value]) => value > 0));
  }

  rules(...rules: readonly (readonly [Address, length: number, action: number])[]): void {
    this.exports.accessBegin();
    for (const [{ high, low }, length, action] of rules) if (this.exports.accessAdd(high, low, length, action) !== 0) throw new Error("a rule was not taken");
    this.exports.accessCommit(0, ALLOW);
  }

  limit(interval: number, burst: number, { all = true, leak = 0 } = {}): void {
    this.exports.limitAddresses(seconds(interval), burst, all ? 1 : 0);
    this.exports.limitLeak(leak, 42);
  }
}

/** What a reply is. */
export function kindOf({ reply, view }: Outcome): "time" | "none" | "RATE" | "DENY" | "other" {
  if (reply.length === 0) return "none";
  if (view.getUint8(1) !== 0) return "time";
  const code = String.fromCharCode(...reply.subarray(12, 16));
  return code === "RATE" || code === "DENY" ? code : "other";
}
