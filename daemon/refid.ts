// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The reference identifier that tells our clients whom we follow, so that loops are seen (RFC 5905 §7.3): an IPv4 address
 * itself, of an IPv6 one the first octets of its MD5. Tested in report.test.ts.
 *
 * @module
 */

import { Core } from "../hosts/common/core/core.ts";
import { parseAddress } from "../hosts/native/sockaddr.ts";

let core: Core | undefined;

/** Of an address without a port; 0 for what is no address. */
export function refidOfAddress(address: string): number {
  const octets = parseAddress(address)?.octets;
  if (!octets) return 0;
  if (octets.length === 4) return new DataView(octets.buffer, octets.byteOffset).getUint32(0);
  core ??= new Core();
  const at = core.constant("SLOTS");
  core.bytes.set(octets, at);
  return core.exports.refidOfIPv6(at) >>> 0;
}

/** As chrony writes it: eight hexadecimal digits. */
export function refidHex(refid: number): string {
  return refid.toString(16).toUpperCase().padStart(8, "0");
}
