// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What `ntpq` is told (mode 6, RFC 9327): read status and read variables, of the system and of its sources. Nothing can be set.
 *
 * The core says which datagrams are requests from who may ask, and frames the answers; here is their text. An answer may be
 * much longer than its request, so this is off, and when on, for loopback addresses unless told otherwise; no answer has more
 * than eight fragments, and no second sees more than 250 answers. Tested in control.test.ts and with ntpq in tests/interop.
 *
 * @module
 */

import type { Core } from "../core/core.ts";
import { refidText } from "../core/cold.ts";

/** A source as `ntpq -p` shows it. Times in s. */
export interface ControlSource {
  readonly address: string;
  readonly port?: number;
  /** As written by whoever configured it. */
  readonly name?: string;
  /** Its own reference, 32 bits; 0: not known. */
  readonly refid: number;
  readonly stratum: number;
  readonly leap: number;
  /** Ours and its, 1..7. Default 3 and 4. */
  readonly mode?: number;
  readonly peerMode?: number;
  /** log2 s */
  readonly poll: number;
  readonly peerPoll?: number;
  readonly precision?: number;
  /** The last eight requests, a bit each. */
  readonly reach: number;
  readonly offset: number;
  readonly delay: number;
  readonly dispersion?: number;
  readonly jitter: number;
  readonly rootDelay: number;
  readonly rootDispersion: number;
  /** When its last answer came, ns since 1970; absent: never. */
  readonly receivedNs?: bigint;
  readonly authenticated?: boolean;
  readonly selection: ControlSelection;
}

/** What selection made of a source; the tally of `ntpq -p`. */
export type ControlSelection = "reject" | "falseticker" | "excess" | "outlier" | "candidate" | "backup" | "peer" | "pps";

/** What a server can say beyond its own answers. */
export interface ControlReport {
  readonly sources?: readonly ControlSource[];
  /** s */
  readonly offset?: number;
  readonly jitter?: number;
  readonly frequencyPpm?: number;
  readonly wanderPpm?: number;
  /** log2 s */
  readonly poll?: number;
}

export interface ControlOptions {
  /** From where control messages are answered: addresses and prefixes. Default loopback. */
  readonly allow?: readonly string[];
  /** What is reported; asked at each request. */
  readonly report?: () => ControlReport;
}

/** Answers a second, at most. */
const ANSWERS_PER_SECOND = 250;
const FRAGMENT = 468;
/** An answer has no more octets of text. */
const MOST = 8 * FRAGMENT;
const HEADER = 12;

const READ_STATUS = 1;
const READ_VARIABLES = 2;
// Error codes, RFC 9327 §3.
const INVALID_OPCODE = 3;
const UNKNOWN_ASSOCIATION = 4;
const UNKNOWN_VARIABLE = 5;

const SELECTIONS: Record<ControlSelection, number> = { reject: 0, falseticker: 1, excess: 2, outlier: 3, candidate: 4, backup: 5, peer: 6, pps: 7 };
// Bits of a peer status word.
const CONFIGURED = 0x8000;
const AUTHENTICATED = 0x6000;
const REACHABLE = 0x1000;
/** Clock source of the system status word: an NTP server; unspecified. */
const SYNCHRONISED_BY_NTP = 6 << 8;

type Variables = readonly (readonly [name: string, value: string])[];
const CONTROL = ["VERSION", "OPCODE", "SEQUENCE", "ASSOCIATION", "COUNT", "STATUS", "OFFSET", "MORE", "ERROR"] as const;
const SERVER = ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME"] as const;

interface Answer {
  readonly status: number;
  readonly data: Uint8Array;
  readonly error?: true;
}

/** Answers control messages that lie in the slot of a core. */
export class ControlResponder {
  readonly #core: Core;
  readonly #report: () => ControlReport;
  readonly #now: () => bigint;
  readonly #control: Record<(typeof CONTROL)[number], number>;
  readonly #server: Record<(typeof SERVER)[number], number>;
  #second = 0n;
  #answers = 0;

  /** `now`: the served clock, ns since 1970. */
  constructor(core: Core, now: () => bigint, report: () => ControlReport = () => ({})) {
    this.#core = core;
    this.#now = now;
    this.#report = report;
    this.#control = core.fields("CONTROL", CONTROL);
    this.#server = core.fields("SERVER", SERVER);
  }

