// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host's side of the core's server: fills its state, lends it a slot and the time, takes the reply.
 * Tested in serve.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { Core } from "../core/core.ts";
import { refidFromText } from "../core/cold.ts";
import type { Endpoint, Host } from "../host.ts";
import { addressNumber } from "./address.ts";
import { clientsOf, countersOf, type ClientState, type ServerCounters } from "./clients.ts";
import { ControlResponder, type ControlReport } from "./control.ts";
import { changeFeatures, installFeatures, needsSender, type CheckedFeatures } from "./features.ts";
import { NtsCookies, type CookieKeySet } from "./ntscookies.ts";
import { LeapPlanner, type SmearOptions } from "./smear.ts";
import { carry, type ClockReading } from "./reading.ts";

/** What the server says of its own time; checked by the caller. */
export interface ServerState {
  readonly stratum: number | undefined;
  readonly leap: number;
  /** s */
  readonly rootDelay: number;
  readonly rootDispersion: number;
  /** s */
  readonly precision: number;
  /** As a text, or its 32 bits. */
  readonly refid: string | number | undefined;
  readonly kiss: string | undefined;
  /** When its clock was last set or corrected, ns since 1970; absent: it is right by decree, always. */
  readonly referenceNs?: bigint | undefined;
  /** When the leap second comes, ns since 1970, where that is known. */
  readonly leapAtNs?: bigint | undefined;
  /** How fast root dispersion grows after this was told, s/s, and the root distance beyond which the clock is not synchronised. */
  readonly dispersionRate?: number | undefined;
  readonly maxDistance?: number | undefined;
  /** TAI − UTC, s, where it is known: NTPv5 clients may ask for TAI. */
  readonly taiOffset?: number | undefined;
  /** UT1 − UTC, s, likewise. */
  readonly ut1Offset?: number | undefined;
  /** NTPv5's reference identifiers, ours and those of all that the clock follows: 512 octets. */
  readonly referenceIds?: Uint8Array | undefined;
}

/** What a server does beyond telling the time, checked. */
export interface ServerExtras {
  readonly features: CheckedFeatures;
  readonly smear: Required<SmearOptions> | undefined;
  readonly report: (() => ControlReport) | undefined;
  readonly random: Host["random"];
  /** What NTPv5's reference identifier is made of, where several answer as one server; else it is drawn. */
  readonly identity?: Uint8Array | undefined;
}

/** How often the reference time of a clock that is right by decree is renewed. */
const REFERENCE_INTERVAL_NS = 16_000_000_000n;
const UNSYNCHRONISED = 16;
/** Octets that NTPv5's reference identifier is chosen from, and of the filter of them. */
export const REFERENCE_ID_RANDOM = 64;
const REFERENCE_IDS_OCTETS = 512;

/** PHI of RFC 5905 §7.1: what a clock's frequency may be off by, s/s. */
const DISPERSION_RATE = 15e-6;
/** Root distance beyond which clients would not take us for synchronised, s. */
const MAX_DISTANCE = 3;
/** How long before a leap second whose moment is known it is announced, s. */
const LEAP_WINDOW = 86_400;

const SERVER_FIELDS = ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME", "MONO_EPOCH", "MONO_OFFSET",
  "UPDATED", "GROWTH", "MAXIMUM_DISTANCE", "LEAP_AT", "LEAP_WINDOW", "SMEAR_LENGTH", "SMEAR_SHAPE", "SMEAR_LEAP", "TAI_OFFSET", "UT1_KNOWN", "UT1_OFFSET"] as const;
const SLOT_FIELDS = ["LENGTH", "RECEIVED", "HIGH", "LOW", "PORT", "KNOWN", "STAMP_WANTED", "CONTROL"] as const;
/** Where an answer says when its request came. */
const AT_RECEIVE = 32;

/** One server over one instance of the core. */
export class ServerCore {
  /** Its own; others may lay packets out in it, too. */
  readonly core = new Core();
  readonly #core = this.core;
  readonly #clock: () => bigint;
  readonly #slot: number;
  readonly #server: number;
  readonly #slotSize: number;
  readonly #at: Record<(typeof SERVER_FIELDS)[number], number>;
  readonly #kiss: number | undefined;
  readonly #of: Record<(typeof SLOT_FIELDS)[number], number>;
  readonly #extras: ServerExtras | undefined;
  readonly #planner: LeapPlanner;
  readonly #control: ControlResponder | undefined;
  #cookies: NtsCookies | undefined;
  #senders = false;
  #decreed = true;
  #reading: ClockReading | undefined;
  #referenceNs = 0n;

