// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host's side of one request and reply: fills the core's Exchange, calls it, reads its Sample.
 *
 * All state is in the arguments, so that one instance serves any number of requests under way.
 * Tested in query.test.ts and attempt.test.ts.
 *
 * @module
 */

import { Core, coreModule } from "../core/core.ts";
import { refidText } from "../core/cold.ts";
import type { Endpoint, StampSource } from "../host.ts";
import { NtpError } from "../errors.ts";
import { authNumber, putKey, putNts, putRandom, type Authentication, type NtsKeys } from "./authentication.ts";
import { Sample } from "./sample.ts";
import { readDetails } from "./details.ts";
import type { NtpVersion } from "./version.ts";

/** Association mode of a request: 3 client. */
const MODE_CLIENT = 3;
/** Ask for chrony's mono-root field (WANT_MONO_ROOT). */
const WANT_MONO_ROOT = 1;
/** NTPv5: versions, reference time, monotonic time, other scales, correction (WANT_* of v5fields.ts). */
const WANT_DETAILS = 0x7c;

/** testD of the core's check.ts. */
const MALFORMED = 1 << 10;

/** What is asked. */
export interface Request {
  readonly version: NtpVersion;
  /** NTPv5: which draft to name. Default the newest. */
  readonly draft?: number;
  /** NTPv5: ask the server to remember this exchange. */
  readonly interleaved?: boolean;
  /** NTPv5: ask for all that a server may tell beside the time. */
  readonly details?: boolean;
  /** The random transmit timestamp; not zero. */
  readonly origin: bigint;
  /** Ask for root delay and dispersion in chrony's finer field. */
  readonly fineRoot: boolean;
  /** Ask in interleaved mode (RFC 9769), to complete this exchange. */
  readonly completing?: Completion;
  /** Where the core has what vouches for the answer. */
  readonly claim?: Claim | undefined;
}

/** A place of an {@link ExchangeCore} with a key or an NTS session. */
export interface Claim {
  readonly index: number;
  readonly authentication: Authentication;
}

/** Places for keys and sessions in one instance of the core. */
const PLACES = 64;

/** An exchange to be completed by an interleaved reply. */
export interface Completion {
  readonly stamps: Stamps;
  /** When the server received its request, bit for bit as it said. */
  readonly receive: bigint;
  /** NTPv5: what the server calls it. */
  readonly cookie?: bigint;
  /** The random receive timestamp that an interleaved reply brings back; neither zero nor the request's origin. */
  readonly echo: bigint;
}

/** When the request left and the reply came, ns since 1970. */
export interface Stamps {
  readonly sentNs: bigint;
  readonly receivedNs: bigint;
  readonly t1: StampSource;
  readonly t4: StampSource;
}

/** What a datagram turned out to be. */
export type Verdict =
  | { readonly kind: "ignored"; readonly problemBits: number }
  | { readonly kind: "sample"; readonly sample: Sample; readonly stamps: Stamps; readonly receive: bigint; readonly cookie: bigint };

const EXCHANGE_FIELDS = ["AUTH", "AUTH_INDEX", "VERSION", "MODE", "POLL", "WANTS", "ORIGIN", "T1", "T4", "PREVIOUS_TRANSMIT", "PRECISION", "ECHO", "SAVED_T1", "SAVED_T2", "SAVED_T4",
  "DRAFT", "WANTS_INTERLEAVED", "SAVED_COOKIE"] as const;
const SAMPLE_FIELDS = [
  "T1", "T2", "T3", "T4", "OFFSET", "DELAY", "DISPERSION", "ROOT_DELAY", "ROOT_DISPERSION", "ROOT_DISTANCE", "PROBLEMS", "INTERLEAVED", "AUTHENTICATED", "SERVER_COOKIE",
] as const;
const HEADER_FIELDS = ["LEAP", "VERSION", "MODE", "STRATUM", "POLL", "PRECISION", "REFID", "RECEIVE_TIME"] as const;

