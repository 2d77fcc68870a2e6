// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The keys that a server seals cookies with, in generations (RFC 8915 §6): which there are at a time, and which is used.
 *
 *      made         used for sealing, one period        opens what it sealed, `keep` periods        erased
 *   ----|-- lead --|-----------------------------------|-----------------------------------------|----
 *                  from
 *
 * A generation is made ahead of its time, so that all who share a store have it before the first of them seals with it. With
 * old keys erased, what was recorded long ago cannot be opened by who steals today's. Pure functions of a time that is given;
 * tested in keys.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";

/** One key. `key` is a secret. */
export interface Generation {
  /** Stands in cookies in the clear: 1..2^32-1. */
  readonly id: number;
  /** From when it seals, ms since 1970. */
  readonly fromMs: number;
  /** {@link KEY_OCTETS} octets. */
  readonly key: Uint8Array;
}

/** How keys follow each other. */
export interface Rotation {
  /** How long a key seals, ms. */
  readonly periodMs: number;
  /** For how many periods more it opens cookies. */
  readonly keep: number;
  /** How long before it seals it is made, ms. */
  readonly leadMs: number;
}

/** For AEAD_AES_SIV_CMAC_256, which cookies are sealed with. */
export const KEY_OCTETS = 32;
/** What the core holds at once. */
export const GENERATIONS_MOST = 8;
/** Beside the one that seals and the one that will. */
const KEEP_MOST = GENERATIONS_MOST - 2;

const HOUR_MS = 3_600_000;

/**
 * A key a day, as RFC 8915 §6 suggests, and six days more: a client that was off over a long weekend comes back with cookies
 * that open. Eight keys in all.
 */
export const DEFAULT_ROTATION: Rotation = { periodMs: 24 * HOUR_MS, keep: KEEP_MOST, leadMs: HOUR_MS };

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedRotation(rotation: Partial<Rotation> = {}): Rotation {
  const { periodMs = DEFAULT_ROTATION.periodMs, keep = DEFAULT_ROTATION.keep, leadMs = Math.min(DEFAULT_ROTATION.leadMs, periodMs / 4) } = rotation;
  const wrong = (what: string, got: unknown) => new NtpError("INVALID_ARGUMENT", `expected ${what}, got ${String(got)}`);
  if (!(periodMs >= 1000 && periodMs <= 366 * 24 * HOUR_MS)) throw wrong("a key rotation every 1 s to 366 days", `${periodMs / 1000} s`);
  if (!(Number.isInteger(keep) && keep >= 1 && keep <= KEEP_MOST)) throw wrong(`1 to ${KEEP_MOST} rotations for which an old key is kept`, keep);
  if (!(leadMs >= 0 && leadMs < periodMs)) throw wrong("a key to be made less than one rotation ahead", `${leadMs / 1000} s`);
  return { periodMs, keep, leadMs };
}

/** A fresh key. `random` fills with strong random octets. */
export function freshGeneration(fromMs: number, taken: readonly Generation[], random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Generation {
  const key = random(new Uint8Array(KEY_OCTETS)).slice();
  for (;;) {
    const octets = random(new Uint8Array(4));
    const id = new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0);
    if (id !== 0 && !taken.some((generation) => generation.id === id)) return { id, fromMs, key };
  }
}

/**
 * The generations that there should be now, oldest first; undefined when that is what there are.
 *
 * A clock that was far ahead once leaves keys of the future behind. They still open, but MUST NOT stop the rotation; they go
 * when as many sound ones as are kept stand beside them.
 */
export function advance(stored: readonly Generation[], nowMs: number, rotation: Rotation, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Generation[] | undefined {
  const { periodMs, keep, leadMs } = rotation;
  const isSound = ({ fromMs }: Generation) => fromMs <= nowMs + periodMs + leadMs;
  const sound = stored.filter((generation) => isSound(generation) && generation.fromMs + (keep + 1) * periodMs > nowMs);
  const strange = stored.filter((generation) => !isSound(generation));
  const next = [...sound].sort((a, b) => a.fromMs - b.fromMs);
  if (next.length === 0) next.push(freshGeneration(nowMs, stored, random));
  const newest = next.at(-1)!;
  if (newest.fromMs + periodMs - leadMs <= nowMs) next.push(freshGeneration(Math.max(newest.fromMs + periodMs, nowMs), stored, random));
  const all = next.length > keep ? next.slice(-GENERATIONS_MOST) : [...next, ...strange].slice(0, GENERATIONS_MOST);
  const unchanged = all.length === stored.length && all.every((generation) => stored.includes(generation));
  return unchanged ? undefined : all;
}

/** The generation to seal with: the newest whose time has come, or the one whose time comes first. */
export function currentGeneration(generations: readonly Generation[], nowMs: number): Generation | undefined {
  const sorted = [...generations].sort((a, b) => a.fromMs - b.fromMs);
  return sorted.filter(({ fromMs }) => fromMs <= nowMs).at(-1) ?? sorted[0];
}
