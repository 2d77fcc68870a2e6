// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How often an address may come: a bucket of tokens for each, in a table of fixed size. Each step takes the same time however
 * full the table is; when it is full the address that has been away longest is forgotten. Tested in limiter.test.ts.
 *
 * @module
 */

export interface BucketOptions {
  /** Tokens that come back each second. */
  readonly rate: number;
  /** Tokens that a new address begins with, and the most that it has: a newcomer is never turned away. */
  readonly burst: number;
  /** Addresses that are remembered. */
  readonly entries: number;
}

interface Bucket {
  tokens: number;
  /** When the tokens were counted, ms. */
  at: number;
}

export class AddressBuckets {
  readonly #options: BucketOptions;
  readonly #nowMs: () => number;
  /** In the order of their last visits. */
  readonly #buckets = new Map<string, Bucket>();

  /** `nowMs`: a monotonic clock. */
  constructor(options: BucketOptions, nowMs: () => number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Whether the address may come now; takes a token if so. */
  take(address: string): boolean {
    const { rate, burst, entries } = this.#options;
    const group = addressGroup(address);
    const now = this.#nowMs();
    const bucket = this.#buckets.get(group) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + (rate * Math.max(0, now - bucket.at)) / 1000);
    bucket.at = now;
    const granted = bucket.tokens >= 1;
    if (granted) bucket.tokens -= 1;
    this.#buckets.delete(group);
    this.#buckets.set(group, bucket);
    if (this.#buckets.size > entries) this.#buckets.delete(this.#buckets.keys().next().value ?? "");
    return granted;
  }
}

/** Whom an address belongs to: an IPv4 address is one, of IPv6 whoever has one has 2^64 (RFC 6177). */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...new Array<string>(zeros).fill("0"), ...after];
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
