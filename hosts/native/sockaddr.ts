// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Addresses as text and as C has them.
 *
 *     sockaddr_in (16 octets)                    sockaddr_in6 (28 octets)
 *      0  u16  family = AF_INET (2), host order   0  u16  family = AF_INET6 (10), host order
 *      2  u16  port, network order                2  u16  port, network order
 *      4  4 octets address                        4  u32  flow information
 *      8  8 octets zero                           8  16 octets address
 *                                                24  u32  scope (interface index), host order
 *
 * Text is read strictly (RFC 4291 §2.2; decimal IPv4 octets without leading zeros, which some parsers take for octal)
 * and written canonically (RFC 5952), except that v4-mapped addresses are written as the IPv4 addresses they are: a
 * peer has one name, whichever socket it came through.
 *
 * Tested by sockaddr.test.ts; the offsets are compared with the system's headers by layout.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import { SystemError } from "./errno.ts";
import { AF_INET, AF_INET6, EAFNOSUPPORT, EINVAL, ENODEV } from "./linux.ts";

/** Octets to keep for any address of the two families. */
export const SOCKADDR_BYTES = 28;

/** An address in network order; `zone` is the text behind `%`, empty when there is none. */
export interface ParsedAddress {
  readonly octets: Uint8Array;
  readonly zone: string;
}

/** How zones are turned into interface indices and back. */
export interface Zones {
  interfaceIndex(name: string): number;
  interfaceName(index: number): string;
}

/** Read an IPv4 (4 octets) or IPv6 (16 octets) address; `undefined` when the text is neither. */
export function parseAddress(text: string): ParsedAddress | undefined {
  if (!text.includes(":")) {
    const octets = parseIPv4(text);
    return octets && { octets: Uint8Array.from(octets), zone: "" };
  }
  const percent = text.indexOf("%");
  const zone = percent < 0 ? "" : text.slice(percent + 1);
  if (percent >= 0 && zone === "") return undefined;
  const octets = parseIPv6(percent < 0 ? text : text.slice(0, percent));
  return octets && { octets, zone };
}

function parseIPv4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const octets = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return octets.every((octet) => octet < 256) ? octets : undefined;
}

function parseIPv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] as string, halves.length === 1);
  const tail = halves.length === 1 ? [] : parseGroups(halves[1] as string, true);
  if (head === undefined || tail === undefined) return undefined;
  // "::" stands for at least one group (RFC 5952 §4.2.2 forbids fewer than two only when writing).
  const gap = 16 - head.length - tail.length;
  if (halves.length === 1 ? gap !== 0 : gap < 2) return undefined;
  const octets = new Uint8Array(16);
  octets.set(head);
  octets.set(tail, 16 - tail.length);
  return octets;
}

/** Groups between colons as octets; the last one of the whole address may be dotted IPv4. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const octets: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (last && index === groups.length - 1 && group.includes(".")) {
      const dotted = parseIPv4(group);
      if (dotted === undefined) return undefined;
      octets.push(...dotted);
    } else {
      if (!/^[\da-f]{1,4}$/i.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      octets.push(value >> 8, value & 0xff);
    }
  }
  return octets;
}

/** Write 4 or 16 octets as text: RFC 5952, and v4-mapped addresses (`::ffff:a.b.c.d`) as plain IPv4. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  if (isMapped(octets)) return octets.subarray(12).join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] as number) << 8) | (octets[i + 1] as number));
  const [start, length] = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function isMapped(octets: Uint8Array): boolean {
  return octets[10] === 0xff && octets[11] === 0xff && octets.subarray(0, 10).every((octet) => octet === 0);
}

/** The first of the longest runs of zero groups (RFC 5952 §4.2.3). */
function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best[1]) best = [start, index + 1 - start];
  }
  return best;
}

/**
 * Write the sockaddr of `endpoint` for a socket of `family` at `offset` and return its length.
 *
 * IPv4 goes through an IPv6 socket in its mapped form (the kernel refuses it where the socket is IPv6 only).
 * Throws a SystemError when the text is no address (EINVAL), of the wrong family, or names no interface.
 */
export function writeSockaddr(view: DataView, offset: number, endpoint: Endpoint, family: 4 | 6, zones: Zones): number {
  const { address, port } = endpoint;
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new SystemError("sockaddr", EINVAL, `"${address}" is not an IP address`);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new SystemError("sockaddr", EINVAL, `port ${port} is not in 0..65535`);
  }
  const { octets, zone } = parsed;
  const target = new Uint8Array(view.buffer, view.byteOffset + offset, SOCKADDR_BYTES).fill(0);
  view.setUint16(offset + 2, port);
  if (family === 4) {
    if (octets.length !== 4) throw new SystemError("sockaddr", EAFNOSUPPORT, address);
    view.setUint16(offset, AF_INET, true);
    target.set(octets, 4);
    return 16;
  }
  view.setUint16(offset, AF_INET6, true);
  if (octets.length === 4) target.fill(0xff, 18, 20);
  target.set(octets, octets.length === 4 ? 20 : 8);
  view.setUint32(offset + 24, scopeOf(zone, zones), true);
  return 28;
}

/** `%2` is an index already; `%eth0` is looked up. */
function scopeOf(zone: string, zones: Zones): number {
  if (zone === "") return 0;
  const index = /^\d{1,9}$/.test(zone) ? Number(zone) : zones.interfaceIndex(zone);
  if (index === 0) throw new SystemError("sockaddr", ENODEV, `%${zone}`);
  return index;
}

/** Read the sockaddr at `offset`; `undefined` when it is of another family (or absent). */
export function readSockaddr(view: DataView, offset: number, zones: Zones): Endpoint | undefined {
  const family = view.getUint16(offset, true);
  const port = view.getUint16(offset + 2);
  const octets = (at: number, length: number): Uint8Array => new Uint8Array(view.buffer, view.byteOffset + at, length);
  if (family === AF_INET) return { address: formatAddress(octets(offset + 4, 4)), port };
  if (family !== AF_INET6) return undefined;
  const address = formatAddress(octets(offset + 8, 16));
  const scope = view.getUint32(offset + 24, true);
  return { address: scope === 0 ? address : `${address}%${zones.interfaceName(scope)}`, port };
}
