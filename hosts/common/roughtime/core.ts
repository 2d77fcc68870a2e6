// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's side of the core's Roughtime rooms: octets in, octets and verdicts out. One instance serves a process, as
 * all state is in the arguments. Tested in response.test.ts.
 *
 * @module
 */

import { Core } from "../core/core.ts";

/** RFC 10049. */
export const VERSION_1 = 1;
/** Drafts 12 to 19, which most servers spoke when the RFC came. */
export const VERSION_DRAFT = 0x8000000c;
/** The core's bits for the versions of a request. */
const OFFERS: Record<number, number> = { [VERSION_1]: 1, [VERSION_DRAFT]: 2 };
export const NONCE_LENGTH = 32;
export const SIGNATURE_LENGTH = 64;

const FIELDS = [
  "MIDPOINT", "NOT_BEFORE", "NOT_AFTER", "RADIUS", "VERSION", "INDEX", "MISSING", "HEIGHT", "SIGNED", "SIGNED_LENGTH", "SIGNATURE", "DELEGATION",
  "DELEGATION_LENGTH", "DELEGATION_SIGNATURE", "ONLINE_KEY", "VERSIONS", "VERSION_COUNT",
] as const;

/** What the core read in a response. Numbers of octets count from the packet's first one. */
export interface ResponseFacts {
  readonly verdict: number;
  readonly missing: number;
  readonly midpoint: bigint;
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  readonly radius: number;
  readonly version: number;
  readonly versions: readonly number[];
  readonly height: number;
  readonly index: number;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly delegation: Uint8Array;
  readonly delegationSignature: Uint8Array;
  readonly onlineKey: Uint8Array;
}

export class RoughtimeCore {
  readonly #core = new Core();
  readonly #packet = this.#core.constant("SLOTS");
  /** The longest packet that is looked at. */
  readonly longest = this.#core.constant("SLOT_STRIDE_OCTETS");
  readonly #asked = this.#packet + this.longest;
  readonly #small = this.#core.constant("SCRATCH");
  readonly #facts = this.#small + 1024;
  readonly #at: Record<(typeof FIELDS)[number], number>;

  constructor() {
    const offset = (name: string) => this.#facts + this.#core.constant(`ROUGHTIME_RESPONSE_${name}`);
    this.#at = Object.fromEntries(FIELDS.map((name) => [name, offset(name)])) as Record<(typeof FIELDS)[number], number>;
  }

  /** SRV: what a request calls the server of this long-term key. */
  serverId(publicKey: Uint8Array): Uint8Array {
    this.#core.bytes.set(publicKey, this.#small);
    this.#core.exports.roughtimeServerId(this.#small, this.#small + 64);
    return this.#core.bytes.slice(this.#small + 64, this.#small + 64 + NONCE_LENGTH);
  }

  /** The nonce that proves to be younger than a response (RFC 10049 §8.2). */
  nextNonce(response: Uint8Array, rand: Uint8Array): Uint8Array {
    const { bytes, exports } = this.#core;
    const fitting = this.#fitting(response);
    bytes.set(fitting, this.#packet);
    bytes.set(rand, this.#small);
    exports.roughtimeNextNonce(this.#packet, fitting.length, this.#small, this.#small + 64);
    return bytes.slice(this.#small + 64, this.#small + 64 + NONCE_LENGTH);
  }

  request(versions: readonly number[], serverId: Uint8Array, nonce: Uint8Array): Uint8Array {
    const { bytes, exports } = this.#core;
    bytes.set(serverId, this.#small);
    bytes.set(nonce, this.#small + 64);
    const offers = versions.reduce((bits, version) => bits | (OFFERS[version] ?? 0), 0);
    const length = exports.roughtimeRequestWrite(this.#asked, offers, this.#small, this.#small + 64);
    return bytes.slice(this.#asked, this.#asked + length);
  }

  /** The nonce of a request packet; undefined when it is none. */
  nonceOf(request: Uint8Array): Uint8Array | undefined {
    const { bytes, exports } = this.#core;
    const fitting = this.#fitting(request);
    bytes.set(fitting, this.#asked);
    const at = exports.roughtimeRequestNonce(this.#asked, fitting.length);
    return at < 0 ? undefined : bytes.slice(this.#asked + at, this.#asked + at + NONCE_LENGTH);
  }

  /** Judge all of a response but its signatures. */
  read(response: Uint8Array, request: Uint8Array): ResponseFacts {
    const { bytes, exports, view } = this.#core;
    const at = this.#at;
    const [answer, asked] = [this.#fitting(response), this.#fitting(request)];
    bytes.set(answer, this.#packet);
    bytes.set(asked, this.#asked);
    const verdict = exports.roughtimeResponseRead(this.#packet, answer.length, this.#asked, asked.length, this.#facts);
    const u32 = (where: number) => view.getUint32(where, true);
    const u64 = (where: number) => view.getBigUint64(where, true);
    const part = (where: number, length: number) => bytes.slice(this.#packet + u32(where), this.#packet + u32(where) + length);
    return {
      verdict, missing: u32(at.MISSING), midpoint: u64(at.MIDPOINT), notBefore: u64(at.NOT_BEFORE), notAfter: u64(at.NOT_AFTER),
      radius: u32(at.RADIUS), version: u32(at.VERSION), height: u32(at.HEIGHT), index: u32(at.INDEX),
      versions: Array.from({ length: u32(at.VERSION_COUNT) }, (_, i) => u32(this.#packet + u32(at.VERSIONS) + 4 * i)),
      signed: part(at.SIGNED, u32(at.SIGNED_LENGTH)), signature: part(at.SIGNATURE, SIGNATURE_LENGTH),
      delegation: part(at.DELEGATION, u32(at.DELEGATION_LENGTH)), delegationSignature: part(at.DELEGATION_SIGNATURE, SIGNATURE_LENGTH),
      onlineKey: part(at.ONLINE_KEY, NONCE_LENGTH),
    };
  }

  /** How long the packet is that begins so: 0 when that is not known yet, -1 when it is none, or too long. */
  packetLength(head: Uint8Array): number {
    this.#core.bytes.set(head.subarray(0, 12), this.#small);
    return this.#core.exports.roughtimePacketLength(this.#small, Math.min(head.length, 12), this.longest);
  }

  /** A packet that does not fit is cut to nothing, and so found malformed. */
  #fitting(packet: Uint8Array): Uint8Array {
    return packet.length <= this.longest ? packet : new Uint8Array(0);
  }
}

let shared: RoughtimeCore | undefined;

/** The process' one instance. */
export function roughtimeCore(): RoughtimeCore {
  return (shared ??= new RoughtimeCore());
}
