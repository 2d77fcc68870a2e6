// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The reference identifier that tells our clients whom we follow, so that loops are seen (RFC 5905 §7.3): an IPv4 address
 * itself, of an IPv6 one the first octets of its MD5; of a reference clock its code. Tested in report.test.ts.
 *
 * @module
 */

import { refidFromText } from "../hosts/common/core/cold.ts";
import { Core } from "../hosts/common/core/core.ts";
import { parseAddress } from "../hosts/native/sockaddr.ts";

let core: Core | undefined;

export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/** Of an address without a port, or of a reference clock's code ("GPS", padded with zeros); 0 for what is neither. */
export function refidOf(text: string): number {
  const octets = parseAddress(text)?.octets;
  if (!octets) return /^[\x21-\x7e]{1,4}$/.test(text) ? refidFromText(text) : 0;
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
