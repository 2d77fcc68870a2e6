// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A strict reader of DER (X.690) for certificates.
 *
 *     tag (1)  length (1, or 1 + 1..3)  contents
 *
 * It refuses what DER refuses and more: indefinite lengths, lengths that are not in their shortest form, tags of more than one
 * octet, contents beyond the end, octets left over, anything longer than 64 KiB. It never recurses: who reads says what is
 * expected, so that the depth is that of the caller's code.
 *
 * Tested in der.test.ts, at every truncation.
 *
 * @module
 */

import { malformed } from "./error.ts";

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A constructed context tag: [number]. */
export const explicit = (number: number) => 0xa0 | number;
/** A primitive context tag. */
export const implicit = (number: number) => 0x80 | number;

/** Longer than any certificate; longer than a TLS vector of 2^16 could carry. */
const LONGEST = 0xffff;

export interface Element {
  readonly tag: number;
  readonly contents: Uint8Array;
  /** Tag, length and contents. */
  readonly raw: Uint8Array;
}

/** Reads elements one after the other. `what` names the thing that is read, for messages. */
export class DerReader {
  readonly #data: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(data: Uint8Array, what: string) {
    if (data.length > LONGEST + 4) malformed(`${what}: expected at most ${LONGEST} octets, got ${data.length}`);
    this.#data = data;
    this.#what = what;
  }

  get more(): boolean {
    return this.#at < this.#data.length;
  }

  /** The next element, whatever it is. */
  next(): Element {
    const start = this.#at;
    const tag = this.#octet();
    if ((tag & 0x1f) === 0x1f) malformed(`${this.#what}: expected a tag of one octet`);
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#data.length) malformed(`${this.#what}: expected ${length} octets of contents, got ${this.#data.length - this.#at}`);
    const contents = this.#data.subarray(this.#at, end);
    this.#at = end;
    return { tag, contents, raw: this.#data.subarray(start, end) };
  }

  /** The next element, which must have this tag. */
  read(tag: number): Element {
    const element = this.next();
    if (element.tag !== tag) malformed(`${this.#what}: expected tag 0x${tag.toString(16)}, got 0x${element.tag.toString(16)}`);
    return element;
  }

  /** The next element if it has this tag. */
  optional(tag: number): Element | undefined {
    return this.#data[this.#at] === tag ? this.next() : undefined;
  }

  /** A reader of the contents of the next element, which must have this tag. */
  enter(tag: number, what = this.#what): DerReader {
    return new DerReader(this.read(tag).contents, what);
  }

  /** The next OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    const { contents } = this.read(TAG.oid);
    if (contents.length === 0 || contents.length > 64 || (contents.at(-1) ?? 0) >= 0x80) malformed(`${this.#what}: expected an object identifier`);
    const arcs: number[] = [];
    let arc = 0;
    let fresh = true;
    for (const octet of contents) {
      if (fresh && octet === 0x80) malformed(`${this.#what}: an object identifier is not in its shortest form`);
      if (arc > 0x0fff_ffff_ffff) malformed(`${this.#what}: an arc of an object identifier is too large`);
      arc = arc * 128 + (octet & 0x7f);
      fresh = octet < 0x80;
      if (!fresh) continue;
      arcs.push(arc);
      arc = 0;
    }
    const first = Math.min(2, Math.floor((arcs[0] ?? 0) / 40));
    return [first, (arcs[0] ?? 0) - 40 * first, ...arcs.slice(1)].join(".");
  }

  /** The octets of the next INTEGER, in its shortest form as DER wants, without the sign octet of a positive one. */
  unsigned(): Uint8Array {
    const { contents } = this.read(TAG.integer);
    const [first = 0, second = 0] = contents;
    if (contents.length === 0 || first >= 0x80) malformed(`${this.#what}: expected a non-negative integer`);
    if (contents.length > 1 && first === 0 && second < 0x80) malformed(`${this.#what}: an integer is not in its shortest form`);
    return contents.length > 1 && first === 0 ? contents.subarray(1) : contents;
  }

  /** The next INTEGER, at most 2^31 - 1. */
  small(): number {
    const octets = this.unsigned();
    const value = octets.length > 4 ? Infinity : octets.reduce((sum, octet) => sum * 256 + octet, 0);
    if (value > 0x7fff_ffff) malformed(`${this.#what}: expected a small integer`);
    return value;
  }

  /** The next BOOLEAN if there is one, else false. An explicit FALSE is tolerated: it is common, and says nothing else. */
  optionalBoolean(): boolean {
    const element = this.optional(TAG.boolean);
    if (!element) return false;
    const [value] = element.contents;
    if (element.contents.length !== 1 || (value !== 0 && value !== 0xff)) malformed(`${this.#what}: expected a boolean`);
    return value === 0xff;
  }

  /** The next BIT STRING, which must be of whole octets. */
  bits(): Uint8Array {
    const { contents } = this.read(TAG.bitString);
    if (contents[0] !== 0) malformed(`${this.#what}: expected a bit string of whole octets`);
    return contents.subarray(1);
  }

  /** Nothing may follow. */
  end(): void {
    if (this.more) malformed(`${this.#what}: expected its end, got ${this.#data.length - this.#at} more octets`);
  }

  #octet(): number {
    const octet = this.#data[this.#at++];
    return octet ?? malformed(`${this.#what}: expected more octets, got its end`);
  }

  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) malformed(`${this.#what}: expected a definite length of at most 3 octets`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#octet();
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) malformed(`${this.#what}: a length is not in its shortest form`);
    return length;
  }
}
