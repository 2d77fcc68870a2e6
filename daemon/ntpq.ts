// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What `ntpq` is told of a daemon that serves, with `control`: the newest snapshot in the words of mode 6.
 *
 * A source that never answered has the reference "INIT", as ntpd has it; a reference clock has an address of those that ntpd
 * gives to such, 127.127.0.N. Tested in ntpq.test.ts, and with the programs in tests/interop/ntpq-daemon.test.ts.
 *
 * @module
 */

import type { ControlReport, ControlSelection, ControlSource } from "../hosts/common/server/control.ts";
import type { Snapshot, SourceReport, SourcestatsReport } from "./report.ts";
import { refidOf } from "./refid.ts";

const UNSYNCHRONISED = 16;
const NEVER_HEARD = "INIT";
/** Modes 3 and 4: client and server; 1: symmetric active; 5: broadcast. */
const MODES: Record<SourceReport["mode"], readonly [ours: number, theirs: number]> = { client: [3, 4], refclock: [3, 4], symmetric: [1, 1], broadcast: [6, 5] };
const SELECTIONS: Record<SourceReport["state"], ControlSelection> = { "*": "peer", "+": "candidate", "-": "outlier", x: "falseticker", "?": "reject" };

/** `nowNs`: of the clock that is served. */
export function controlReport({ tracking, sources, sourcestats }: Snapshot, nowNs: bigint): ControlReport {
  const { offset, rmsOffset, frequencyPpm, skewPpm, poll } = tracking;
  return {
    sources: sources.map((source, index) => controlSource(source, sourcestats[index], { index, nowNs })),
    frequencyPpm,
    wanderPpm: skewPpm,
    poll,
    ...(offset !== null && { offset }),
    ...(rmsOffset !== null && { jitter: rmsOffset }),
  };
}

/** Snapshots name a place as its owner would write it, "192.0.2.1:123" or "[2001:db8::1]:123"; ntpq wants the two apart. */
function placeOf(text: string | null): Pick<ControlSource, "address" | "port"> | undefined {
  if (text === null) return undefined;
  const [, six, four, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  return port === undefined ? { address: text } : { address: six ?? four ?? text, port: Number(port) };
}

function controlSource(source: SourceReport, stats: SourcestatsReport | undefined, { index, nowNs }: { readonly index: number; readonly nowNs: bigint }): ControlSource {
  const [mode, peerMode] = MODES[source.mode];
  const measured = source.lastSample !== null;
  return {
    ...(placeOf(source.address) ?? { address: `127.127.0.${index}` }),
    name: source.source,
    refid: refidOf(source.refid ?? (measured ? "" : NEVER_HEARD)),
    stratum: measured ? source.stratum : UNSYNCHRONISED,
    leap: measured ? source.leap : 3,
    mode,
    peerMode,
    poll: source.poll,
    reach: source.reach,
    offset: source.offset ?? 0,
    delay: source.delay ?? 0,
    jitter: stats?.jitter ?? 0,
    rootDelay: source.rootDelay,
    rootDispersion: source.rootDispersion,
    authenticated: source.authentication !== "none",
    selection: SELECTIONS[source.state],
    ...(source.lastSample !== null && { receivedNs: nowNs - BigInt(Math.round(source.lastSample * 1e9)) }),
  };
}
