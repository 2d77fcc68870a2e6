// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Grease (RFC 10049 §7): a few answers that are wrong on purpose, so that clients that do not verify are found out, and
 * clients that choke on what is new to them, too.
 *
 *   missing      a mandatory tag is left out                         clients refuse it
 *   version      a version that nobody offered                       clients refuse it
 *   undefined    a tag that nobody knows, all else valid             clients ignore the tag and take the answer
 *   signature    a wrong time, and signatures that do not hold       clients refuse it
 *
 * MUST NOT: a wrong time with a valid signature. Tested in grease.test.ts.
 *
 * @module
 */

import type { Host } from "../host.ts";

export type Grease = "missing" | "version" | "undefined" | "signature";
export const GREASES: readonly Grease[] = ["missing", "version", "undefined", "signature"];

const FRAME = 12;
const TAG_SREP = 0x50455253;
const TAG_VER = 0x00524556;
const TAG_SIG = 0x00474953;
const TAG_MIDP = 0x5044494d;
/** "GREA" says what it is to those who look. */
const TAG_UNDEFINED = 0x41455247;
/** In the range for private use. */
const VERSION_UNDEFINED = 0xfa1afa1a;

type Message = Map<number, Uint8Array>;

/** Tags and values of a message of our own making. */
export function takeApart(message: Uint8Array): Message {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const count = view.getUint32(0, true);
  const values = 8 * count;
  const start = (i: number) => (i === 0 ? 0 : i === count ? message.length - values : view.getUint32(4 * i, true));
  return new Map(Array.from({ length: count }, (_, i) => [view.getUint32(4 * (count + i), true), message.slice(values + start(i), values + start(i + 1))]));
}

/** The message again, in order. */
export function putTogether(message: Message): Uint8Array {
  const entries = [...message].sort(([one], [other]) => one - other);
  const values = 8 * entries.length;
  const octets = new Uint8Array(values + entries.reduce((sum, [, { length }]) => sum + length, 0));
  const view = new DataView(octets.buffer);
  view.setUint32(0, entries.length, true);
  let offset = 0;
  entries.forEach(([tag, value], i) => {
    if (i > 0) view.setUint32(4 * i, offset, true);
    view.setUint32(4 * (entries.length + i), tag, true);
    octets.set(value, values + offset);
    offset += value.length;
  });
  return octets;
}

/** A valid answer of ours made so. `chance` gives octets to choose and spoil by. */
export function greased(answer: Uint8Array, kind: Grease, chance: Uint8Array): Uint8Array {
  const message = takeApart(answer.subarray(FRAME));
  if (kind === "missing") message.delete([...message.keys()][chance[0]! % message.size]!);
  if (kind === "undefined") message.set(TAG_UNDEFINED, chance.slice(0, 8));
  if (kind === "version" || kind === "signature") spoilSigned(message, kind, chance);
  const body = putTogether(message);
  const packet = new Uint8Array(FRAME + body.length);
  packet.set(answer.subarray(0, 8));
  new DataView(packet.buffer).setUint32(8, body.length, true);
  packet.set(body, FRAME);
  return packet;
}

function spoilSigned(message: Message, kind: Grease, chance: Uint8Array): void {
  const signed = takeApart(message.get(TAG_SREP)!);
  const four = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  if (kind === "version") signed.set(TAG_VER, four(VERSION_UNDEFINED));
  // MUST be wrong: the time with it is.
  const signature = message.get(TAG_SIG)!;
  signature[1 + (chance[1]! % 30)]! ^= 1 + (chance[2]! % 255);
  if (kind === "signature") signed.get(TAG_MIDP)![3 + (chance[3]! & 1)]! ^= 1 + (chance[4]! % 255);
  message.set(TAG_SREP, putTogether(signed));
}

/** Of each so many answers one is greased, at random. */
export class Greaser {
  readonly #fraction: number;
  readonly #host: Pick<Host, "random">;

  constructor(host: Pick<Host, "random">, fraction: number) {
    this.#host = host;
    this.#fraction = fraction;
  }

  /** The answer, or now and then a greased one that is no longer than `room`. */
  pass(answer: Uint8Array, room: number): { readonly packet: Uint8Array; readonly grease?: Grease } {
    if (this.#fraction === 0) return { packet: answer };
    const chance = this.#host.random(new Uint8Array(16));
    const view = new DataView(chance.buffer, chance.byteOffset);
    if (view.getUint32(8) >= this.#fraction * 2 ** 32) return { packet: answer };
    const grease = GREASES[view.getUint32(12) % GREASES.length]!;
    const packet = greased(answer, grease, chance);
    return packet.length <= room ? { packet, grease } : { packet: answer };
  }
}
