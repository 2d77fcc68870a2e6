// SPDX-License-Identifier: MIT OR Apache-2.0
/** Strings of octets, joined, compared, told and wiped. Tested in octets.test.ts. @module */

export const hex = (data: Uint8Array) => Array.from(data, (octet) => octet.toString(16).padStart(2, "0")).join("");

/** One after the other, in memory of its own. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Whether two are equal, in a time that does not tell where they differ: one of them may be secret. Their lengths are public. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** What was secret is zeros. Of copies that an engine or a collector made nobody knows. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}
