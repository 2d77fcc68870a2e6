// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time for those who have none yet: bounds of the present, from what a majority of Roughtime servers signed, good enough
 * to judge certificates by (RFC 10049 §6, RFC 8915 §8.5). This host's wall clock is not used, only its monotonic one.
 *
 * Tested in bootstrap.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { RoughtimeExchange } from "./attempt.ts";
import type { RoughtimeServerEntry } from "./client.ts";
import { measure, type MeasureOptions } from "./quorum.ts";
import type { MalfeasanceReport } from "./report.ts";
import { RESOLUTION_S } from "./sample.ts";

/** The present lies within: Unix time in ms. */
export interface TimeBounds {
  readonly low: number;
  readonly high: number;
  /** Servers whose bounds have a point in common, and servers that answered. */
  readonly agreeing: number;
  readonly answered: number;
}

const NS_PER_S = 1_000_000_000n;
const RESOLUTION_NS = BigInt(RESOLUTION_S * 1e9);
/** What a machine's monotonic clock may be off by: one part in 10,000, more than quartz is between −40 and 85 °C. */
const DRIFT_PARTS = 10_000n;

interface Interval {
  readonly low: bigint;
  readonly high: bigint;
}

/** Where the present lies, ns since 1970, by one answer. `nowAt` is the host's monotonic clock. */
function presentBy({ answer, askedAt, answeredAt }: RoughtimeExchange, nowAt: bigint): Interval {
  // It was signed after the request had left and before the response came.
  const [least, most] = [nowAt - answeredAt, nowAt - askedAt];
  const radius = BigInt(answer.radius) * NS_PER_S + RESOLUTION_NS;
  const midpoint = answer.midpoint * NS_PER_S;
  return { low: midpoint - radius + least - least / DRIFT_PARTS, high: midpoint + radius + most + most / DRIFT_PARTS };
}

/**
 * Bounds of the present at `nowAt`, a reading of the clock that stamped the exchanges. Each server has one vote, which it
 * loses when its own answers contradict each other. Undefined without a majority of those that answered.
 */
export function boundsOf(exchanges: readonly RoughtimeExchange[], nowAt: bigint): TimeBounds | undefined {
  const votes = new Map<string, Interval>();
  for (const exchange of exchanges) {
    const voter = exchange.publicKey.join();
    const present = presentBy(exchange, nowAt);
    const before = votes.get(voter);
    votes.set(voter, before ? intersection(before, present) : present);
  }
  const intervals = [...votes.values()].filter(({ low, high }) => low <= high);
  // The largest set that has a point in common has one that is somebody's low end.
  const cliques = intervals.map(({ low }) => intervals.filter((other) => other.low <= low && low <= other.high));
  const agreeing = cliques.reduce((best, clique) => (clique.length > best.length ? clique : best), [] as Interval[]);
  if (agreeing.length * 2 <= votes.size) return undefined;
  const { low, high } = agreeing.reduce(intersection);
  return { low: Number(low / 1_000_000n), high: Number(high / 1_000_000n) + 1, agreeing: agreeing.length, answered: votes.size };
}

function intersection(one: Interval, other: Interval): Interval {
  return { low: one.low > other.low ? one.low : other.low, high: one.high < other.high ? one.high : other.high };
}

/** What can be said of a certificate's validity, its ends in ms since 1970. "unsure": the bounds are wider than the question. */
export function judgeValidity({ low, high }: Pick<TimeBounds, "low" | "high">, notBefore: number, notAfter: number): "valid" | "not yet" | "expired" | "unsure" {
  if (high < notBefore) return "not yet";
  if (low > notAfter) return "expired";
  return low >= notBefore && high <= notAfter ? "valid" : "unsure";
}

/** Bounds, and the proof of somebody's lie where the measurement found one. */
export interface Bootstrap extends TimeBounds {
  readonly report?: MalfeasanceReport;
}

/**
 * Ask, and say where the present lies.
 *
 * @throws {NtpError} `NO_AGREEMENT` when fewer than three servers answered or no majority agrees, `INVALID_ARGUMENT`, `ABORTED`.
 */
export async function bootstrapTime(host: Host, servers: readonly RoughtimeServerEntry[], options: MeasureOptions = {}): Promise<Bootstrap> {
  const { exchanges, report } = await measure(host, servers, options);
  const bounds = boundsOf(exchanges, host.clock.monotonic());
  if (!bounds) throw new NtpError("NO_AGREEMENT", "expected a majority of Roughtime servers that agree on the time, got none; ask others");
  return { ...bounds, ...(report ? { report } : {}) };
}
