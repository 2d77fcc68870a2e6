// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The reference identifier that an address makes (RFC 5905 §7.3): an IPv4 address itself, of an IPv6 one the first octets of
 * its MD5. Tested in duplicates.test.ts.
 *
 * @module
 */

import type { Core } from "../core/core.ts";

/** Of an address without a port, in the resolver's canonical form; 0 for what is no address. */
export function refidOf(core: Core, address: string): number {
  const bare = address.replace(/%.*$/, "");
  if (/^\d+(\.\d+){3}$/.test(bare)) return bare.split(".").reduce((refid, octet) => refid * 256 + Number(octet), 0) >>> 0;
  const octets = ipv6Octets(bare);
  if (!octets) return 0;
  const at = core.constant("SCRATCH");
  core.bytes.set(octets, at);
  return core.exports.refidOfIPv6(at) >>> 0;
}

/** The 4 or 16 octets of an address; none of what is no address. */
export function addressOctets(address: string): Uint8Array {
  const bare = address.replace(/%.*$/, "");
  if (/^\d+(\.\d+){3}$/.test(bare)) return Uint8Array.from(bare.split("."), Number);
  return ipv6Octets(bare) ?? new Uint8Array(0);
}

/** By the URL parser's rules, which every runtime has. */
function ipv6Octets(address: string): Uint8Array | undefined {
  let text: string;
  try {
    text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
