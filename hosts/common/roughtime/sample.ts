// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Roughtime answer as a {@link Sample}, beside those of NTP: coarse, but signed (RFC 10049 §6).
 *
 *   offset        midpoint − our time at the middle of the exchange
 *   rootDistance  radius + half the round trip + half a second, as midpoints are whole seconds
 *
 * Tested in sample.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";
import { Core } from "../core/core.ts";
import { Sample } from "../client/sample.ts";
import type { Source } from "../client/source.ts";
import type { RoughtimeExchange } from "./attempt.ts";
import { askServer, type AskOptions, type RoughtimeServerEntry } from "./client.ts";

/** Midpoints are whole seconds, and servers cut or round to them. */
export const RESOLUTION_S = 0.5;
const NS_PER_S = 1_000_000_000n;
const MODE_SERVER = 4;

let core: Core | undefined;

/** The server that a source names; it is asked over UDP and TCP at one port. */
export function serverOf({ text, host, port, publicKey }: Source): RoughtimeServerEntry {
  const at = (protocol: "udp" | "tcp") => ({ protocol, host, port });
  return { name: text, publicKey: publicKey!, addresses: [at("udp"), at("tcp")] };
}

/** See {@link query}. */
export async function queryRoughtime(host: Host, source: Source, options: Pick<AskOptions, "timeout" | "signal" | "family">): Promise<Sample> {
  const { timeout, signal, family } = options;
  return sampleOf(source.text, await askServer(host, serverOf(source), { timeout, signal, family }), host.clock.precision);
}

/** The sample of a valid answer. `precision` is the local clock's, s. */
export function sampleOf(source: string, exchange: RoughtimeExchange, precision: number): Sample {
  const { answer, endpoint, sentNs, receivedNs, stamps, transport } = exchange;
  const { exports } = (core ??= new Core());
  const midpointNs = answer.midpoint * NS_PER_S;
  const delayNs = receivedNs - sentNs;
  // A server may sign any 64 bits: the bound keeps them within the intervals that the core can compare.
  const offsetNs = clamped(midpointNs - (sentNs + delayNs / 2n));
  const seconds = (ns: bigint) => exports.intervalToSeconds(exports.intervalFromNs(ns));
  const dispersion = RESOLUTION_S + precision + seconds(exports.intervalToNs(exports.driftOver(exports.intervalFromNs(delayNs))));
  const rootDistance = answer.radius + dispersion + Math.abs(seconds(delayNs)) / 2;
  return new Sample({
    source, address: endpoint.address, port: endpoint.port,
    version: answer.version,
    mode: MODE_SERVER, leap: 0, stratum: 0, poll: 0, precision: 0, refid: "",
    offset: Number(offsetNs) / 1e9,
    offsetNs,
    delay: seconds(delayNs),
    dispersion,
    rootDelay: 0,
    rootDispersion: answer.radius,
    rootDistance,
    rootDistanceNs: BigInt(Math.ceil(rootDistance * 1e9)),
    t1: sentNs, t2: midpointNs, t3: midpointNs, t4: receivedNs,
    timestamps: stamps,
    authenticated: true,
    interleaved: false,
    problemBits: 0,
    roughtime: { midpoint: Number(answer.midpoint), radius: answer.radius, transport, notBefore: Number(answer.notBefore), notAfter: Number(answer.notAfter) },
  });
}

const MOST_NS = 2n ** 63n - 1n;

function clamped(ns: bigint): bigint {
  return ns > MOST_NS ? MOST_NS : ns < -MOST_NS ? -MOST_NS : ns;
}
