// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the daemon knows, as plain data: what the observation socket tells and `--json` prints, and what our server says.
 *
 * Names are the vocabulary's. Seconds, except where the name has a unit; positive offsets: the source is ahead, the clock
 * is behind. What is not known is null. Tested in report.test.ts.
 *
 * @module
 */

import type { Engine, SourceState, TrackingState } from "../hosts/common/client/engine.ts";
import { parseSource } from "../hosts/common/client/source.ts";
import { isRefClock } from "../hosts/common/refclock/open.ts";
import type { ClockMode, DaemonConfig, SourceMode } from "./config.ts";
import type { UpdateHistory } from "./history.ts";
import { isAddress, refidHex, refidOf } from "./refid.ts";

/** The clock. */
export interface TrackingReport {
  /** What is steered: the system clock, a virtual one, or nothing ("observe"). */
  readonly mode: ClockMode;
  readonly synchronised: boolean;
  /** Eight hexadecimal digits; "00000000" while not synchronised. */
  readonly refid: string;
  /** Whom the clock follows: the system peer's address, and how it was configured. */
  readonly address: string | null;
  readonly source: string | null;
  /** 1..15, 16 while not synchronised. */
  readonly stratum: number;
  /** 0 none, 1 insert, 2 delete, 3 not synchronised. */
  readonly leap: number;
  /** When the clock was last compared with the system peer, ns since 1970. */
  readonly referenceTime: string | null;
  /** What the clock is still off by; in mode "observe" what the system clock is off by. */
  readonly offset: number | null;
  readonly lastOffset: number | null;
  readonly rmsOffset: number | null;
  /** What makes up for the oscillator: positive where it runs slow. */
  readonly frequencyPpm: number;
  /** What the system peer says is still missing of it. */
  readonly residualFrequencyPpm: number | null;
  /** Its standard deviation. */
  readonly skewPpm: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly updateInterval: number | null;
  /** No error of the clock is greater. */
  readonly uncertainty: number | null;
  readonly survivors: number;
  /** log2 s */
  readonly poll: number;
}

/** A source's part in it. */
export interface SourceReport {
  readonly source: string;
  /** Of a reference clock. */
  readonly name?: string;
  readonly address: string | null;
  /** How it tells the time. Who peers with us unasked is "symmetric", too. */
  readonly mode: SourceMode | "refclock";
  /** chrony's: "*" system peer, "+" combined with it, "-" not combined, "x" falseticker, "?" not (yet) usable. */
  readonly state: "*" | "+" | "-" | "x" | "?";
  readonly selection: string;
  readonly stratum: number;
  readonly leap: number;
  /** Whom it follows itself: a code at stratum 1, an IPv4 address above; null where that is not known, as in NTPv5. */
  readonly refid: string | null;
  readonly poll: number;
  /** The last eight requests, a bit each, the newest lowest. */
  readonly reach: number;
  /** s since it last told the time. */
  readonly lastSample: number | null;
  /** What is believed of it, and its bound. */
  readonly offset: number | null;
  readonly rootDistance: number | null;
  readonly delay: number | null;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly sent: number;
  readonly used: number;
  /** Of those used, the ones in interleaved mode. */
  readonly interleaved: number;
  /** Who vouches for its answers: "none", "key" or "nts"; with NTS the keys in force. */
  readonly authentication: SourceState["authentication"];
  readonly nts?: SourceState["nts"];
  readonly unfit: number;
  readonly ignored: number;
  readonly kisses: number;
  readonly lastKiss: string;
  /** Why its last answer was unfit: "test1: …". */
  readonly problems: readonly string[];
  readonly lastError: string | null;
}

/** What its samples say. */
export interface SourcestatsReport {
  readonly source: string;
  readonly name?: string;
  readonly address: string | null;
  readonly samples: number;
  /** Relative to our clock, and its standard deviation. */
  readonly frequencyPpm: number | null;
  readonly skewPpm: number | null;
  readonly offset: number | null;
  readonly offsetDeviation: number | null;
  /** Least delay, and what delays exceed it by on average. */
  readonly delay: number | null;
  readonly jitter: number | null;
}

/** What our server says of the clock. */
export interface ServedState {
  readonly leap: 0 | 1 | 2;
  /** Undefined: not synchronised. */
  readonly stratum: number | undefined;
  readonly refid: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly referenceNs: bigint;
  /** NTPv5's reference identifiers. */
  readonly referenceIds?: Uint8Array;
}

/** Everything that observers are told, at one moment. */
export interface Snapshot {
  readonly tracking: TrackingReport;
  readonly sources: readonly SourceReport[];
  readonly sourcestats: readonly SourcestatsReport[];
}

/** What a snapshot is made from. */
export interface Watched {
  readonly mode: ClockMode;
  readonly engine: Pick<Engine, "tracking" | "sources">;
  readonly modes: SourceModes;
  readonly history: UpdateHistory;
  /** The steered clock, and the host's own, ns since 1970. */
  readonly now: () => bigint;
  readonly wallNow: () => bigint;
}

/** What mode each source has: as configured, and symmetric if it was not configured at all but came by itself. */
export class SourceModes {
  readonly #configured: ReadonlyMap<string, SourceMode>;

  constructor(sources: readonly Pick<DaemonConfig["sources"][number], "source" | "mode">[]) {
    this.#configured = new Map(sources.map(({ source, mode = "client" }) => [parseSource(source).text, mode]));
  }

  of(source: string): SourceReport["mode"] {
    if (isRefClock(source)) return "refclock";
    return this.#configured.get(source) ?? "symmetric";
  }
}

