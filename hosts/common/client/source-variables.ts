// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the core knows of one source, read out of its memory. Tested in discipline.test.ts.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import { kissMeaning, refidText } from "../core/cold.ts";
import { problemsOf, type Problem } from "./problems.ts";

/** What the core knows of one source. */
export interface SourceVariables {
  readonly reach: number;
  readonly poll: number;
  readonly sent: number;
  readonly used: number;
  readonly unfit: number;
  readonly ignored: number;
  readonly kisses: number;
  /** Of those used, in interleaved mode. */
  readonly interleaved: number;
  readonly lastKiss: string;
  readonly lastProblems: readonly Problem[];
  /** The server sent RATE: its poll stays at least this long, log2 s; 0 where it did not. */
  readonly pollFloor: number;
  /** Samples held, and the selection's word; undecided: too few samples, or no majority to agree with. */
  readonly samples: number;
  readonly selection: "survivor" | "selectable" | "falseticker" | "undecided" | "unreachable";
  readonly stratum: number;
  readonly leap: number;
  /** Whom it follows itself, "GPS" or "192.0.2.1", by its last sample; "" where that is not known, as in NTPv5. */
  readonly refid: string;
  /** Offset that is believed of it and its standard deviation, s. */
  readonly offset: number;
  readonly offsetDeviation: number;
  /** Frequency relative to us and its standard deviation, s/s. */
  readonly frequency: number;
  readonly frequencyDeviation: number;
  /** Least delay and jitter of its delays above it, s. */
  readonly delay: number;
  readonly jitter: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  /** When it last told the time, monotonic ns. */
  readonly lastSampleNs: bigint;
  /** Who vouches for its answers. */
  readonly authentication: "none" | "key" | "nts";
  /** With NTS: the AEAD algorithm in force (IANA; 0 without keys), cookies left, and how often the server could not open one. */
  readonly nts?: { readonly aead: number; readonly cookies: number; readonly naks: number };
}

const SURVIVOR = 1;
const UNREACHABLE_AFTER = 8;
/** Samples before a source takes part in the selection (assembly/discipline/combine.ts). */
const FEWEST_SAMPLES = 4;
const AUTHENTICATIONS = ["none", "key", "nts"] as const;

/** `nanoseconds`: the core's monotonic times to ns. */
export function readSource(core: Core, index: number, nanoseconds: (time: bigint) => bigint): SourceVariables {
  return { ...readAssociation(core, index), ...readBelief(core, index, nanoseconds), ...readAuthentication(core, index) };
}

function places(core: Core, index: number) {
  const { exports } = core;
  return {
    association: (name: string) => exports.associationOut(index) + core.constant(`ASSOCIATION_${name}`),
    source: (name: string) => exports.sourceOut(index) + core.constant(`SOURCE_${name}`),
  };
}

function readAssociation(core: Core, index: number) {
  const { view } = core;
  const { association, source } = places(core, index);
  const text = (name: string, stratum: number) => identifierText(view.getUint32(association(name), true), stratum);
  const kiss = text("LAST_KISS", 0);
  const [leap, stratum] = [view.getInt32(source("LEAP"), true), view.getInt32(source("STRATUM"), true)];
  return {
    reach: view.getUint8(association("REACH")),
    poll: view.getInt8(association("HOST_POLL")),
    sent: view.getUint32(association("SENT"), true),
    used: view.getUint32(association("USED"), true),
    unfit: view.getUint32(association("UNFIT"), true),
    ignored: view.getUint32(association("IGNORED"), true),
    kisses: view.getUint32(association("KISSES"), true),
    interleaved: view.getUint32(association("INTERLEAVED"), true),
    lastKiss: kiss && `${kiss}: ${kissMeaning(kiss)}`,
    lastProblems: problemsOf(view.getUint32(association("LAST_PROBLEMS"), true), { leap, stratum, refid: kiss }),
    pollFloor: view.getInt8(association("POLL_FLOOR")),
    stratum,
    leap,
    refid: text("REFID", stratum),
  };
}

/** Without one, the cold surface is not asked: it may never be needed. */
function identifierText(refid: number, stratum: number): string {
  return refid === 0 ? "" : refidText(refid, stratum);
}

function readBelief(core: Core, index: number, nanoseconds: (time: bigint) => bigint) {
  const { view, exports } = core;
  const { association, source } = places(core, index);
  const active = view.getInt32(source("ACTIVE"), true) !== 0 && view.getInt32(association("SILENT"), true) < UNREACHABLE_AFTER;
  const samples = view.getInt32(source("SAMPLES"), true);
  // Before the first sample nothing is believed, and what lies there means nothing.
  const real = (name: string) => (samples === 0 ? 0 : view.getFloat64(source(name), true));
  const survivors = view.getInt32(exports.steeringOut() + core.constant("STEERING_SURVIVORS"), true);
  const selection = samples === 0 ? "undecided" : selectionOf(view.getInt32(source("SELECTION"), true), samples >= FEWEST_SAMPLES && survivors > 0);
  return {
    samples,
    selection: active ? selection : ("unreachable" as const),
    offset: real("OFFSET"),
    offsetDeviation: Math.sqrt(Math.max(0, real("VAR_OFFSET"))),
    frequency: real("FREQUENCY"),
    frequencyDeviation: Math.sqrt(Math.max(0, real("VAR_FREQUENCY"))),
    delay: real("FLOOR"),
    jitter: real("EXCESS"),
    rootDelay: real("ROOT_DELAY"),
    rootDispersion: real("ROOT_DISPERSION"),
    lastSampleNs: samples === 0 ? 0n : nanoseconds(view.getBigUint64(source("WHEN"), true)),
  };
}

function readAuthentication(core: Core, index: number): Pick<SourceVariables, "authentication" | "nts"> {
  const { view, exports } = core;
  const authentication = AUTHENTICATIONS[view.getUint8(places(core, index).association("AUTH"))] ?? "none";
  if (authentication !== "nts") return { authentication };
  const session = (name: string) => view.getInt32(exports.ntsOut(index) + core.constant(`NTS_${name}`), true);
  return { authentication, nts: { aead: session("AEAD"), cookies: session("COOKIES"), naks: session("NAKS") } };
}

/** The core's word for people. `judged`: there was something to judge the source by. */
function selectionOf(selection: number, judged: boolean): SourceVariables["selection"] {
  if (selection === SURVIVOR) return "survivor";
  if (selection !== 0) return "selectable";
  return judged ? "falseticker" : "undecided";
}
