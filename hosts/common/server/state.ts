// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The host's side of the core's server: fills its state, lends it a slot and the time, takes the reply.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { Core } from "../core/core.ts";
import { refidFromText } from "../core/cold.ts";

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
}

/** How often the reference time of a clock that is right by decree is renewed. */
const REFERENCE_INTERVAL_NS = 16_000_000_000n;
const UNSYNCHRONISED = 16;

const SERVER_FIELDS = ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME", "MONO_EPOCH", "MONO_OFFSET"] as const;

/** One server over one instance of the core. */
export class ServerCore {
  readonly #core = new Core();
  readonly #clock: () => bigint;
  readonly #slot: number;
  readonly #server: number;
  readonly #slotSize: number;
  readonly #at: Record<(typeof SERVER_FIELDS)[number], number>;
  readonly #kiss: number | undefined;
  #decreed = true;
  #referenceNs = 0n;

  constructor(state: ServerState, clock: () => bigint) {
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
    this.update(state);
  }

  /** What the replies from now on say. @throws {NtpError} `INVALID_ARGUMENT` */
  update(state: Omit<ServerState, "kiss">): void {
    const { view, exports } = this.#core;
    const at = this.#at;
    const refid = refidOf(state);
    view.setUint8(at.LEAP, state.leap);
    view.setUint8(at.STRATUM, state.stratum ?? UNSYNCHRONISED);
    view.setInt8(at.PRECISION, Math.max(-32, Math.min(0, Math.round(Math.log2(state.precision)))));
    view.setUint32(at.REFID, refid, true);
    view.setBigInt64(at.ROOT_DELAY, exports.intervalFromSeconds(state.rootDelay), true);
    view.setBigInt64(at.ROOT_DISPERSION, exports.intervalFromSeconds(state.rootDispersion), true);
    this.#decreed = state.referenceNs === undefined;
    if (state.referenceNs !== undefined) this.#refer(state.referenceNs);
  }

  /** The reply to a datagram, valid until the next call, or undefined where none is due. `receivedNs`: when it came. */
  answer(data: Uint8Array, receivedNs: bigint = this.#clock()): Uint8Array | undefined {
    const { bytes, exports } = this.#core;
    if (data.length > this.#slotSize) return undefined;
    bytes.set(data, this.#slot);
    const stale = receivedNs - this.#referenceNs > REFERENCE_INTERVAL_NS || receivedNs < this.#referenceNs;
    if (this.#decreed && stale) this.#refer(receivedNs);
    const length =
      this.#kiss === undefined
        ? exports.respond(this.#slot, data.length, exports.timestampFromUnixNs(receivedNs), this.#server)
        : exports.respondKiss(this.#slot, data.length, this.#kiss);
    if (length === 0) return undefined;
    if (this.#kiss === undefined) exports.stampTransmit(this.#slot, exports.timestampFromUnixNs(this.#clock()));
    return bytes.subarray(this.#slot, this.#slot + length);
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
