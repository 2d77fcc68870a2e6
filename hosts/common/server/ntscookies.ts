// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The keys of NTS cookies, as the host holds them: told to a core that serves, and used to seal a client's first cookies at
 * the end of key establishment (RFC 8915 §4.1.6, §6).
 *
 * A core that answers requests and one that only makes cookies are set alike; give both the same generations. When and how
 * keys rotate, and where they are kept, is not decided here. Tested in ntscookies.test.ts.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import { NtpError } from "../errors.ts";

/** One generation of the key that cookies are sealed with. */
export interface CookieKey {
  /** 0 … 2³²−1, part of every cookie, and different for each generation. */
  readonly id: number;
  /** 32 random octets. */
  readonly key: Uint8Array;
}

/** All generations that open cookies, and the identifier of the one that seals. Plain data, fit for any thread. */
export interface CookieKeySet {
  readonly generations: readonly CookieKey[];
  readonly current: number;
}

/** What the core can hold at once. */
export const COOKIE_GENERATIONS = 8;
const KEY_LENGTH = 32;
const NONCE_LENGTH = 16;

/** NTS cookies over one core. */
export class NtsCookies {
  readonly #core: Core;
  readonly #random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
  readonly #scratch: number;
  /** Which slots are set, and with which identifier. */
  readonly #ids: (number | undefined)[] = new Array(COOKIE_GENERATIONS).fill(undefined);

  constructor(core: Core, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array) {
    this.#core = core;
    this.#random = random;
    this.#scratch = core.constant("SCRATCH");
  }

  /** Make the core an NTS server: seed its generator of nonces. Before, it passes over NTS' fields and answers in plain NTP. */
  seed(): void {
    this.#core.bytes.set(this.#random(new Uint8Array(KEY_LENGTH)), this.#scratch);
    this.#core.exports.ntsSeed(this.#scratch);
  }

  /**
   * Hold exactly these generations; cookies of all others can no longer be opened. `current` is the identifier of the one that
   * seals from now on.
   *
   * @throws {NtpError} `INVALID_ARGUMENT`; nothing has then changed.
   */
  setKeys(generations: readonly CookieKey[], current: number): void {
    checkKeys(generations, current);
    const { bytes, exports } = this.#core;
    const wanted = new Set(generations.map(({ id }) => id));
    this.#ids.forEach((id, slot) => {
      if (id === undefined || wanted.has(id)) return;
      exports.cookieKeyClear(slot);
      this.#ids[slot] = undefined;
    });
    for (const { id, key } of generations) {
      const held = this.#ids.indexOf(id);
      const slot = held < 0 ? this.#ids.indexOf(undefined) : held;
      bytes.set(key, this.#scratch);
      exports.cookieKeySet(slot, id, this.#scratch);
      this.#ids[slot] = id;
    }
    exports.cookieKeyCurrent(this.#ids.indexOf(current));
  }

  /**
   * A cookie with the two keys of a client, for AEAD 15, 16, 17 or 30.
   *
   * @throws {NtpError} `INVALID_ARGUMENT` when the keys are not that AEAD's or {@link setKeys} was never called.
   */
  cookie(aead: number, c2s: Uint8Array, s2c: Uint8Array): Uint8Array<ArrayBuffer> {
    const { bytes, exports } = this.#core;
    const keyLength = exports.aeadKeyLength(aead);
    if (keyLength === 0) throw new NtpError("INVALID_ARGUMENT", `expected AEAD 15, 16, 17 or 30, got ${aead}`);
    if (c2s.length !== keyLength || s2c.length !== keyLength) {
      throw new NtpError("INVALID_ARGUMENT", `expected two keys of ${keyLength} octets for AEAD ${aead}, got ${c2s.length} and ${s2c.length}`);
    }
    const at = { c2s: this.#scratch, s2c: this.#scratch + 64, random: this.#scratch + 128, out: this.#scratch + 256 };
    bytes.set(c2s, at.c2s);
    bytes.set(s2c, at.s2c);
    bytes.set(this.#random(new Uint8Array(NONCE_LENGTH)), at.random);
    const length = exports.cookieSeal(aead, at.c2s, at.s2c, at.out, at.random);
    const cookie = bytes.slice(at.out, at.out + length);
    bytes.fill(0, this.#scratch, at.out + length);
    if (length === 0) throw new NtpError("INVALID_ARGUMENT", "no key to seal cookies with: call setKeys first");
    return cookie;
  }
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
function checkKeys(generations: readonly CookieKey[], current: number): void {
  const wrong = (what: string) => new NtpError("INVALID_ARGUMENT", what);
  if (generations.length === 0 || generations.length > COOKIE_GENERATIONS) {
    throw wrong(`expected one to ${COOKIE_GENERATIONS} generations of cookie keys, got ${generations.length}: drop the oldest`);
  }
  for (const { id, key } of generations) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw wrong(`expected a cookie key's identifier of 0 to 4294967295, got ${id}`);
    if (key.length !== KEY_LENGTH) throw wrong(`expected a cookie key of ${KEY_LENGTH} octets, got ${key.length}`);
  }
  const ids = new Set(generations.map(({ id }) => id));
  if (ids.size !== generations.length) throw wrong("expected cookie keys with different identifiers, got one twice");
  if (!ids.has(current)) throw wrong(`expected the current cookie key to be one of the generations, got identifier ${current}`);
}