const STRATUM_UNSYNCHRONISED = 16;
const PPM = 1e6;

/** What a server of ours is to say; of all the sources it takes only the one that is followed. */
export function takeServed(engine: Pick<Engine, "tracking" | "systemPeer" | "referenceIds">, nowNs: bigint): ServedState {
  const state = engine.tracking();
  const told = servedState(state, refidOfState(state), state.local ? nowNs : referenceTime(state, engine.systemPeer(), nowNs));
  return { ...told, referenceIds: engine.referenceIds() };
}

/** When the clock was last compared with the system peer, ns since 1970. */
function referenceTime({ synchronised }: TrackingState, peer: SourceState | undefined, nowNs: bigint): bigint | undefined {
  return synchronised && peer?.lastSample !== undefined ? nowNs - BigInt(Math.round(peer.lastSample * 1e9)) : undefined;
}

function refidOfState({ synchronised, local, refid }: TrackingState): number {
  return synchronised || local ? refidOf(refid) : 0;
}

export function takeSnapshot({ mode, engine, modes, history, now, wallNow }: Watched): Snapshot {
  const state = engine.tracking();
  const sources = engine.sources();
  const peer = sources.find(({ isPeer }) => isPeer);
  const nowNs = now();
  const referenceNs = referenceTime(state, peer, nowNs);
  const offset = mode === "observe" ? Number(nowNs - wallNow()) / 1e9 + state.offset : state.offset;
  return {
    tracking: {
      mode,
      synchronised: state.synchronised,
      refid: refidHex(refidOfState(state)),
      address: isAddress(state.refid) ? state.refid : null,
      source: peer?.source ?? null,
      stratum: state.stratum,
      leap: state.leap,
      referenceTime: referenceNs === undefined ? null : String(referenceNs),
      offset: state.synchronised ? offset : null,
      lastOffset: history.lastOffset ?? null,
      rmsOffset: history.rmsOffset ?? null,
      frequencyPpm: state.frequencyPpm,
      residualFrequencyPpm: peer ? peer.frequency * PPM : null,
      skewPpm: state.skewPpm,
      rootDelay: state.rootDelay,
      rootDispersion: state.rootDispersion,
      updateInterval: history.updateInterval ?? null,
      uncertainty: finite(state.uncertainty),
      survivors: state.survivors,
      poll: state.poll,
    },
    sources: sources.map((source) => sourceReport(source, modes.of(source.source))),
    sourcestats: sources.map(sourcestatsReport),
  };
}

/** JSON knows no Infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function sourceReport(source: SourceState, mode: SourceReport["mode"]): SourceReport {
  const { samples, name, watched, offset, offsetDeviation, delay, rootDelay, rootDispersion } = source;
  const measured = samples > 0;
  return {
    source: source.source,
    ...(name === undefined ? {} : { name }),
    address: source.address ?? null,
    mode,
    state: stateOf(source),
    selection: source.selection,
    stratum: source.stratum,
    leap: source.leap,
    refid: source.refid || null,
    poll: source.poll,
    reach: source.reach,
    lastSample: measured || watched ? (source.lastSample ?? null) : null,
    offset: measured ? finite(offset) : (watched?.offset ?? null),
    rootDistance: measured ? finite((rootDelay + delay) / 2 + rootDispersion + offsetDeviation) : (watched?.bound ?? null),
    delay: measured ? finite(delay) : null,
    rootDelay,
    rootDispersion,
    sent: source.sent,
    used: source.used,
    interleaved: source.interleaved,
    authentication: source.authentication,
    ...(source.nts ? { nts: source.nts } : {}),
    unfit: source.unfit,
    ignored: source.ignored,
    kisses: source.kisses,
    lastKiss: source.lastKiss,
    problems: source.lastProblems.map(({ test, message }) => `${test}: ${message}`),
    lastError: source.lastError ?? null,
  };
}

function stateOf({ isPeer, selection, samples }: SourceState): SourceReport["state"] {
  if (samples === 0) return "?";
  if (selection === "survivor") return isPeer ? "*" : "+";
  return selection === "selectable" ? "-" : selection === "falseticker" ? "x" : "?";
}

function sourcestatsReport({ source, name, address, samples, ...known }: SourceState): SourcestatsReport {
  const told = (value: number) => (samples > 0 ? finite(value) : null);
  return {
    source,
    ...(name === undefined ? {} : { name }),
    address: address ?? null,
    samples,
    frequencyPpm: told(known.frequency * PPM),
    skewPpm: told(known.frequencyDeviation * PPM),
    offset: told(known.offset),
    offsetDeviation: told(known.offsetDeviation),
    delay: told(known.delay),
    jitter: told(known.jitter),
  };
}

/** A clock that has lost its sources stays synchronised, ever less certain, until its root dispersion cannot be told. */
function servedState({ synchronised, local, stratum, leap, rootDelay, rootDispersion }: TrackingState, refid: number, referenceNs: bigint | undefined): ServedState {
  const told = (synchronised || local) && stratum < STRATUM_UNSYNCHRONISED && referenceNs !== undefined && rootDelay < 16 && rootDispersion < 16;
  return {
    leap: leap === 1 || leap === 2 ? leap : 0,
    stratum: told ? stratum : undefined,
    refid,
    rootDelay: told ? Math.max(0, rootDelay) : 0,
    rootDispersion: told ? Math.max(0, rootDispersion) : 0,
    referenceNs: referenceNs ?? 0n,
  };
}
