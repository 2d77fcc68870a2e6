// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Generations of keys as text, for files and shared stores:
 *
 *   {"format":"escapement nts keys 1","generations":[{"id":"0a1b2c3d","from":"2026-01-31T00:00:00.000Z","key":"64 hexadecimal digits"}]}
 *
 * Read strictly: what is not ours is not overwritten. Tested in keys.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { hex } from "../octets.ts";
import { GENERATIONS_MOST, KEY_OCTETS, type Generation } from "./generations.ts";

const FORMAT = "escapement nts keys 1";
/** Octets of text that are read: room for all of them, and for somebody's white space. */
export const TEXT_MOST = 8192;

export function formatGenerations(generations: readonly Generation[]): string {
  const told = generations.map(({ id, fromMs, key }) => ({ id: id.toString(16).padStart(8, "0"), from: new Date(fromMs).toISOString(), key: hex(key) }));
  return `${JSON.stringify({ format: FORMAT, generations: told })}\n`;
}

/** `where` the text comes from, for the message. @throws {NtpError} `INVALID_ARGUMENT`; never with anything of the text in it. */
export function parseGenerations(text: string, where: string): Generation[] {
  const wrong = (what: string) => new NtpError("INVALID_ARGUMENT", `expected NTS keys in ${where}: ${what}; if nothing else is kept there, remove it and clients will establish new keys`);
  if (text.length > TEXT_MOST) throw wrong(`more than ${TEXT_MOST} characters`);
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    // MUST NOT pass the parser's message on: it quotes the text.
    throw wrong("not JSON");
  }
  const { format, generations } = (read ?? {}) as { format?: unknown; generations?: unknown };
  if (format !== FORMAT || !Array.isArray(generations) || generations.length > GENERATIONS_MOST) throw wrong(`not of the format "${FORMAT}"`);
  const parsed = generations.map(parseGeneration);
  if (!parsed.every((generation) => generation !== undefined)) throw wrong("an entry that is no key");
  if (new Set(parsed.map(({ id }) => id)).size !== parsed.length) throw wrong("two keys with one id");
  return parsed;
}

function parseGeneration(entry: unknown): Generation | undefined {
  const { id, from, key } = (entry ?? {}) as { id?: unknown; from?: unknown; key?: unknown };
  if (typeof id !== "string" || typeof from !== "string" || typeof key !== "string") return undefined;
  const fromMs = Date.parse(from);
  if (!/^[0-9a-f]{8}$/.test(id) || Number.parseInt(id, 16) === 0 || Number.isNaN(fromMs) || !/^[0-9a-f]*$/.test(key) || key.length !== 2 * KEY_OCTETS) return undefined;
  return { id: Number.parseInt(id, 16), fromMs, key: Uint8Array.from(key.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)) };
}
