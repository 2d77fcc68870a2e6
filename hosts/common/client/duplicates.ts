// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One server has one vote: of sources that ask the same address and port, by whatever names, one speaks and the others stand
 * back. Whom a proof vouches for goes before whom nothing does, but only once it was heard: neither can a name that somebody
 * bent to a server's address silence the source that proves what it says, nor can keys that lead to somebody else's server
 * silence that. Among equals who asked there first goes on.
 *
 * A server with two addresses cannot be told from two servers. Tested in duplicates.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../host.ts";
import { addressOctets } from "./refid.ts";

/** A source among others that may ask the same server. */
export interface Claimant {
  readonly options: { readonly index: number; readonly establish?: unknown; readonly key?: unknown };
  /** Where it asks; undefined while it does not. */
  readonly claimed: Endpoint | undefined;
  /** Whether it was heard there, or is waiting for that; "silent": it was not for long. */
  readonly standing: "heard" | "asking" | "silent";
}

/** Equal addresses and ports, however they are spelt; an IPv4 address within IPv6 is that address. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && canonical(a.address) === canonical(b.address);
}

function canonical(address: string): string {
  const octets = addressOctets(address);
  const mapped = octets.length === 16 && octets.slice(0, 12).every((octet, at) => octet === (at < 10 ? 0 : 255));
  // Link-local addresses are alike on every network: the zone tells which is meant.
  return octets.length === 0 ? address.toLowerCase() : `${(mapped ? octets.slice(12) : octets).join(".")}${/%.*$/.exec(address)?.[0] ?? ""}`;
}

/** Who vouches for its answers: NTS, a key, nobody. */
export function proofOf({ options: { establish, key } }: Pick<Claimant, "options">): number {
  return establish ? 2 : key ? 1 : 0;
}

/** The one of `others` that speaks for the server at `endpoint`, where `source` asks or is about to; undefined: it may itself. */
export function speakerFor<T extends Claimant>(source: Claimant, endpoint: Endpoint, others: readonly T[]): T | undefined {
  return others.find((other) => (other as Claimant) !== source && other.claimed !== undefined && sameEndpoint(other.claimed, endpoint) && goesBefore(other, source, endpoint));
}

function goesBefore(other: Claimant, source: Claimant, endpoint: Endpoint): boolean {
  const lead = proofOf(other) - proofOf(source);
  if (lead !== 0) return lead > 0 && other.standing === "heard";
  const here = source.claimed !== undefined && sameEndpoint(source.claimed, endpoint);
  const own = here ? ORDER[source.standing] : ORDER.silent;
  const theirs = ORDER[other.standing];
  if (theirs !== own) return theirs > own;
  // Both silent: nobody is kept from trying.
  return theirs > ORDER.silent && (!here || other.options.index < source.options.index);
}

const ORDER = { heard: 2, asking: 1, silent: 0 } as const;
