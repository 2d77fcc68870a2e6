// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Comparison in constant time. Tested with every caller, in mac.test.ts and aead.test.ts: a flipped bit anywhere must be refused.
 */

/** Whether `length` octets are equal. How long it takes tells only the length, never where they differ. */
export function equalOctets(a: usize, b: usize, length: i32): bool {
  let difference: u32 = 0;
  for (let i: usize = 0; i < <usize>length; i++) difference |= <u32>(load<u8>(a + i) ^ load<u8>(b + i));
  return difference == 0;
}
