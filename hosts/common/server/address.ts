// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Addresses and prefixes as the core's server has them: two 64-bit numbers, IPv4 in its mapped form ::ffff:a.b.c.d.
 *
 * Text is read strictly (RFC 4291 §2.2; no octal IPv4) and written as RFC 5952 asks. Tested in address.test.ts.
 *
 * @module
 */

/** An IPv6 address, first and last eight octets as big-endian numbers. */
export interface AddressNumber {
  readonly high: bigint;
  readonly low: bigint;
}

/** An address and how many of its bits count, 0..128. */
export interface Prefix extends AddressNumber {
  readonly length: number;
}

const MAPPED = 0xffff_0000_0000n;
/** Bits of the mapped form before IPv4's own. */
const MAPPED_LENGTH = 96;
const LOW_WORD = (1n << 64n) - 1n;

/** Read an address; a zone behind `%` is passed over. Undefined when it is none. */
export function addressNumber(text: string): AddressNumber | undefined {
  if (!text.includes(":")) {
    const four = ipv4Number(text);
    return four === undefined ? undefined : { high: 0n, low: MAPPED | BigInt(four) };
  }
  const percent = text.indexOf("%");
  const value = ipv6Number(percent < 0 ? text : text.slice(0, percent));
  return value === undefined ? undefined : { high: value >> 64n, low: value & LOW_WORD };
}

function ipv4Number(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    const octet = /^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256;
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

function ipv6Number(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 1 ? [] : groupsOf(halves[1]!, true);
  if (!head || !tail) return undefined;
  const gap = 8 - head.length - tail.length;
  if (halves.length === 1 ? gap !== 0 : gap < 1) return undefined;
  return [...head, ...new Array<number>(gap).fill(0), ...tail].reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** The groups between colons; the last of the whole address may be dotted IPv4. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const four = last && index === parts.length - 1 && part.includes(".") ? ipv4Number(part) : undefined;
    if (four !== undefined) groups.push(Math.floor(four / 65536), four % 65536);
    else if (/^[\da-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** Read `ADDRESS` or `ADDRESS/LENGTH`. Undefined when it is neither, or has bits set beyond its length. */
export function prefixNumber(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const address = addressNumber(slash < 0 ? text : text.slice(0, slash));
  if (!address || text.includes("%")) return undefined;
  const four = !text.includes(":");
  const bits = slash < 0 ? (four ? 32 : 128) : /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : 129;
  if (bits > (four ? 32 : 128)) return undefined;
  const length = bits + (four ? MAPPED_LENGTH : 0);
  const open = (1n << BigInt(128 - length)) - 1n;
  return (((address.high << 64n) | address.low) & open) === 0n ? { ...address, length } : undefined;
}

/** An address as text: IPv4 where it is mapped, else RFC 5952. */
export function addressText({ high, low }: AddressNumber): string {
  if (high === 0n && low >> 32n === 0xffffn) return [24n, 16n, 8n, 0n].map((shift) => (low >> shift) & 0xffn).join(".");
  const groups = [high, low].flatMap((word) => [48n, 32n, 16n, 0n].map((shift) => ((word >> shift) & 0xffffn).toString(16)));
  const text = groups.join(":");
  // The longest run of zero groups, the first of equals, two at least (RFC 5952 §4.2).
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length || a.index - b.index);
  const run = runs[0];
  if (!run) return text;
  return `${text.slice(0, run.index).replace(/:$/, "")}::${text.slice(run.index + run[0].length).replace(/^:/, "")}`;
}
