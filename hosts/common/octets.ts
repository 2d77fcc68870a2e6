// SPDX-License-Identifier: MIT OR Apache-2.0
/** Strings of octets, compared and told. Tested in octets.test.ts. @module */

export const hex = (data: Uint8Array) => Array.from(data, (octet) => octet.toString(16).padStart(2, "0")).join("");

/** Whether two are equal, in a time that does not tell where they differ: one of them may be secret. Their lengths are public. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