  constructor(state: ServerState, clock: () => bigint, extras?: ServerExtras) {
    const core = this.#core;
    const { view } = core;
    this.#clock = clock;
    this.#slot = core.constant("SLOTS");
    this.#slotSize = core.constant("SLOT_STRIDE_OCTETS");
    this.#server = core.constant("SERVER");
    this.#kiss = state.kiss === undefined ? undefined : refidFromText(state.kiss);
    this.#at = core.fields("SERVER", SERVER_FIELDS);
    // This server's clock may be stepped by others unseen, so its "monotonic" time makes no promise: epoch 0.
    view.setUint32(this.#at.MONO_EPOCH, 0, true);
    view.setBigInt64(this.#at.MONO_OFFSET, 0n, true);
    this.#of = core.fields("SLOT_TABLE", SLOT_FIELDS, "SLOT");
    this.#extras = extras;
    this.#planner = new LeapPlanner(extras?.smear);
    this.#control = extras?.features.control && new ControlResponder(core, clock, extras.report);
    if (extras) {
      core.bytes.set(extras.identity ?? extras.random(new Uint8Array(REFERENCE_ID_RANDOM)), core.constant("SCRATCH"));
      core.exports.referenceIdChoose(core.constant("SCRATCH"));
      installFeatures(core, extras.features, extras.random);
      this.#senders = needsSender(extras.features);
    }
    this.update(state);
  }

  /** Change what can be changed at work; all at once. */
  configure(features: Omit<CheckedFeatures, "interleaved" | "control">): void {
    if (!this.#extras) return;
    changeFeatures(this.#core, features, this.#extras.random);
    this.#senders = true;
  }

  /** Answer NTS requests whose cookies are under these keys; the first call makes this an NTS server. @throws {NtpError} `INVALID_ARGUMENT` */
  holdCookieKeys({ generations, current }: CookieKeySet): void {
    if (!this.#extras) return;
    const cookies = this.#cookies ?? new NtsCookies(this.#core, this.#extras.random);
    cookies.setKeys(generations, current);
    if (!this.#cookies) cookies.seed();
    this.#cookies = cookies;
  }

  get counters(): ServerCounters {
    return countersOf(this.#core);
  }

  clients(): ClientState[] {
    return clientsOf(this.#core, this.#core.exports.timestampFromUnixNs(this.#clock()));
  }

  /** What the replies from now on say. @throws {NtpError} `INVALID_ARGUMENT` */
  update(state: Omit<ServerState, "kiss">): void {
    const { view, exports } = this.#core;
    const at = this.#at;
    const refid = refidOf(state);
    const now = this.#clock();
    view.setUint8(at.STRATUM, state.stratum ?? UNSYNCHRONISED);
    view.setInt8(at.PRECISION, Math.max(-32, Math.min(0, Math.round(Math.log2(state.precision)))));
    view.setUint32(at.REFID, refid, true);
    view.setBigInt64(at.ROOT_DELAY, exports.intervalFromSeconds(state.rootDelay), true);
    view.setBigInt64(at.ROOT_DISPERSION, exports.intervalFromSeconds(state.rootDispersion), true);
    view.setInt32(at.TAI_OFFSET, state.taiOffset ?? 0, true);
    view.setUint8(at.UT1_KNOWN, state.ut1Offset === undefined ? 0 : 1);
    this.#core.setI64(at.UT1_OFFSET, exports.intervalFromSeconds(state.ut1Offset ?? 0));
    if (state.referenceIds?.length === REFERENCE_IDS_OCTETS) this.#core.bytes.set(state.referenceIds, this.#core.constant("REFERENCE_IDS"));
    this.#decreed = state.referenceNs === undefined;
    this.#planLeap(state, now);
    // A clock that is right by decree stays as good as was said; any other gets worse until it is corrected again.
    const distance = state.maxDistance ?? (this.#decreed ? 0 : MAX_DISTANCE);
    this.#core.setU64(at.UPDATED, exports.timestampFromUnixNs(now));
    view.setFloat64(at.GROWTH, state.dispersionRate ?? (this.#decreed ? 0 : DISPERSION_RATE), true);
    this.#core.setI64(at.MAXIMUM_DISTANCE, exports.intervalFromSeconds(distance));
    if (state.referenceNs !== undefined) this.#refer(state.referenceNs);
  }

  #planLeap(state: Pick<ServerState, "leap" | "leapAtNs">, nowNs: bigint): void {
    const core = this.#core;
    const at = this.#at;
    const { leap, atNs, shape, seconds } = this.#planner.plan(state.leap as 0 | 1 | 2, state.leapAtNs, nowNs);
    core.view.setUint8(at.LEAP, shape === 0 ? leap : 0);
    core.setU64(at.LEAP_AT, atNs === undefined ? 0n : core.exports.timestampFromUnixNs(atNs));
    core.setI64(at.LEAP_WINDOW, core.exports.intervalFromSeconds(LEAP_WINDOW));
    core.setI64(at.SMEAR_LENGTH, core.exports.intervalFromSeconds(seconds));
    core.view.setUint8(at.SMEAR_SHAPE, atNs === undefined ? 0 : shape);
    core.view.setUint8(at.SMEAR_LEAP, leap);
  }

  /** The reply to a datagram, valid until the next call, or undefined where none is due. `receivedNs`: when it came. */
  answer(data: Uint8Array, receivedNs: bigint = this.#clock(), from?: Endpoint): Uint8Array | undefined {
    const { bytes, exports } = this.#core;
    if (data.length > this.#slotSize) return undefined;
    bytes.set(data, this.#slot);
    this.renew(receivedNs);
    if (this.#kiss !== undefined) {
      const length = exports.respondKiss(this.#slot, data.length, this.#kiss);
      return length === 0 ? undefined : bytes.subarray(this.#slot, this.#slot + length);
    }
    this.#describe(data.length, receivedNs, this.#senders ? from : undefined);
    const length = exports.answerSlot(0, this.#server);
    if (length <= 0) return undefined;
    exports.finishSlot(0, exports.timestampFromUnixNs(this.#clock()), this.#server);
    return bytes.subarray(this.#slot, this.#slot + length);
  }

  /** Tell the core of the datagram in the slot. */
  #describe(length: number, receivedNs: bigint, from: Endpoint | undefined): void {
    const { view, exports } = this.#core;
    const of = this.#of;
    const address = from && addressNumber(from.address);
    view.setInt32(of.LENGTH, length, true);
    view.setBigInt64(of.RECEIVED, exports.timestampFromUnixNs(receivedNs), true);
    view.setUint8(of.KNOWN, address ? 1 : 0);
    if (!address) return;
    view.setBigUint64(of.HIGH, address.high, true);
    view.setBigUint64(of.LOW, address.low, true);
    view.setUint32(of.PORT, from.port, true);
  }

  /** After `answer` gave none: what is due to a control message, in fragments; none where it was none. */
  controlAnswers(): Uint8Array[] {
    const length = this.#core.view.getInt32(this.#of.CONTROL, true);
    if (length === 0 || !this.#control) return [];
    this.#core.view.setInt32(this.#of.CONTROL, 0, true);
    return this.#control.answer(this.#slot, length);
  }

  /** The answer to a control message that another instance has let through, in fragments. */
  controlled(message: Uint8Array): Uint8Array[] {
    if (!this.#control || message.length > this.#slotSize) return [];
    this.#core.bytes.set(message, this.#slot);
    this.renew(this.#clock());
    return this.#control.answer(this.#slot, message.length);
  }

  /** After `answer`: whom to tell when the reply really left, ns since 1970; undefined where nobody wants to know. */
  stampWanted(): ((sentNs: bigint) => void) | undefined {
    const { view, exports } = this.#core;
    if (view.getUint8(this.#of.STAMP_WANTED) === 0) return undefined;
    const receive = view.getBigInt64(this.#slot + AT_RECEIVE);
    return (sentNs) => void exports.stampTransmitted(receive, exports.timestampFromUnixNs(sentNs), this.#server);
  }

  /** A clock that is right by decree was compared with its reference lately, always. `nowNs`: about now. */
  renew(nowNs: bigint): void {
    const stale = nowNs - this.#referenceNs > REFERENCE_INTERVAL_NS || nowNs < this.#referenceNs;
    if (this.#decreed && stale) this.#refer(nowNs);
  }

  /** Serve another clock than the one that stamps are taken by: `rate` is what it gains. */
  follow(reading: ClockReading): void {
    const { wallNs, timeNs, rate } = reading;
    this.#reading = reading;
    const { exports, view } = this.#core;
    const at = this.#core.fields("CLOCK_LINE", ["SINCE", "OFFSET", "RATE"]);
    this.#core.setI64(at.SINCE, exports.timestampFromUnixNs(wallNs));
    this.#core.setI64(at.OFFSET, exports.intervalFromNs(timeNs - wallNs));
    view.setFloat64(at.RATE, rate, true);
  }

  /** The served clock when the one that stamps are taken by reads `wallNs`. */
  served(wallNs: bigint): bigint {
    return this.#reading ? carry(this.#reading, wallNs) : wallNs;
  }

  /** A broadcast, one each 2^`poll` s, leaving at `nowNs`; valid until the next call. Undefined when not synchronised. */
  announce(poll: number, nowNs: bigint): Uint8Array | undefined {
    const { bytes, exports } = this.#core;
    const length = exports.announce(this.#slot, poll, exports.timestampFromUnixNs(nowNs), this.#server);
    return length === 0 ? undefined : bytes.subarray(this.#slot, this.#slot + length);
  }

  #refer(timeNs: bigint): void {
    this.#referenceNs = timeNs;
    this.#core.setI64(this.#at.REFERENCE_TIME, this.#core.exports.timestampFromUnixNs(timeNs));
  }
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
function refidOf({ refid, stratum }: Pick<ServerState, "refid" | "stratum">): number {
  if (stratum === undefined) return 0;
  if (typeof refid === "number") return refid >>> 0;
  if (stratum === 1) {
    const text = refid ?? "LOCL";
    if (!/^[\x21-\x7e]{1,4}$/.test(text)) throw new NtpError("INVALID_ARGUMENT", `expected a refid of one to four ASCII characters at stratum 1, got "${text}"`);
    return refidFromText(text);
  }
  // 127.127.1.1 has long stood for "the local clock".
  const text = refid ?? "127.127.1.1";
  const octets = text.split(".").map(Number);
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text) || octets.some((octet) => octet > 255)) {
    throw new NtpError("INVALID_ARGUMENT", `expected an IPv4 address as refid above stratum 1, got "${refid}"`);
  }
  return octets.reduce((value, octet) => value * 256 + octet, 0);
}
