// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Addresses as text: one spelling for messages, and whether two texts mean one address. Tested in client/source.test.ts.
 *
 * @module
 */

import type { Endpoint } from "./host.ts";

/** `192.0.2.1:123`, `[2001:db8::1]:123`; of a name likewise. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** An IPv4 sender on a dual-stack socket, in its IPv4 form. */
export function unmapped(address: string): string {
  return address.toLowerCase().startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Equal addresses, whatever their zone or letter case. Both sides come from the same resolver's canonical form. */
export function sameAddress(a: string, b: string): boolean {
  const bare = (address: string) => address.replace(/%.*$/, "").toLowerCase();
  return bare(a) === bare(b) || canonicalIPv6(bare(a)) === canonicalIPv6(bare(b));
}

/** One spelling for each IPv6 address, by the URL parser's rules; others unchanged. */
function canonicalIPv6(address: string): string {
  if (!address.includes(":")) return address;
  try {
    return new URL(`http://[${address}]`).hostname;
  } catch {
    return address;
  }
}