/** Requests and replies over one instance of the core. */
export class ExchangeCore {
  readonly module: WebAssembly.Module;
  readonly #core: Core;
  readonly #exchange;
  readonly #sample;
  readonly #header;
  readonly #packet: number;
  readonly #packetSize: number;
  readonly #free = Array.from({ length: PLACES }, (_, index) => index);

  constructor(module = coreModule()) {
    const core = new Core(module);
    this.module = module;
    this.#core = core;
    this.#exchange = core.fields("EXCHANGE", EXCHANGE_FIELDS);
    this.#sample = core.fields("SAMPLE", SAMPLE_FIELDS);
    this.#header = core.fields("SAMPLE", HEADER_FIELDS, "HEADER");
    this.#packet = core.constant("SLOTS");
    this.#packetSize = core.constant("SLOT_STRIDE_OCTETS");
  }

  /** Whether another request can be authenticated here at the same time. */
  get hasRoom(): boolean {
    return this.#free.length > 0;
  }

  /** Put a key, or NTS keys and one of their cookies, into the core, for one request. MUST be released. */
  claim(authentication: Authentication): Claim {
    const index = this.#free.pop();
    if (index === undefined) throw new NtpError("UNSUPPORTED", `expected at most ${PLACES} authenticated requests at a time`);
    if (authentication.kind === "key") putKey(this.#core, index, authentication.key);
    else putNts(this.#core, index, authentication.keys, 1);
    return { index, authentication };
  }

  /** Forget the secrets of a claim. */
  release({ index, authentication }: Claim): void {
    if (authentication.kind === "key") this.#core.exports.keyClear(index);
    else this.#core.exports.ntsClose(index);
    this.#free.push(index);
  }

  /** The server says that it cannot open our cookie: anybody can say so. */
  isRefused({ index, authentication }: Claim): boolean {
    const { exports } = this.#core;
    return authentication.kind === "nts" && this.#core.u32(exports.ntsOut(index) + this.#core.constant("NTS_NAKS")) > 0;
  }

  /** The octets of a request, a copy. `random` makes an NTS request unlike any other. */
  request(request: Request, random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): Uint8Array {
    this.#load(request, { sentNs: 0n, receivedNs: 0n }, 0);
    if (request.claim) putRandom(this.#core, random);
    const length = this.#core.exports.requestWrite(this.#packet, this.#core.constant("EXCHANGE"));
    // MUST NOT be sent without what vouches for it.
    if (length === 0) throw new NtpError("NTS_KE", "expected a cookie to ask with, got none; establish keys anew");
    return this.#core.bytes.slice(this.#packet, this.#packet + length);
  }

  /** Judge a datagram as the reply to `request`. `precision` is the local clock's, in seconds. */
  reply(data: Uint8Array, request: Request, stamps: Stamps, context: { source: string; from: Endpoint; precision: number }): Verdict {
    const core = this.#core;
    // Longer than any NTP packet; judging only its beginning would be judging another one.
    if (data.length > this.#packetSize) return { kind: "ignored", problemBits: MALFORMED };
    const { length } = data;
    core.bytes.set(data, this.#packet);
    this.#load(request, stamps, context.precision);
    const verdict = core.exports.replyRead(this.#packet, length, core.constant("EXCHANGE"), core.constant("SAMPLE"));
    if (verdict === 0) return { kind: "ignored", problemBits: core.u32(this.#sample.PROBLEMS) };
    // The times of an interleaved sample are those of the exchange that it completes.
    const interleaved = core.bytes[this.#sample.INTERLEAVED] !== 0;
    const by = request.claim?.authentication;
    const nts = by?.kind === "nts" ? by.keys : undefined;
    const sample = this.#read(interleaved ? (request.completing?.stamps ?? stamps) : stamps, { ...context, interleaved, nts });
    return { kind: "sample", sample, stamps, receive: core.u64(this.#header.RECEIVE_TIME), cookie: core.u64(this.#sample.SERVER_COOKIE) };
  }

  #load(request: Request, stamps: { sentNs: bigint; receivedNs: bigint }, precision: number): void {
    const { view, exports } = this.#core;
    const at = this.#exchange;
    view.setUint8(at.AUTH, authNumber(request.claim?.authentication));
    view.setInt32(at.AUTH_INDEX, request.claim?.index ?? 0, true);
    view.setUint8(at.VERSION, request.version);
    view.setUint8(at.MODE, MODE_CLIENT);
    view.setInt8(at.POLL, 0);
    view.setUint32(at.WANTS, (request.fineRoot ? WANT_MONO_ROOT : 0) | (request.details ? WANT_DETAILS : 0), true);
    view.setBigUint64(at.ORIGIN, request.origin, true);
    view.setBigInt64(at.T1, exports.timestampFromUnixNs(stamps.sentNs), true);
    view.setBigInt64(at.T4, exports.timestampFromUnixNs(stamps.receivedNs), true);
    view.setBigUint64(at.PREVIOUS_TRANSMIT, 0n, true);
    view.setBigInt64(at.PRECISION, exports.intervalFromSeconds(precision), true);
    const { completing } = request;
    view.setUint8(at.DRAFT, request.draft ?? 0);
    view.setUint8(at.WANTS_INTERLEAVED, request.interleaved ? 1 : 0);
    view.setBigUint64(at.SAVED_COOKIE, completing?.cookie ?? 0n, true);
    view.setBigUint64(at.ECHO, completing?.echo ?? 0n, true);
    view.setBigUint64(at.SAVED_T2, completing?.receive ?? 0n, true);
    view.setBigInt64(at.SAVED_T1, exports.timestampFromUnixNs(completing?.stamps.sentNs ?? 0n), true);
    view.setBigInt64(at.SAVED_T4, exports.timestampFromUnixNs(completing?.stamps.receivedNs ?? 0n), true);
  }

  #read(stamps: Stamps, { source, from, interleaved, nts }: { source: string; from: Endpoint; interleaved: boolean; nts: NtsKeys | undefined }): Sample {
    const { view, exports } = this.#core;
    const at = this.#sample;
    const header = this.#header;
    const interval = (address: number) => view.getBigInt64(address, true);
    const seconds = (address: number) => exports.intervalToSeconds(interval(address));
    // The reply's times are read in the era nearest to this host's clock; only differences enter the offset.
    const unixNs = (address: number) => exports.timestampToUnixNs(interval(address), stamps.receivedNs);
    const stratum = view.getUint8(header.STRATUM);
    return new Sample({
      source,
      address: from.address,
      port: from.port,
      version: view.getUint8(header.VERSION),
      mode: view.getUint8(header.MODE),
      leap: view.getUint8(header.LEAP),
      stratum,
      poll: view.getInt8(header.POLL),
      precision: view.getInt8(header.PRECISION),
      refid: refidText(view.getUint32(header.REFID, true), stratum),
      offset: seconds(at.OFFSET),
      offsetNs: exports.intervalToNs(interval(at.OFFSET)),
      delay: seconds(at.DELAY),
      dispersion: seconds(at.DISPERSION),
      rootDelay: seconds(at.ROOT_DELAY),
      rootDispersion: seconds(at.ROOT_DISPERSION),
      rootDistance: seconds(at.ROOT_DISTANCE),
      rootDistanceNs: exports.intervalToNs(interval(at.ROOT_DISTANCE)),
      t1: stamps.sentNs,
      t2: unixNs(at.T2),
      t3: unixNs(at.T3),
      t4: stamps.receivedNs,
      timestamps: { t1: stamps.t1, t4: stamps.t4 },
      authenticated: view.getUint8(at.AUTHENTICATED) !== 0,
      ...(nts ? { nts: { aead: nts.aead, ...(nts.group === undefined ? {} : { group: nts.group }) } } : {}),
      interleaved,
      problemBits: view.getUint32(at.PROBLEMS, true),
      ...(view.getUint8(header.VERSION) === 5 ? { ntpv5: readDetails(this.#core, stamps.receivedNs) } : {}),
    });
  }
}
