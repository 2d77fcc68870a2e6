// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How often one address is answered: a bucket of tokens for each, in a table of fixed size.
 *
 * A new address has a full bucket. Two that share a place in the table take it from each other, full: under a flood of made
 * up addresses the limit gets lax, but memory and time stay bounded, and nobody is refused for others' requests. IPv6 is
 * counted by /64. Tested in limit.test.ts.
 *
 * @module
 */

const PLACES = 4096;

interface Bucket {
  owner: string;
  tokens: number;
  /** When it was filled last, s. */
  at: number;
}

export class AddressLimit {
  readonly #rate: number;
  readonly #burst: number;
  readonly #buckets: (Bucket | undefined)[] = new Array<Bucket | undefined>(PLACES);
  readonly #salt: number;

  /** `rate` requests a second on average, `burst` at once. `salt` makes places unguessable. */
  constructor({ rate, burst, salt }: { rate: number; burst: number; salt: number }) {
    this.#rate = rate;
    this.#burst = burst;
    this.#salt = salt;
  }

  /** Whether one more request of this address may be answered now, in seconds of any steady clock. */
  allows(address: string, now: number): boolean {
    const owner = networkOf(address);
    const place = this.#place(owner);
    let bucket = this.#buckets[place];
    if (bucket?.owner !== owner) bucket = this.#buckets[place] = { owner, tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + Math.max(0, now - bucket.at) * this.#rate);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** FNV-1a with a salt. */
  #place(owner: string): number {
    let hash = (0x811c9dc5 ^ this.#salt) >>> 0;
    for (let i = 0; i < owner.length; i++) hash = Math.imul(hash ^ owner.charCodeAt(i), 0x01000193) >>> 0;
    return (hash ^ (hash >>> 16)) % PLACES;
  }
}

/** An IPv4 address, or the /64 of an IPv6 one. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").toLowerCase().split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(":").filter((group) => group !== "").length;
  const all = [...groups, ...Array.from({ length: Math.max(0, missing) }, () => "0"), ...(tail ?? "").split(":")];
  return `${all.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "") || "0").join(":")}::/64`;
}
