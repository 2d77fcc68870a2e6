// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Numbers and vectors of the TLS presentation language (RFC 8446 §3), big-endian, lengths first.
 *
 * Reading past the end, or leaving octets over, fails with decode_error. Tested in codec.test.ts, at every truncation.
 *
 * @module
 */

import { fail } from "./alert.ts";
import { concat } from "../octets.ts";

/** Reads a message. `what` names it, for messages. */
export class Reader {
  readonly #data: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(data: Uint8Array, what: string) {
    this.#data = data;
    this.#what = what;
  }

  get more(): boolean {
    return this.#at < this.#data.length;
  }

  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#data.length) fail("decode_error", `${this.#what}: expected ${length} octets, got ${this.#data.length - this.#at}`);
    const part = this.#data.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** An unsigned number of 1 to 4 octets. */
  number(octets: number): number {
    return this.bytes(octets).reduce((value, octet) => value * 256 + octet, 0);
  }

  /** A vector with its length in `prefix` octets, of `least` to `most` octets. */
  vector(prefix: number, least = 0, most = 2 ** 24): Uint8Array {
    const length = this.number(prefix);
    if (length < least || length > most) fail("decode_error", `${this.#what}: expected a vector of ${least} to ${most} octets, got ${length}`);
    return this.bytes(length);
  }

  /** A reader of a vector. */
  enter(prefix: number, least = 0, most = 2 ** 24): Reader {
    return new Reader(this.vector(prefix, least, most), this.#what);
  }

  end(): void {
    if (this.more) fail("decode_error", `${this.#what}: expected its end, got ${this.#data.length - this.#at} more octets`);
  }
}

export { concat };

/** `value` in `octets` octets. */
export function number(octets: number, value: number): Uint8Array {
  return Uint8Array.from({ length: octets }, (_octet, i) => Math.floor(value / 256 ** (octets - 1 - i)) & 0xff);
}

/** `contents` after their length in `prefix` octets. */
export function vector(prefix: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concat(...contents);
  return concat(number(prefix, body.length), body);
}

export const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
