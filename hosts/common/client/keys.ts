// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Symmetric keys: what one is, and the key file in chrony's and ntpd's format. Tested in keys.test.ts.
 *
 *     # ID TYPE SECRET
 *     1 MD5 HEX:0123456789abcdef
 *     4 AES128 HEX:00112233445566778899aabbccddeeff
 *     7 SHA1 tulip
 *
 * @module
 */

import { NtpError } from "../errors.ts";

/** In the order of the core's numbers (assembly/crypto/mac.ts), from 1. */
export const KEY_TYPES = ["MD5", "SHA1", "SHA256", "AES128", "AES256"] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** A key that both sides know. MD5 and SHA1 are for old servers only: RFC 8573 asks for AES128. */
export interface SymmetricKey {
  /** 1..2^32 - 1 */
  readonly id: number;
  readonly type: KeyType;
  /** 1..64 octets; 16 for AES128, 32 for AES256. */
  readonly secret: Uint8Array;
}

const SECRET_LIMIT = 64;
const AES_LENGTHS: Partial<Record<KeyType, number>> = { AES128: 16, AES256: 32 };

/** @throws {NtpError} `INVALID_ARGUMENT`; the message never has the secret. */
export function checkedKey(key: SymmetricKey): SymmetricKey {
  const { id, type, secret } = key;
  const wrong = (expected: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `key ${id}: expected ${expected}, got ${String(got)}`);
  if (!(Number.isInteger(id) && id >= 1 && id <= 0xffffffff)) throw wrong("a number of 1..4294967295", id);
  if (!KEY_TYPES.includes(type)) throw wrong(`a type of ${KEY_TYPES.join(", ")}`, type);
  if (!(secret instanceof Uint8Array)) throw wrong("a secret of octets", typeof secret);
  const exactly = AES_LENGTHS[type];
  if (exactly !== undefined && secret.length !== exactly) throw wrong(`a secret of ${exactly} octets for ${type}`, `${secret.length} octets`);
  if (secret.length < 1 || secret.length > SECRET_LIMIT) throw wrong(`a secret of 1..${SECRET_LIMIT} octets`, `${secret.length} octets`);
  return key;
}

/**
 * Every key of a file's text. Empty lines and those that begin with `#`, `%`, `;` or `!` are passed over.
 *
 * @throws {NtpError} `INVALID_ARGUMENT` with the line's number, never its secret.
 */
export function parseKeys(text: string): SymmetricKey[] {
  const keys: SymmetricKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "" || /^[#%;!]/.test(words[0]!)) continue;
    const key = inLine(index + 1, () => parseLine(words));
    if (keys.some(({ id }) => id === key.id)) throw new NtpError("INVALID_ARGUMENT", `line ${index + 1}: expected each key once, got key ${key.id} again`);
    keys.push(key);
  }
  return keys;
}

function inLine<T>(line: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new NtpError("INVALID_ARGUMENT", `line ${line}: ${(error as Error).message}`);
  }
}

/** `ID SECRET` (MD5, as of old) or `ID TYPE SECRET`. */
function parseLine(words: readonly string[]): SymmetricKey {
  const [id, type, secret] = words.length === 2 ? [words[0]!, "MD5", words[1]!] : [words[0]!, words[1] ?? "", words[2] ?? ""];
  const expected = "\"ID TYPE SECRET\"";
  if (words.length < 2 || words.length > 3) throw new NtpError("INVALID_ARGUMENT", `expected ${expected}, got ${words.length} word${words.length === 1 ? "" : "s"}`);
  if (!/^\d+$/.test(id)) throw new NtpError("INVALID_ARGUMENT", `expected ${expected} with a number first, got something else`);
  return checkedKey({ id: Number(id), type: typeOf(type), secret: octetsOf(secret) });
}

/** ntpd writes M for MD5; names are taken in any case. */
function typeOf(text: string): KeyType {
  const name = text.toUpperCase();
  if (name === "M") return "MD5";
  const known = KEY_TYPES.find((type) => type === name || (name === "AES128CMAC" && type === "AES128") || (name === "AES256CMAC" && type === "AES256"));
  if (!known) throw new NtpError("INVALID_ARGUMENT", `expected a type of ${KEY_TYPES.join(", ")}, got ${text.length <= 12 ? `"${text}"` : "a longer word"}`);
  return known;
}

function octetsOf(text: string): Uint8Array {
  const plain = /^ASCII:(.*)$/.exec(text)?.[1] ?? (/^HEX:/.test(text) ? undefined : text);
  if (plain !== undefined) return new TextEncoder().encode(plain);
  const hex = text.slice(4);
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) throw new NtpError("INVALID_ARGUMENT", "expected pairs of hexadecimal digits behind HEX:, got something else");
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
