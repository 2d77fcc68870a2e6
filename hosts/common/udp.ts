// SPDX-License-Identifier: MIT OR Apache-2.0
/** What every host's udp.ts needs. @module */

/** An IPv4 sender on a dual-stack socket, in its IPv4 form. */
export function unmapped(address: string): string {
  return address.toLowerCase().startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
