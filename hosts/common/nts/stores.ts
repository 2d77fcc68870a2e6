// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where a server's cookie keys are kept: in memory, in a file, or derived from a secret that a fleet shares. A store in Redis
 * is in redis.ts. All say which generations there are at a time, and make those that are due. Tested in keys.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { HostFiles } from "../files.ts";
import { KEY_OCTETS, advance, type Generation, type Rotation } from "./generations.ts";
import { TEXT_MOST, formatGenerations, parseGenerations } from "./keytext.ts";

/** Fills with strong random octets. */
export type Random = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;

export interface KeyStore {
  /** The generations of now; those that were due have been made and stored. Rejects when the store cannot be reached. */
  generations(nowMs: number, rotation: Rotation): Promise<readonly Generation[]>;
}

/** Keys that end with the process: clients establish new ones after each restart. */
export function memoryKeys(random: Random): KeyStore {
  let kept: readonly Generation[] = [];
  return {
    async generations(nowMs, rotation) {
      return (kept = advance(kept, nowMs, rotation, random) ?? kept);
    },
  };
}

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/**
 * Keys in a file that only this user can read, so that cookies outlive a restart. Several processes may share it: the lead of
 * a generation gives each the time to read what another has written.
 */
export function fileKeys(files: HostFiles, path: string, random: Random): KeyStore {
  const read = async (): Promise<Generation[]> => {
    const content = await files.read(path, TEXT_MOST);
    if (!content) return [];
    // Others may have read it already: to go on quietly would be to use keys that are known.
    if (content.mode !== undefined && (content.mode & OTHERS) !== 0) {
      throw new NtpError("INVALID_ARGUMENT", `expected ${path} to be readable by its owner only, its mode is ${content.mode.toString(8)}; remove it, or chmod 600 if nobody else can have read it`);
    }
    return parseGenerations(new TextDecoder().decode(content.data), path);
  };
  return {
    async generations(nowMs, rotation) {
      const stored = await read();
      const next = advance(stored, nowMs, rotation, random);
      if (!next) return stored;
      await files.replace(path, new TextEncoder().encode(formatGenerations(next)), OWNER_ONLY);
      // Another process may have been faster; what the file has is what all will have.
      return read();
    },
  };
}

const SECRET_LEAST = 32;
const INFO = "escapement NTS cookie key";

/**
 * Keys derived from one secret and the number of the period, HKDF-SHA-256 (RFC 5869): machines that share the secret and the
 * rotation open each other's cookies without a word. Their clocks may differ: the next key is there before its time.
 *
 * Who learns the secret can derive all keys, those of the past too. A shared store has no such secret.
 *
 * @throws {NtpError} `INVALID_ARGUMENT` for a secret of less than 32 octets.
 */
export function derivedKeys(secret: Uint8Array): KeyStore {
  if (secret.length < SECRET_LEAST) throw new NtpError("INVALID_ARGUMENT", `expected a secret of at least ${SECRET_LEAST} random octets to derive cookie keys from, got ${secret.length}`);
  const imported = crypto.subtle.importKey("raw", secret.slice(), "HKDF", false, ["deriveBits"]);
  // Told to who uses it, below; not to the process.
  imported.catch(() => {});
  return {
    async generations(nowMs, { periodMs, keep }) {
      const now = Math.floor(nowMs / periodMs);
      // No machine can be before the first period.
      const epochs = Array.from({ length: keep + 2 }, (_, i) => now - keep + i).filter((epoch) => epoch > 0);
      return Promise.all(epochs.map((epoch) => derive(imported, epoch, periodMs)));
    },
  };
}

async function derive(secret: Promise<CryptoKey>, epoch: number, periodMs: number): Promise<Generation> {
  const info = new TextEncoder().encode(`${INFO} ${periodMs} ${epoch}`);
  const bits = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info }, await secret, KEY_OCTETS * 8);
  return { id: epoch >>> 0 || 1, fromMs: epoch * periodMs, key: new Uint8Array(bits) };
}
