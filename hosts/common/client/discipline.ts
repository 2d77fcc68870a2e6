// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's associations and discipline: events in, actions out. Decides nothing.
 *
 * Monotonic times cross as unsigned 32.32 s of the steered clock's own monotonic scale; outside they are bigint ns.
 *
 * @module
 */

import { Core, unsigned } from "../core/core.ts";
import { refidFromText } from "../core/cold.ts";
import { putKey, putNts, putRandom, type NtsKeys } from "./authentication.ts";
import type { SymmetricKey } from "./keys.ts";
import { addressOctets, refidOf } from "./refid.ts";
import { RefclockCore } from "./refclock-core.ts";
import type { SourceVersion } from "./version.ts";
import { readSource, type SourceVariables } from "./source-variables.ts";

export type { SourceVariables } from "./source-variables.ts";

/** How the core corrects the clock. */
export type Algorithm = "estimator" | "pll-fll";

/** What the core asks the host to do after an event. */
export interface Actions {
  /** The packet to send; a copy. */
  readonly send?: Uint8Array;
  /** When to call {@link DisciplineCore.timer} for this source again, monotonic ns. */
  readonly timerNs?: bigint;
  /** The steering may have changed: obey it. */
  readonly steer: boolean;
  /** The source's name may have moved. */
  readonly resolve: boolean;
  /** The server does not want to be asked. */
  readonly stop: boolean;
  /** A usable answer came, also where its time is not followed. */
  readonly heard?: true;
  /** NTS keys are missing: establish them, then call {@link DisciplineCore.timer}. */
  readonly establish?: true;
}

/** What the clock is to do. */
export interface Steering {
  /** Relative rate to set. */
  readonly rate: number;
  /** Of it, the lasting frequency correction. */
  readonly frequency: number;
  /** Its standard deviation. */
  readonly skew: number;
  /** Offset still being slewed away, s. */
  readonly remaining: number;
  /** When to call {@link DisciplineCore.steeringTimer}, monotonic ns. */
  readonly untilNs?: bigint;
  /** Step by this at once, ns; 0n for none. */
  readonly stepNs: bigint;
  readonly poll: number;
  readonly synchronised: boolean;
  /** Bits: 1 a step was refused, 2 steps are mounting up. */
  readonly flags: number;
}

/** RFC 5905's system variables. */
export interface SystemVariables {
  /** Index of the system peer, -1 for none. */
  readonly peer: number;
  readonly stratum: number;
  readonly leap: number;
  readonly survivors: number;
  /** s */
  readonly rootDelay: number;
  readonly rootDispersion: number;
  /** Greatest error of the clock, s; Infinity before anything is known. */
  readonly bound: number;
  /** Nobody is followed: our own clock is the reference, as `refclock:local` allows. */
  readonly local: boolean;
}

const ACTION_SEND = 1 << 0;
const ACTION_TIMER = 1 << 1;
const ACTION_STEER = 1 << 2;
const ACTION_RESOLVE = 1 << 3;
const ACTION_STOP = 1 << 4;
const ACTION_ESTABLISH = 1 << 5;
const ACTION_HEARD = 1 << 6;
/** Octets that a reference identifier is chosen from, and of the filter of them. */
const REFERENCE_ID_RANDOM = 64;
const REFERENCE_IDS_OCTETS = 512;

/** Modes that NTPv5 does not have. */
function oldVersion(version: SourceVersion): 3 | 4 {
  return version === 3 ? 3 : 4;
}
/** Cookies that a session is to have (RFC 8915 §5.7). */
const COOKIES = 8;

/** What a source is opened with, whatever its mode. */
export interface OpenOptions {
  readonly version: SourceVersion;
  readonly minPoll: number;
  readonly maxPoll: number;
  readonly interleaved?: boolean;
  /** We are a server ourselves, and must not follow who follows us. */
  readonly serving?: boolean;
  /** Believe only what this key vouches for. */
  readonly key?: SymmetricKey | undefined;
}

