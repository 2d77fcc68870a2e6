// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the tests of the core share: numbers of every bit pattern, packets built by other means than the core's own codec,
 * the captured packets, and a bench with one core on it.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Core } from "../../hosts/common/core/core.ts";

export const MAX_I64 = 2n ** 63n - 1n;
export const MIN_I64 = -(2n ** 63n);
export const MAX_U64 = 2n ** 64n - 1n;
export const NS_PER_SECOND = 1_000_000_000n;
/** Seconds from 1900 to 1970. */
export const UNIX_EPOCH = 2_208_988_800n;

const around = (...values: bigint[]) => values.flatMap((value) => [value - 1n, value, value + 1n]);

/** Any u64, with the patterns where carries and signs turn more often than chance gives them. */
export const anyU64 = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: 0n, max: MAX_U64 }) },
  { weight: 1, arbitrary: fc.constantFrom(...around(1n, 2n ** 31n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 2n ** 32n), MAX_U64) },
);
/** Any i64, likewise. */
export const anyI64 = anyU64.map((value) => BigInt.asIntN(64, value));
export const anyU32 = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff));
export const anyU8 = fc.integer({ min: 0, max: 255 });
export const anyI8 = fc.integer({ min: -128, max: 127 });

/** The quotient rounded down. */
export function floorDiv(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor !== 0n && dividend < 0n !== divisor < 0n ? quotient - 1n : quotient;
}

/** The quotient rounded to the nearest, halves up. */
export function roundDiv(dividend: bigint, divisor: bigint): bigint {
  return floorDiv(2n * dividend + divisor, 2n * divisor);
}

export function clamp(value: bigint, low = MIN_I64, high = MAX_I64): bigint {
  return value < low ? low : value > high ? high : value;
}

/** A generator of u32 that always says the same: xorshift32. */
export function seededRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** A header as numbers; the names are those of assembly/proto/header.ts. */
export interface HeaderFields {
  leap: number;
  version: number;
  mode: number;
  stratum: number;
  poll: number;
  precision: number;
  rootDelayShort: number;
  rootDispersionShort: number;
  refid: number;
  referenceTime: bigint;
  originTime: bigint;
  receiveTime: bigint;
  transmitTime: bigint;
}

/** An NTPv4 client request, where not told otherwise. */
export function packet(fields: Partial<HeaderFields> = {}, ...tail: Uint8Array[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(48));
  header.setUint8(0, ((fields.leap ?? 0) << 6) | ((fields.version ?? 4) << 3) | (fields.mode ?? 3));
  header.setUint8(1, fields.stratum ?? 0);
  header.setInt8(2, fields.poll ?? 0);
  header.setInt8(3, fields.precision ?? 0);
  header.setUint32(4, fields.rootDelayShort ?? 0);
  header.setUint32(8, fields.rootDispersionShort ?? 0);
  header.setUint32(12, fields.refid ?? 0);
  header.setBigUint64(16, fields.referenceTime ?? 0n);
  header.setBigUint64(24, fields.originTime ?? 0n);
  header.setBigUint64(32, fields.receiveTime ?? 0n);
  header.setBigUint64(40, fields.transmitTime ?? 0n);
  return concat(new Uint8Array(header.buffer), ...tail);
}

/** An extension field of `length` octets in all that says it has `declared`. */
export function field(type: number, length: number, declared = length, value?: Uint8Array): Uint8Array {
  const octets = new Uint8Array(length).fill(0xa5);
  if (value) octets.set(value, 4);
  octets.set([type >> 8, type & 0xff, declared >> 8, declared & 0xff]);
  return octets;
}

/** A MAC of `length` octets in all. */
export function mac(length: number, keyId = 1): Uint8Array {
  const octets = new Uint8Array(length).fill(0xd1);
  new DataView(octets.buffer).setUint32(0, keyId);
  return octets;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const hex = (octets: Uint8Array): string => Buffer.from(octets).toString("hex");
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
export const ascii = (text: string): number => Buffer.from(text.padEnd(4, "\0"), "latin1").readUInt32BE();

/** One of tests/vectors/packets.json: made by another program, read by a third. */
export interface Captured {
  what: string;
  program: string;
  hex: string;
  read: Record<"leap" | "version" | "mode" | "stratum" | "poll" | "precision" | "rootDelayShort" | "rootDispersionShort", number> &
    Record<"referenceTime" | "originTime" | "receiveTime" | "transmitTime", string | null> & {
      refid: string;
      fieldTypes: number[];
      fieldLengths: number[];
      keyId: number | null;
    };
}

export const captured: Captured[] = JSON.parse(
  readFileSync(new URL("../vectors/packets.json", import.meta.url), "utf8"),
).packets;

/** Seconds as an interval. */
export const seconds = (value: number): bigint => BigInt(Math.round(value * 2 ** 32));

/** One core, with a packet's place, the octets around it and a trailer to read into. */
export class Bench {
  readonly core = new Core();
  readonly exports = this.core.exports;
  readonly at = this.core.constant("SLOTS");
  readonly scratch = this.core.constant("SCRATCH");
  readonly #trailer = this.scratch + 2048;

  /** Put `octets` into slot `slot`; returns their address. */
  put(octets: Uint8Array, slot = 0): number {
    const at = this.at + slot * this.core.constant("SLOT_STRIDE_OCTETS");
    this.core.bytes.set(octets, at);
    return at;
  }

  octets(length: number, at = this.at): Uint8Array {
    return this.core.bytes.slice(at, at + length);
  }

  /** What follows the header, in the order of assembly/proto/extension.ts. */
  trailer(octets: Uint8Array, version = 4) {
    const at = this.put(octets);
    const wellFormed = this.exports.readTrailer(at, octets.length, version, this.#trailer) !== 0;
    const [fieldsEnd, fieldCount, macStart, macLength, cryptoNak] = [0, 4, 8, 12, 16].map((offset) =>
      this.core.view.getInt32(this.#trailer + offset, true),
    );
    return { wellFormed, fieldsEnd, fieldCount, macStart, macLength, cryptoNak };
  }
}
