// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A cookie jar by other means than the core's: key id, nonce, AES-SIV-CMAC-256 over algorithm and keys, as noble has it.
 *
 *    key id (4) ‖ nonce (16) ‖ SIV (16) ‖ sealed: AEAD algorithm (2), zero (2), C2S, S2C
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { aessiv } from "@noble/ciphers/aes.js";
import type { CookieJar } from "../../hosts/common/nts/answer.ts";
import type { CookieKeys } from "../../hosts/common/nts/keys.ts";

export interface OpenedCookie {
  readonly aead: number;
  readonly c2s: Uint8Array;
  readonly s2c: Uint8Array;
}

export class TestJar implements CookieJar {
  readonly #keys: () => CookieKeys;

  constructor(keys: () => CookieKeys) {
    this.#keys = keys;
  }

  cookie(aead: number, c2s: Uint8Array, s2c: Uint8Array): Uint8Array {
    const { id, key } = this.#keys().current;
    const head = Buffer.alloc(20);
    head.writeUInt32BE(id);
    head.set(randomBytes(16), 4);
    return Uint8Array.from(Buffer.concat([head, aessiv(key, head).encrypt(Uint8Array.of(aead >> 8, aead & 255, 0, 0, ...c2s, ...s2c))]));
  }

  /** Undefined when no key of the ring opens it. */
  open(cookie: Uint8Array): OpenedCookie | undefined {
    const id = Buffer.from(cookie).readUInt32BE();
    const generation = this.#keys().all.find((one) => one.id === id);
    if (!generation) return undefined;
    try {
      const plain = aessiv(generation.key, cookie.subarray(0, 20)).decrypt(cookie.subarray(20));
      const half = (plain.length - 4) / 2;
      return { aead: ((plain[0] ?? 0) << 8) | (plain[1] ?? 0), c2s: plain.slice(4, 4 + half), s2c: plain.slice(4 + half) };
    } catch {
      return undefined;
    }
  }
}

/** A jar with one random key. */
export function testJar(): TestJar {
  const current = { id: 7, fromMs: 0, key: Uint8Array.from(randomBytes(32)) };
  return new TestJar(() => ({ current, all: [current] }));
}