/** One discipline over an instance of the core of its own. */
export class DisciplineCore {
  readonly #core = new Core();
  readonly #slot = this.#core.constant("SLOTS");
  readonly #slotSize = this.#core.constant("SLOT_STRIDE_OCTETS");
  /** Of the sources with NTS. */
  readonly #random = new Map<number, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>>();
  readonly refclocks = new RefclockCore(this.#core);

  /** Begin. `frequency` and `skew` are what a drift file says; a skew of 0 means that nothing is known. */
  reset({ algorithm, frequency, skew, precision }: { algorithm: Algorithm; frequency: number; skew: number; precision: number }): void {
    const { exports } = this.#core;
    exports.disciplineAlgorithm(algorithm === "estimator" ? 1 : 0);
    exports.disciplineReset(frequency, skew);
    exports.associationPrecision(exports.intervalFromSeconds(precision));
    exports.clockWatchReset();
  }

  /** What the actuator can do, relative rates, and the poll exponents. */
  limits(limits: { slew: number; frequency: number; minPoll: number; maxPoll: number }): void {
    this.#core.exports.disciplineLimits(limits.slew, limits.frequency, limits.minPoll, limits.maxPoll);
  }

  /** Offsets beyond `least` s are stepped among the first `count` corrections (negative: always; 0: never). */
  stepPolicy(least: number, count: number): void {
    this.#core.exports.disciplineStepPolicy(least, count);
  }

  /** Greatest single, first and accumulated step, s; 0 for no limit. */
  stepLimits(single: number, startup: number, sum: number): void {
    this.#core.exports.disciplineStepLimits(single, startup, sum);
  }

  open(index: number, options: OpenOptions): void {
    const { version, serving = false } = options;
    this.#core.exports.associationOpen(index, version === 3 ? 3 : 4, options.minPoll, options.maxPoll);
    if (version === 5 || version === "auto") this.useVersion(index, version, serving);
    if (options.interleaved) this.#core.exports.associationInterleave(index);
    this.#useKey(index, options.key);
  }

  #useKey(index: number, key: SymmetricKey | undefined): void {
    if (!key) return;
    putKey(this.#core, index, key);
    this.#core.exports.associationKey(index);
  }

  /** Ask with NTS, and believe nothing without it. `random` makes each request unlike any other. */
  useNts(index: number, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): void {
    this.#random.set(index, random);
    this.#core.exports.associationNts(index);
  }

  /** Keys were established: use them from the next request on. Their cookies are taken. */
  ntsKeys(index: number, keys: NtsKeys): void {
    putNts(this.#core, index, keys, COOKIES);
  }

  /** Which version the next requests to a source have. */
  useVersion(index: number, version: 4 | 5 | "auto", serving: boolean): void {
    if (version === 4) this.#core.exports.associationVersion4(index);
    else this.#core.exports.associationVersion5(index, version === "auto" ? 1 : 0, serving ? 1 : 0);
  }

  /** Of NTPv5, begin with this draft. */
  useDraft(index: number, draft: number): void {
    this.#core.exports.associationDraft(index, draft);
  }

  /** Who we are among servers: NTPv5's reference identifier. */
  identify(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): void {
    const scratch = this.#core.constant("SCRATCH");
    this.#core.bytes.set(random(new Uint8Array(REFERENCE_ID_RANDOM)), scratch);
    this.#core.exports.referenceIdChoose(scratch);
  }

  /** Who we are and whom we follow, as our own clients are to be told: a Bloom filter of 512 octets. */
  referenceIds(): Uint8Array {
    this.#core.exports.referenceIdsUpdate();
    const at = this.#core.constant("REFERENCE_IDS");
    return this.#core.bytes.slice(at, at + REFERENCE_IDS_OCTETS);
  }

  /** Peer with somebody. `ourAddress`: the address that the peer knows us by. */
  openSymmetric(index: number, options: OpenOptions & { passive: boolean; ourAddress?: string | undefined }): void {
    const { version, minPoll, maxPoll, passive, ourAddress } = options;
    this.#core.exports.symmetricOpen(index, oldVersion(version), minPoll, maxPoll, passive ? 1 : 0, ourAddress ? refidOf(this.#core, ourAddress) : 0);
    this.#useKey(index, options.key);
  }

  /** A reference clock's identifier: what our peers are told that we follow. */
  reference(index: number, refid: string): void {
    this.#core.exports.sourceRefid(index, refidFromText(refid));
  }

  /** Where a source is: whom our peers are told that we follow. */
  address(index: number, address: string): void {
    this.#core.exports.sourceRefid(index, refidOf(this.#core, address));
    const octets = addressOctets(address);
    const at = this.#core.constant("SCRATCH");
    this.#core.bytes.set(octets, at);
    this.#core.exports.associationAddress(index, at, octets.length);
  }

  symmetricTimer(index: number, monotonicNs: bigint, random: bigint, timeNs: bigint): Actions {
    const { exports } = this.#core;
    return this.#actions(exports.symmetricTimer(index, this.#time(monotonicNs), random, exports.timestampFromUnixNs(timeNs)));
  }

  /** When the packet to a peer left, on the steered clock. */
  symmetricSent(index: number, timeNs: bigint): void {
    this.#core.exports.symmetricSent(index, this.#core.exports.timestampFromUnixNs(timeNs));
  }

  /** A datagram from a peer. */
  symmetricPacket(index: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }, now: { time: bigint; monotonic: bigint; random: bigint }): Actions {
    const { exports, bytes } = this.#core;
    const length = data.length > this.#slotSize ? 0 : data.length;
    bytes.set(data.subarray(0, length), this.#slot);
    exports.associationCame(index, exports.timestampFromUnixNs(came.time), this.#time(came.monotonic));
    return this.#actions(exports.symmetricPacket(index, length, this.#time(now.monotonic), now.random, exports.timestampFromUnixNs(now.time)));
  }

  openBroadcast(index: number, options: Pick<OpenOptions, "version" | "key">): void {
    this.#core.exports.broadcastOpen(index, oldVersion(options.version));
    this.#useKey(index, options.key);
  }

  broadcastTimer(index: number, monotonicNs: bigint, random: bigint): Actions {
    return this.#actions(this.#core.exports.broadcastTimer(index, this.#time(monotonicNs), random));
  }

  /** A broadcast of the server's. */
  broadcastPacket(index: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }, nowNs: bigint, random: bigint): Actions {
    const length = this.#put(index, data, came);
    return this.#actions(this.#core.exports.broadcastPacket(index, length, this.#time(nowNs), random));
  }

  /** What may be the answer to a request of the volley. */
  broadcastReply(index: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }, nowNs: bigint): Actions {
    const length = this.#put(index, data, came);
    return this.#actions(this.#core.exports.broadcastReply(index, length, this.#time(nowNs)));
  }

  openManycast(which: number, version: number, limit: number): void {
    this.#core.exports.manycastOpen(which, version, limit);
  }

  closeManycast(which: number): void {
    this.#core.exports.manycastClose(which);
  }

  manycastTimer(which: number, monotonicNs: bigint, random: bigint): Actions {
    return this.#actions(this.#core.exports.manycastTimer(which, this.#time(monotonicNs), random));
  }

  /** When the request to everybody left, on the steered clock. */
  manycastSent(which: number, timeNs: bigint): void {
    this.#core.exports.manycastSent(which, this.#core.exports.timestampFromUnixNs(timeNs));
  }

  /** Whether a datagram is the answer of a server that may be followed. */
  manycastReply(which: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }): boolean {
    const { exports, bytes } = this.#core;
    if (data.length > this.#slotSize) return false;
    bytes.set(data, this.#slot);
    return exports.manycastReply(which, data.length, exports.timestampFromUnixNs(came.time), this.#time(came.monotonic)) !== 0;
  }

  /** Source `index` follows a server that was found. */
  manycastFollow(which: number, index: number): void {
    this.#core.exports.manycastFollow(which, index);
  }

  /** The sources whose servers were found and are gone: they are to be closed. */
  manycastLost(which: number): number[] {
    const lost: number[] = [];
    for (let index = this.#core.exports.manycastLost(which); index >= 0; index = this.#core.exports.manycastLost(which)) lost.push(index);
    return lost;
  }

  /** A datagram into the core's slot. Longer than any NTP packet: an empty one is passed over and counted alike. */
  #put(index: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }): number {
    const { exports, bytes } = this.#core;
    const length = data.length > this.#slotSize ? 0 : data.length;
    bytes.set(data.subarray(0, length), this.#slot);
    exports.associationCame(index, exports.timestampFromUnixNs(came.time), this.#time(came.monotonic));
    return length;
  }

  close(index: number): void {
    this.#random.delete(index);
    this.#core.exports.associationClose(index);
  }

  /** The time that a source's timer named has come. */
  timer(index: number, monotonicNs: bigint, random: bigint): Actions {
    const { exports } = this.#core;
    const octets = this.#random.get(index);
    if (octets) putRandom(this.#core, octets);
    return this.#actions(exports.associationTimer(index, this.#time(monotonicNs), random));
  }

  /** When its request left, on the steered clock. */
  sent(index: number, timeNs: bigint): void {
    const { exports } = this.#core;
    exports.associationSent(index, exports.timestampFromUnixNs(timeNs));
  }

  /** A datagram from its address; when it came, on the steered clock and its monotonic scale, and the latter now. */
  reply(index: number, data: Uint8Array, came: { time: bigint; monotonic: bigint }, nowNs: bigint): Actions {
    const { exports, bytes } = this.#core;
    // Longer than any NTP packet: an empty one is passed over and counted alike.
    const length = data.length > this.#slotSize ? 0 : data.length;
    bytes.set(data.subarray(0, length), this.#slot);
    exports.associationCame(index, exports.timestampFromUnixNs(came.time), this.#time(came.monotonic));
    return this.#actions(exports.associationReply(index, length, this.#time(nowNs)));
  }

  /** Whether a source's request is still without an answer. */
  awaiting(index: number): boolean {
    const { exports, view } = this.#core;
    return view.getUint8(exports.associationOut(index) + this.#core.constant("ASSOCIATION_AWAITING")) !== 0;
  }

  steeringTimer(monotonicNs: bigint): void {
    this.#core.exports.disciplineTimer(this.#time(monotonicNs));
  }

  /** Forget requests under way: the clock has just been stepped by us. */
  drop(): void {
    this.#core.exports.associationsDrop();
    this.#core.exports.clockWatchReset();
  }

  /** A leap second (1 insert, 2 delete, 0 none) that the clock will make by itself at `atNs`. */
  expectLeap(leap: number, atNs: bigint): void {
    const { exports } = this.#core;
    exports.clockWatchLeap(leap, exports.timestampFromUnixNs(atNs));
  }

  /** Compare wall and monotonic time, read together: 0 undisturbed, 1 stepped back, 2 stepped ahead or slept, 3 leapt. */
  watchClock(timeNs: bigint, monotonicNs: bigint): number {
    const { exports } = this.#core;
    return exports.clockWatch(exports.timestampFromUnixNs(timeNs), this.#time(monotonicNs));
  }

  steering(): Steering {
    const { view, exports } = this.#core;
    const at = (name: string) => exports.steeringOut() + this.#core.constant(`STEERING_${name}`);
    const until = view.getBigUint64(at("UNTIL"), true);
    const step = view.getBigInt64(at("STEP"), true);
    return {
      rate: view.getFloat64(at("RATE"), true),
      frequency: view.getFloat64(at("FREQUENCY"), true),
      skew: view.getFloat64(at("SD_FREQUENCY"), true),
      remaining: view.getFloat64(at("REMAINING"), true),
      ...(until === 0n ? {} : { untilNs: this.#nanoseconds(until) }),
      stepNs: exports.intervalToNs(step),
      poll: view.getInt32(at("POLL"), true),
      synchronised: view.getInt32(at("SYNCHRONISED"), true) !== 0,
      flags: view.getInt32(at("FLAGS"), true),
    };
  }

  system(monotonicNs: bigint): SystemVariables {
    const { view, exports } = this.#core;
    exports.systemUpdate(this.#time(monotonicNs));
    const at = (name: string) => exports.systemOut() + this.#core.constant(`SYSTEM_${name}`);
    return {
      peer: view.getInt32(at("PEER"), true),
      stratum: view.getInt32(at("STRATUM"), true),
      leap: view.getInt32(at("LEAP"), true),
      survivors: view.getInt32(at("SURVIVORS"), true),
      rootDelay: exports.intervalToSeconds(view.getBigInt64(at("ROOT_DELAY"), true)),
      rootDispersion: exports.intervalToSeconds(view.getBigInt64(at("ROOT_DISPERSION"), true)),
      bound: view.getFloat64(at("BOUND"), true),
      local: view.getInt32(at("LOCAL"), true) !== 0,
    };
  }

  source(index: number): SourceVariables {
    return readSource(this.#core, index, (time) => this.#nanoseconds(time));
  }

  #actions(bits: number): Actions {
    const { view, exports, bytes } = this.#core;
    const at = exports.actionOut();
    const length = view.getInt32(at + this.#core.constant("ACTION_LENGTH"), true);
    return {
      ...(bits & ACTION_SEND ? { send: bytes.slice(this.#slot, this.#slot + length) } : {}),
      ...(bits & ACTION_TIMER ? { timerNs: this.#nanoseconds(view.getBigUint64(at + this.#core.constant("ACTION_TIMER"), true)) } : {}),
      steer: (bits & ACTION_STEER) !== 0,
      resolve: (bits & ACTION_RESOLVE) !== 0,
      stop: (bits & ACTION_STOP) !== 0,
      ...(bits & ACTION_HEARD ? { heard: true as const } : {}),
      ...(bits & ACTION_ESTABLISH ? { establish: true as const } : {}),
    };
  }

  /** Monotonic ns to 32.32 s. The origin does not matter and era wraps are harmless, as only differences count. */
  #time(ns: bigint): bigint {
    return this.#core.exports.timestampFromUnixNs(ns);
  }

  #nanoseconds(time: bigint): bigint {
    return this.#core.exports.timestampToUnixNs(unsigned(time), this.#pivotNs);
  }

  /** Monotonic clocks start near zero and live for less than 68 years. */
  readonly #pivotNs = 0n;
}
