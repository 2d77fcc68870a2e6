// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How many mutated packets a fuzz test makes: its usual number, or what FUZZ says, for a run of minutes or hours:
 * `FUZZ=10000000 npx vitest run tests/fuzz`.
 *
 * @module
 */

import process from "node:process";

/** What a thousand packets may take on a busy machine, ms. */
const THOUSAND_MS = 250;
const LEAST_MS = 60_000;

/** @throws {Error} when FUZZ is no number of packets */
export function fuzzCount(usual: number): number {
  const { FUZZ } = process.env;
  if (FUZZ === undefined || FUZZ === "") return usual;
  const count = Number(FUZZ);
  if (!(Number.isInteger(count) && count >= 1000 && count <= 1e10)) throw new Error(`expected FUZZ to be a number of packets from 1000 on, got "${FUZZ}"`);
  return count;
}

/** The time that so many may take, ms. */
export function fuzzLimit(count: number): number {
  return Math.max(LEAST_MS, Math.ceil(count / 1000) * THOUSAND_MS);
}
