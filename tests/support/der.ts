// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A writer of DER (X.690) for certificates that tests make: tag, definite length, contents. It writes what it is told, legal
 * or not, so that readers can be tried with what must be refused. Reading is hosts/common/x509/der.ts; the two know nothing of
 * each other.
 *
 * @module
 */

import { concat } from "../../hosts/common/octets.ts";

export { concat };

export const SEQUENCE = 0x30;
export const SET = 0x31;

/** Tag, length in its shortest form, contents. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concat(...contents);
  const size: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
  const length = body.length < 0x80 ? [body.length] : [0x80 | size.length, ...size];
  return concat(Uint8Array.of(tag, ...length), body);
}

export const sequence = (...contents: readonly Uint8Array[]) => tlv(SEQUENCE, ...contents);
export const set = (...contents: readonly Uint8Array[]) => tlv(SET, ...contents);
export const octets = (contents: Uint8Array) => tlv(0x04, contents);
export const bits = (contents: Uint8Array, unused = 0) => tlv(0x03, Uint8Array.of(unused), contents);
export const boolean = (value: boolean) => tlv(0x01, Uint8Array.of(value ? 0xff : 0x00));
export const nothing = () => tlv(0x05);
export const utf8 = (text: string) => tlv(0x0c, new TextEncoder().encode(text));
/** A context tag: primitive unless constructed. */
export const context = (number: number, contents: Uint8Array, constructed = false) => tlv(0x80 | (constructed ? 0x20 : 0) | number, contents);

/** A non-negative INTEGER. */
export function integer(value: number | bigint): Uint8Array {
  let hex = BigInt(value).toString(16);
  if (hex.length % 2) hex = `0${hex}`;
  const body = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return tlv(0x02, (body[0] ?? 0) >= 0x80 ? concat(Uint8Array.of(0), body) : body);
}

/** An OBJECT IDENTIFIER in dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const body = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift(0x80 | (left & 0x7f));
    return groups;
  });
  return tlv(0x06, Uint8Array.from(body));
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(ms: number): Uint8Array {
  const text = `${new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  const year = new Date(ms).getUTCFullYear();
  const short = year >= 1950 && year < 2050;
  return tlv(short ? 0x17 : 0x18, new TextEncoder().encode(short ? text.slice(2) : text));
}

/** BIT STRING with named bits: bit 0 is the first; trailing zeros are left out, as DER wants. */
export function namedBits(numbers: readonly number[]): Uint8Array {
  const highest = Math.max(-1, ...numbers);
  const body = new Uint8Array(Math.ceil((highest + 1) / 8));
  for (const number of numbers) body[number >> 3]! |= 0x80 >> (number & 7);
  return bits(body, highest < 0 ? 0 : 7 - (highest & 7));
}
