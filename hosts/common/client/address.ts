// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * When two texts mean one address.
 *
 * @module
 */

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
