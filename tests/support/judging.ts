// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A request and a reply that the core judges: the good ones, with the differences that a test wants, and what is made of them.
 *
 * @module
 */

import { Bench, packet, seconds, type HeaderFields } from "./core.ts";

export const bench = new Bench();
export const { core, exports } = bench;
const { view } = core;
export const EXCHANGE = core.constant("EXCHANGE");
export const SAMPLE = core.constant("SAMPLE");
const at = core.fields("EXCHANGE", ["VERSION", "MODE", "POLL", "WANTS", "ORIGIN", "T1", "T4", "PREVIOUS_TRANSMIT", "PRECISION"]);
export const of = core.fields("SAMPLE", ["T1", "T2", "T3", "T4", "OFFSET", "DELAY", "DISPERSION", "ROOT_DELAY", "ROOT_DISPERSION", "ROOT_DISTANCE", "PROBLEMS"]);

export const TEST = {
  1: 1 << 0, 2: 1 << 1, 3: 1 << 2, 4: 1 << 3, 5: 1 << 4, 6: 1 << 5, 7: 1 << 6,
  A: 1 << 7, B: 1 << 8, C: 1 << 9, D: 1 << 10, E: 1 << 11,
} as const;
export const [IGNORE, ACCEPT, KISS] = [0, 1, 2];
export const RUNS = { numRuns: 2000 };

export const ORIGIN = 0x0123456789abcdefn;
export const T1 = 0xeb000000_00000000n;
export const MS = seconds(0.001);

const EXCHANGE_OF = { version: 4, mode: 3, poll: 0, wants: 0, origin: ORIGIN, t1: T1, t4: T1 + 30n * MS, previous: 0n, precision: seconds(1e-6) };
type ExchangeFields = typeof EXCHANGE_OF;

export function prepare(fields: Partial<ExchangeFields> = {}): ExchangeFields {
  const exchange = { ...EXCHANGE_OF, ...fields };
  view.setUint8(at.VERSION, exchange.version);
  view.setUint8(at.MODE, exchange.mode);
  view.setInt8(at.POLL, exchange.poll);
  core.setU32(at.WANTS, exchange.wants);
  core.setU64(at.ORIGIN, exchange.origin);
  core.setU64(at.T1, exchange.t1);
  core.setU64(at.T4, exchange.t4);
  core.setU64(at.PREVIOUS_TRANSMIT, exchange.previous);
  core.setI64(at.PRECISION, exchange.precision);
  return exchange;
}

/** A reply without a fault, where not told otherwise. */
export const GOOD = {
  mode: 4, version: 4, stratum: 2, precision: -20, refid: 0x7f000001, referenceTime: T1 - seconds(100), originTime: ORIGIN,
  receiveTime: T1 + 10n * MS, transmitTime: T1 + 11n * MS, rootDelayShort: 0x100, rootDispersionShort: 0x200,
};
export const reply = (fields: Partial<HeaderFields> = {}, ...tail: Uint8Array[]) => packet({ ...GOOD, ...fields }, ...tail);

/** The verdict and the problems; what came is the good reply with the given differences. */
export function judge(octets: Uint8Array, exchange: Partial<ExchangeFields> = {}): readonly [verdict: number, problems: number] {
  prepare(exchange);
  core.setU32(of.PROBLEMS, 0xffffffff);
  const verdict = exports.replyRead(bench.put(octets), octets.length, EXCHANGE, SAMPLE);
  return [verdict, core.u32(of.PROBLEMS)];
}

export const measured = () => ({
  offset: core.i64(of.OFFSET),
  delay: core.i64(of.DELAY),
  dispersion: core.i64(of.DISPERSION),
  rootDelay: core.i64(of.ROOT_DELAY),
  rootDispersion: core.i64(of.ROOT_DISPERSION),
  rootDistance: core.i64(of.ROOT_DISTANCE),
});
