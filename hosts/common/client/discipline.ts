// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's associations and discipline: events in, actions out. Decides nothing.
 *
 * How they cross is in events.ts; what only peers, broadcasts, a search for servers or reference clocks need has a file each.
 *
 * @module
 */

import { Core } from "../core/core.ts";
import { refidFromText } from "../core/cold.ts";
import { putNts, putRandom, type NtsKeys } from "./authentication.ts";
import { BroadcastCore } from "./broadcast-core.ts";
import { CoreEvents, oldVersion, type Actions, type Moment, type OpenOptions } from "./events.ts";
import { ManycastCore } from "./manycast-core.ts";
import { addressOctets, refidOf } from "./refid.ts";
import { RefclockCore } from "./refclock-core.ts";
import { SymmetricCore } from "./symmetric-core.ts";
import { readSource, type SourceVariables } from "./source-variables.ts";

export type { SourceVariables } from "./source-variables.ts";

/** How the core corrects the clock. */
export type Algorithm = "estimator" | "pll-fll";

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
  /** Bits: 1 a step was refused, 2 steps are mounting up, 4 an offset nears the limit for single ones, 8 that for the first. */
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

/** Octets that a reference identifier is chosen from, and of the filter of them. */
const REFERENCE_ID_RANDOM = 64;
const REFERENCE_IDS_OCTETS = 512;
/** Cookies that a session is to have (RFC 8915 §5.7). */
const COOKIES = 8;

/** One discipline over an instance of the core of its own. */
export class DisciplineCore {
  readonly #core = new Core();
  readonly #events = new CoreEvents(this.#core);
  /** Of the sources with NTS. */
  readonly #random = new Map<number, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>>();
  readonly refclocks = new RefclockCore(this.#events);
  readonly peers = new SymmetricCore(this.#events);
  readonly broadcasts = new BroadcastCore(this.#events);
  readonly manycast = new ManycastCore(this.#events);

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
    this.#core.exports.associationOpen(index, oldVersion(version), options.minPoll, options.maxPoll);
    if (version === 5 || version === "auto") this.useVersion(index, version, serving);
    if (options.correction) this.#core.exports.associationCorrect(index);
    if (options.interleaved) this.#core.exports.associationInterleave(index);
    this.#events.useKey(index, options.key);
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

  /** A reference clock's identifier: what our peers and our clients of NTPv5 are told that we follow. */
  reference(index: number, refid: string): void {
    const bits = refidFromText(refid);
    this.#core.exports.sourceRefid(index, bits);
    const at = this.#core.constant("SCRATCH");
    this.#core.view.setUint32(at, bits);
    this.#core.exports.associationAddress(index, at, 4);
  }

  /** Where a source is: whom our peers are told that we follow. */
  address(index: number, address: string): void {
    this.#core.exports.sourceRefid(index, refidOf(this.#core, address));
    const octets = addressOctets(address);
    const at = this.#core.constant("SCRATCH");
    this.#core.bytes.set(octets, at);
    this.#core.exports.associationAddress(index, at, octets.length);
  }

  close(index: number): void {
    this.#random.delete(index);
    this.#core.exports.associationClose(index);
  }

  /** A source that another one speaks for has no say until it is asked again, and answers. */
  setAside(index: number): void {
    this.#core.exports.associationSetAside(index);
  }

  /** The time that a source's timer named has come. */
  timer(index: number, monotonicNs: bigint, random: bigint): Actions {
    const { exports } = this.#core;
    const octets = this.#random.get(index);
    if (octets) putRandom(this.#core, octets);
    return this.#events.actions(exports.associationTimer(index, this.#events.monotonic(monotonicNs), random));
  }

  /** When its request left, on the steered clock. */
  sent(index: number, timeNs: bigint): void {
    const { exports } = this.#core;
    exports.associationSent(index, this.#events.timestamp(timeNs));
  }

  /** A datagram from its address; when it came, on the steered clock and its monotonic scale, and the latter now. */
  reply(index: number, data: Uint8Array, came: Moment, nowNs: bigint): Actions {
    const length = this.#events.take(index, data, came);
    return this.#events.actions(this.#core.exports.associationReply(index, length, this.#events.monotonic(nowNs)));
  }

  /** Whether a source's request is still without an answer. */
  awaiting(index: number): boolean {
    const { exports, view } = this.#core;
    return view.getUint8(exports.associationOut(index) + this.#core.constant("ASSOCIATION_AWAITING")) !== 0;
  }

  steeringTimer(monotonicNs: bigint): void {
    this.#core.exports.disciplineTimer(this.#events.monotonic(monotonicNs));
  }

  /** Forget requests under way: the clock has just been stepped by us. */
  drop(): void {
    this.#core.exports.associationsDrop();
    this.#core.exports.clockWatchReset();
  }

  /** A leap second (1 insert, 2 delete, 0 none) that the clock will make by itself at `atNs`. */
  expectLeap(leap: number, atNs: bigint): void {
    const { exports } = this.#core;
    exports.clockWatchLeap(leap, this.#events.timestamp(atNs));
  }

  /** Compare wall and monotonic time, read together: 0 undisturbed, 1 stepped back, 2 stepped ahead or slept, 3 leapt. */
  watchClock(timeNs: bigint, monotonicNs: bigint): number {
    const { exports } = this.#core;
    return exports.clockWatch(this.#events.timestamp(timeNs), this.#events.monotonic(monotonicNs));
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
      ...(until === 0n ? {} : { untilNs: this.#events.nanoseconds(until) }),
      stepNs: exports.intervalToNs(step),
      poll: view.getInt32(at("POLL"), true),
      synchronised: view.getInt32(at("SYNCHRONISED"), true) !== 0,
      flags: view.getInt32(at("FLAGS"), true),
    };
  }

  system(monotonicNs: bigint): SystemVariables {
    const { view, exports } = this.#core;
    exports.systemUpdate(this.#events.monotonic(monotonicNs));
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
    return readSource(this.#core, index, (time) => this.#events.nanoseconds(time));
  }
}
