// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A source to the addresses to try, families taking turns (RFC 8305 §4), so that a broken IPv6 or IPv4 costs one step
 * and not the answer. Tested in resolve.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host, ResolvedAddress } from "../host.ts";
import { unmapped } from "../address.ts";
import type { Source } from "./source.ts";

/** Which addresses may be used. */
export type Family = 4 | 6;

/** All endpoints of a source. @throws {NtpError} `DNS` when there is none. */
export async function endpointsOf(host: Host, source: Source, family?: Family, signal?: AbortSignal): Promise<Endpoint[]> {
  // A v4-mapped address means the IPv4 one: sockets and senders show it in that form.
  const plain = unmapped(source.host);
  const literal = literalFamily(plain);
  const addresses = literal ? [{ address: plain, family: literal }] : withoutDoubles(await lookUp(host, source, signal));
  const wanted = addresses.filter((address) => family === undefined || address.family === family);
  if (wanted.length === 0) {
    const what = family === undefined ? "an address" : `an IPv${family} address`;
    throw new NtpError("DNS", `expected ${what} for "${source.host}", found none; check the name and this host's resolver`, { source: source.text });
  }
  return takeTurns(wanted).map(({ address }) => ({ address, port: source.port }));
}

async function lookUp(host: Host, source: Source, signal?: AbortSignal): Promise<ResolvedAddress[]> {
  if (!host.resolve) throw new NtpError("UNSUPPORTED", `${host.runtime} cannot look up names; give an IP address`, { source: source.text });
  try {
    return await host.resolve(source.host, signal);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NtpError("DNS", `could not look up "${source.host}": ${why}`, { source: source.text, cause });
  }
}

/** 4 or 6 for a literal address, undefined for a name. */
export function literalFamily(host: string): Family | undefined {
  if (host.includes(":")) return 6;
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? 4 : undefined;
}

/** Resolvers tell an address twice (a doubled line in /etc/hosts); it MUST NOT be asked twice in a row for that. */
function withoutDoubles(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  return [...new Map(addresses.map((resolved) => [resolved.address, resolved])).values()];
}

/** First of each family, second of each, … beginning with the family the resolver put first. */
export function takeTurns(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return addresses.length === 0 ? [] : Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [first[i], second[i]])
    .flat()
    .filter((address) => address !== undefined);
}
