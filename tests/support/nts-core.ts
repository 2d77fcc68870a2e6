// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A core that is an NTS server, made anew for each test, with one generation of keys, number 0x01020304: requests in, replies out,
 * never longer than the request and with nothing written beside them.
 *
 * @module
 */

import { beforeEach, expect } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { concat, hex, packet, seededRandom } from "./core.ts";
import { KEY_LENGTHS, UNIQUE, fieldOf, uniqueOf, type Session } from "./nts.ts";

export const AEADS = [15, 16, 17, 30];
export const RECEIVED = 0xeb123456_89abcdefn;
export const TRANSMIT = RECEIVED + 429_497n;
const random = seededRandom(8915);
/** Octets that are the same in each run. */
export const noise = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, () => random() & 0xff);
export const KEY = noise(32);

export const sessionOf = (aead: number): Session => ({ aead, c2s: noise(KEY_LENGTHS[aead]!), s2c: noise(KEY_LENGTHS[aead]!) });
export const flip = (octets: Uint8Array, bit: number): Uint8Array => octets.map((octet, index) => (index === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));

class NtsCore {
  core = new Core();
  /** Where packets, the host's own octets and the server's state lie; the same in each instance. */
  readonly at = this.core.constant("SLOTS");
  readonly scratch = this.core.constant("SCRATCH");
  readonly server = this.core.constant("SERVER");

  /** Another core, of which nobody has made an NTS server. */
  begin(): void {
    this.core = new Core();
    this.core.view.setUint8(this.server + this.core.constant("SERVER_STRATUM"), 2);
  }

  seed(): void {
    this.setKey(0, 0x01020304, KEY);
    this.core.exports.cookieKeyCurrent(0);
    this.core.bytes.set(noise(32), this.scratch);
    this.core.exports.ntsSeed(this.scratch);
  }

  readonly setKey = (slot: number, id: number, key: Uint8Array): number => {
    this.core.bytes.set(key, this.scratch);
    return this.core.exports.cookieKeySet(slot, id, this.scratch);
  };

  readonly cookieOf = ({ aead, c2s, s2c }: Session, nonce = noise(16)): Uint8Array => {
    const { core: { bytes, exports }, scratch } = this;
    bytes.set(c2s, scratch);
    bytes.set(s2c, scratch + 64);
    bytes.set(nonce, scratch + 128);
    const length = exports.cookieSeal(aead, scratch, scratch + 64, scratch + 256, scratch + 128);
    return bytes.slice(scratch + 256, scratch + 256 + length);
  };

  /** The keys in a cookie, hex; undefined when it does not open. */
  readonly opened = (cookie: Uint8Array): { aead: number; keys: string } | undefined => {
    const { core: { bytes, exports }, scratch } = this;
    bytes.set(cookie, scratch);
    const aead = exports.cookieOpen(scratch, cookie.length, scratch + 1024);
    return aead === 0 ? undefined : { aead, keys: hex(bytes.slice(scratch + 1024, scratch + 1024 + 2 * KEY_LENGTHS[aead]!)) };
  };

  readonly ask = (request: Uint8Array): Uint8Array => {
    const { core: { bytes, exports }, at, server } = this;
    bytes.fill(0xe7, at, at + 2112);
    bytes.set(request, at);
    const length = exports.respond(at, request.length, RECEIVED, server);
    if (length > 0) exports.stampTransmit(at, TRANSMIT);
    expect(length, "an answer longer than its request").toBeLessThanOrEqual(request.length);
    expect(bytes.slice(at + request.length, at + 2112).every((octet) => octet === 0xe7), "written behind the request").toBe(true);
    return bytes.slice(at, at + length);
  };
}

/** For each test of a file a server of its own. */
export function ntsCore(): NtsCore {
  const stage = new NtsCore();
  beforeEach(() => {
    stage.begin();
    stage.seed();
  });
  return stage;
}

/** The reply is NTSN to the request, and nothing else. */
export function expectKiss(reply: Uint8Array, request: Uint8Array, unique = uniqueOf()): void {
  const origin = new DataView(request.buffer).getBigUint64(40);
  expect(hex(reply)).toBe(hex(concat(
    packet({ leap: 3, mode: 4, refid: 0x4e54534e, originTime: origin, receiveTime: origin, transmitTime: TRANSMIT }),
    fieldOf(UNIQUE, unique),
  )));
}
