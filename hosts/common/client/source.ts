// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How a source is written: a host name, an address, `HOST:PORT`, an `ntp:` or an `nts:` URL, or `roughtime:HOST:PORT#KEY`. Tested
 * in source.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { addressOctets } from "./refid.ts";

/** A source, taken apart. */
export interface Source {
  /** As the caller wrote it. */
  readonly text: string;
  readonly scheme: Scheme;
  /** Host name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** The server's long-term key, 32 octets, of a `roughtime:` source. */
  readonly publicKey?: Uint8Array;
}

export type Scheme = "ntp" | "nts" | "roughtime";

/** UDP port of NTP (RFC 5905 §7.2). */
export const NTP_PORT = 123;
/** TCP port of NTS key establishment (RFC 8915 §7.1). */
export const NTS_PORT = 4460;
/** UDP and TCP port that Roughtime servers use. */
export const ROUGHTIME_PORT = 2002;

const PORTS: Readonly<Record<string, number>> = { ntp: NTP_PORT, nts: NTS_PORT };

/** Schemes that are no source here, and what to do instead. */
const UNSUPPORTED_SCHEMES: Readonly<Record<string, string>> = {
  roughtime: "Roughtime answers are too coarse to follow: ask for them with query() or survey()",
  relay: "a relay is not a source but the way to one: name it in the option relay (--relay URL)",
};

/**
 * Take a source apart. `roughtime` says whether its caller can ask by Roughtime.
 *
 * @throws {NtpError} `INVALID_ARGUMENT` for what cannot be read, `UNSUPPORTED` for other schemes.
 */
export function parseSource(source: string | URL, { roughtime = false } = {}): Source {
  const text = String(source).trim();
  const { scheme, authority } = splitScheme(text);
  if (roughtime && scheme === "roughtime") return parseRoughtime(text);
  const instead = Object.hasOwn(UNSUPPORTED_SCHEMES, scheme) ? UNSUPPORTED_SCHEMES[scheme] : undefined;
  if (instead) throw new NtpError("UNSUPPORTED", `expected an ntp: or nts: source, got "${text}"; ${instead}`, { source: text });
  const match = scheme === "ntp" || scheme === "nts" ? matchAuthority(authority) : undefined;
  const port = match?.[2] === undefined ? (PORTS[scheme] ?? NTP_PORT) : Number(match[2]);
  if (!match?.[1] || port < 1 || port > 65535) {
    const expected = '"time.example.org", "192.0.2.1:123", "[2001:db8::1]:123", "ntp://…" or "nts:…"';
    throw new NtpError("INVALID_ARGUMENT", `expected a source like ${expected} (a port is a number, 1..65535), got "${text}"`, { source: text });
  }
  return { text, scheme: scheme === "nts" ? "nts" : "ntp", host: match[1], port };
}

/** `roughtime:HOST[:PORT]#KEY`; the key may hold slashes, so it is taken off first. */
function parseRoughtime(text: string): Source {
  const [, authority = "", key = ""] = /^roughtime:(?:\/\/)?([^#]*?)\/?#(.*)$/i.exec(text) ?? [];
  const match = matchAuthority(authority);
  const port = match?.[2] === undefined ? ROUGHTIME_PORT : Number(match[2]);
  const publicKey = decodeKey(key);
  if (match?.[1] && port >= 1 && port <= 65535 && publicKey) return { text, scheme: "roughtime", host: match[1], port, publicKey };
  const expected = 'expected "roughtime:HOST[:PORT]#KEY" with the server\'s long-term public key, 32 octets in base64';
  throw new NtpError("INVALID_ARGUMENT", `${expected}, got "${text}"`, { source: text });
}

/** 32 octets from base64 or base64url, padded or not. */
export function decodeKey(text: string): Uint8Array | undefined {
  return /^[\w+/-]{43}=?$/.test(text) ? Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0)) : undefined;
}

/** A bare IPv6 address has colons but no scheme, and what follows the colon of `host:123` is a port. */
function splitScheme(text: string): { scheme: string; authority: string } {
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/)?(.*)$/i.exec(text);
  if (!match || isBareIPv6(text) || /^\d+$/.test(match[2] ?? "")) return { scheme: "ntp", authority: text };
  return { scheme: (match[1] ?? "").toLowerCase(), authority: (match[2] ?? "").replace(/\/$/, "") };
}

/** `[whole, host, port?]` */
function matchAuthority(authority: string): readonly (string | undefined)[] | undefined {
  const match = isBareIPv6(authority) ? [authority, authority] : (/^\[([^\]]+:[^\]]*)\](?::(\d+))?$/.exec(authority) ?? /^([^:/?#@[\]\s]+)(?::(\d+))?$/.exec(authority));
  return match && isPossible(match[1]!) ? match : undefined;
}

/** What looks like an address must be one: "::1:25123" has a port without brackets, not a name to look up. */
function isPossible(host: string): boolean {
  if (host.includes(":")) return addressOctets(host).length > 0;
  return !/^\d+(\.\d+){3}$/.test(host) || host.split(".").every((octet) => Number(octet) <= 255);
}

function isBareIPv6(text: string): boolean {
  return /^[0-9a-f:.]+(%[^\s\]]+)?$/i.test(text) && (text.match(/:/g)?.length ?? 0) >= 2;
}