  /** The answer to the `length` octets at `at`, in fragments; none where it is no request or there were too many. */
  answer(at: number, length: number): Uint8Array[] {
    const { exports, view, bytes } = this.#core;
    if (!this.#mayAnswer() || exports.readControl(at, length, this.#core.constant("CONTROL")) === 0) return [];
    const read = (field: (typeof CONTROL)[number]) => view.getInt32(this.#control[field], true);
    const text = new TextDecoder().decode(bytes.slice(at + HEADER, at + HEADER + read("COUNT")));
    return this.#fragments(at, this.#contents(read("OPCODE"), read("ASSOCIATION"), text));
  }

  #mayAnswer(): boolean {
    const second = this.#now() / 1_000_000_000n;
    if (second !== this.#second) this.#answers = 0;
    this.#second = second;
    return this.#answers++ < ANSWERS_PER_SECOND;
  }

  #contents(opcode: number, association: number, list: string): Answer {
    const report = this.#report();
    const sources = report.sources ?? [];
    const source = association === 0 ? undefined : sources[association - 1];
    if (association !== 0 && !source) return failure(UNKNOWN_ASSOCIATION);
    const status = source ? peerStatus(source) : this.#systemStatus();
    if (opcode === READ_STATUS && !source) return { status, data: associations(sources) };
    if (opcode !== READ_STATUS && opcode !== READ_VARIABLES) return failure(INVALID_OPCODE);
    const all = source ? peerVariables(source) : this.#systemVariables(report);
    const chosen = chooseVariables(all, opcode === READ_STATUS ? "" : list);
    return chosen ? { status, data: textOf(chosen) } : failure(UNKNOWN_VARIABLE);
  }

  #fragments(at: number, { status, data, error }: Answer): Uint8Array[] {
    const { exports, view, bytes } = this.#core;
    const set = (field: (typeof CONTROL)[number], value: number) => view.setInt32(this.#control[field], value, true);
    const fragments: Uint8Array[] = [];
    for (let offset = 0; offset === 0 || offset < data.length; offset += FRAGMENT) {
      const part = data.subarray(offset, offset + FRAGMENT);
      bytes.set(part, at + HEADER);
      set("STATUS", status);
      set("ERROR", error ? 1 : 0);
      set("OFFSET", offset);
      set("COUNT", part.length);
      set("MORE", offset + FRAGMENT < data.length ? 1 : 0);
      fragments.push(bytes.slice(at, at + exports.writeControl(at, this.#core.constant("CONTROL"))));
    }
    return fragments;
  }

  #own() {
    const { view } = this.#core;
    const at = this.#server;
    const stratum = view.getUint8(at.STRATUM);
    const synchronised = stratum > 0 && stratum < 16;
    const leap = synchronised ? view.getUint8(at.LEAP) : 3;
    return { synchronised, leap, stratum: synchronised ? stratum : 16, refid: synchronised ? view.getUint32(at.REFID, true) : 0x494e4954 };
  }

  #systemStatus(): number {
    const { leap, synchronised } = this.#own();
    return (leap << 14) | (synchronised ? SYNCHRONISED_BY_NTP : 0);
  }

  #systemVariables({ sources = [], offset, jitter, frequencyPpm, wanderPpm, poll }: ControlReport): Variables {
    const core = this.#core;
    const { leap, stratum, refid } = this.#own();
    const at = this.#server;
    const ms = (address: number) => milliseconds(core.exports.intervalToSeconds(core.i64(address)));
    const peer = 1 + sources.findIndex(({ selection }) => selection === "peer" || selection === "pps");
    return [
      ["version", quoted("escapement")],
      ["leap", String(leap)],
      ["stratum", String(stratum)],
      ["precision", String(core.view.getInt8(at.PRECISION))],
      ["rootdelay", ms(at.ROOT_DELAY)],
      ["rootdisp", ms(at.ROOT_DISPERSION)],
      ["refid", refidText(refid, stratum === 16 ? 0 : stratum)],
      ["reftime", stamp(core.u64(at.REFERENCE_TIME))],
      ["clock", stamp(BigInt.asUintN(64, core.exports.timestampFromUnixNs(this.#now())))],
      ["peer", String(peer)],
      ...(poll === undefined ? [] : ([["tc", String(poll)]] as const)),
      ...(offset === undefined ? [] : ([["offset", milliseconds(offset)]] as const)),
      ...(frequencyPpm === undefined ? [] : ([["frequency", frequencyPpm.toFixed(3)]] as const)),
      ...(jitter === undefined ? [] : ([["sys_jitter", milliseconds(jitter)]] as const)),
      ...(wanderPpm === undefined ? [] : ([["clk_wander", wanderPpm.toFixed(3)]] as const)),
    ];
  }
}

function failure(code: number): Answer {
  return { status: code << 8, data: new Uint8Array(0), error: true };
}

/** Identifier and status word of each source, in one fragment. */
function associations(sources: readonly ControlSource[]): Uint8Array {
  const told = sources.slice(0, FRAGMENT / 4);
  const view = new DataView(new ArrayBuffer(told.length * 4));
  told.forEach((source, index) => {
    view.setUint16(index * 4, index + 1);
    view.setUint16(index * 4 + 2, peerStatus(source));
  });
  return new Uint8Array(view.buffer);
}

function peerStatus({ selection, reach, authenticated }: ControlSource): number {
  return CONFIGURED | (authenticated ? AUTHENTICATED : 0) | (reach !== 0 ? REACHABLE : 0) | (SELECTIONS[selection] << 8);
}

function peerVariables(source: ControlSource): Variables {
  const { address, reach, poll } = source;
  return [
    ["srcadr", address],
    ["srcport", String(source.port ?? 123)],
    ["srchost", quoted(source.name ?? address)],
    ["dstadr", address.includes(":") ? "::" : "0.0.0.0"],
    ["leap", String(source.leap & 3)],
    ["stratum", String(source.stratum)],
    ["precision", String(source.precision ?? -20)],
    ["rootdelay", milliseconds(source.rootDelay)],
    ["rootdisp", milliseconds(source.rootDispersion)],
    // Not known: as text, or the columns of ntpq -p would shift.
    ["refid", source.refid === 0 ? "0.0.0.0" : refidText(source.refid, source.stratum > 15 ? 0 : source.stratum)],
    // Not known, but ntpq reads its own memory where it is missing.
    ["reftime", stamp(0n)],
    ["rec", stamp(source.receivedNs === undefined ? 0n : ntpTime(source.receivedNs))],
    ["reach", `0x${(reach & 0xff).toString(16).padStart(2, "0")}`],
    ["unreach", String(reach === 0 ? 1 : 0)],
    ["hmode", String(source.mode ?? 3)],
    ["pmode", String(source.peerMode ?? 4)],
    ["hpoll", String(poll)],
    ["ppoll", String(source.peerPoll ?? poll)],
    ["offset", milliseconds(source.offset)],
    ["delay", milliseconds(source.delay)],
    ["dispersion", milliseconds(source.dispersion ?? 0)],
    ["jitter", milliseconds(source.jitter)],
  ];
}

/** Those of `list` ("leap,stratum"), in its order; all for an empty one; undefined when one is not there. */
function chooseVariables(all: Variables, list: string): Variables | undefined {
  const names = list.split(",").map((part) => part.replace(/[\s\0]+|=.*$/g, "")).filter((name) => name !== "");
  if (names.length === 0) return all;
  const chosen = names.map((name) => all.find(([known]) => known === name));
  return chosen.every((variable) => variable !== undefined) ? chosen : undefined;
}

/** `name=value, …` with line ends where an answer would become too long for a terminal; cut between variables, if ever. */
function textOf(variables: Variables): Uint8Array {
  let text = "";
  let line = 0;
  for (const [name, value] of variables) {
    const item = `${name}=${value}`;
    const glue = text === "" ? "" : line + item.length > 72 ? ",\r\n" : ", ";
    if (text.length + glue.length + item.length + 2 > MOST) break;
    line = glue === ", " ? line + glue.length + item.length : item.length;
    text += glue + item;
  }
  return new TextEncoder().encode(`${text}\r\n`).subarray(0, MOST);
}

/** What cannot end the quotes, or the line. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]|["\\,]/g, "?").slice(0, 128)}"`;
}

function milliseconds(seconds: number): string {
  return (seconds * 1000).toFixed(6);
}

function stamp(timestamp: bigint): string {
  return `0x${(timestamp >> 32n).toString(16).padStart(8, "0")}.${(timestamp & 0xffff_ffffn).toString(16).padStart(8, "0")}`;
}

/** ns since 1970 as a timestamp. */
function ntpTime(ns: bigint): bigint {
  const seconds = ns / 1_000_000_000n;
  return BigInt.asUintN(64, ((seconds + 2_208_988_800n) << 32n) | (((ns - seconds * 1_000_000_000n) << 32n) / 1_000_000_000n));
}
