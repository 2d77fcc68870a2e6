// SPDX-License-Identifier: MIT OR Apache-2.0
/** Packets with a MAC, against node:crypto and noble: what is written, what is believed, and that nothing else is. */
import { cmac } from "@noble/ciphers/aes.js";
import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { Bench, concat, hex, packet, seconds, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at } = bench;
const { view, bytes } = core;
const EXCHANGE = core.constant("EXCHANGE");
const exchange = core.fields("EXCHANGE", ["AUTH", "AUTH_INDEX", "VERSION", "MODE", "WANTS", "ORIGIN", "T1", "T4"]);
const AUTHENTICATED = core.constant("SAMPLE") + core.constant("SAMPLE_AUTHENTICATED");
const [IGNORE, ACCEPT, KISS] = [0, 1, 2];
const ORIGIN = 0x0123456789abcdefn;
const T1 = 0xeb000000_00000000n;
const INDEX = 200;
const ID = 0xfedcba98;

const random = seededRandom(5);
const octets = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
const digest = (name: string) => (secret: Uint8Array, data: Uint8Array) => new Uint8Array(createHash(name).update(secret).update(data).digest());
const TYPES = [
  { type: 1, name: "MD5", length: 20, mac: digest("md5") },
  { type: 2, name: "SHA1", length: 20, mac: digest("sha1") },
  { type: 3, name: "SHA256", length: 20, mac: digest("sha256") },
  { type: 4, name: "AES128", length: 16, mac: (secret: Uint8Array, data: Uint8Array) => cmac(data, secret) },
  { type: 5, name: "AES256", length: 32, mac: (secret: Uint8Array, data: Uint8Array) => cmac(data, secret) },
];

function put(type: number, secret: Uint8Array, id = ID): number {
  bytes.set(secret, bench.scratch);
  return exports.keySet(INDEX, id, type, bench.scratch, secret.length);
}

function prepare(version: number, wants = 0): void {
  view.setUint8(exchange.AUTH, 1);
  view.setInt32(exchange.AUTH_INDEX, INDEX, true);
  view.setUint8(exchange.VERSION, version);
  view.setUint8(exchange.MODE, 3);
  core.setU32(exchange.WANTS, wants);
  core.setU64(exchange.ORIGIN, ORIGIN);
  core.setU64(exchange.T1, T1);
  core.setU64(exchange.T4, T1 + seconds(0.03));
}

const idOctets = (id: number) => Uint8Array.of(id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255);
/** With the MAC of the given function, cut as RFC 7822 asks in version 4. */
function signed(data: Uint8Array, secret: Uint8Array, { mac }: (typeof TYPES)[number], version = 4, id = ID): Uint8Array {
  const whole = mac(secret, data);
  return concat(data, idOctets(id), version >= 4 ? whole.slice(0, 20) : whole);
}

const reply = (version = 4, header: Parameters<typeof packet>[0] = {}) =>
  packet({ mode: 4, version, stratum: 2, refid: 1, referenceTime: T1, originTime: ORIGIN, receiveTime: T1 + seconds(0.01), transmitTime: T1 + seconds(0.011), ...header });

function judge(data: Uint8Array, version = 4): readonly [verdict: number, authenticated: number] {
  prepare(version);
  const verdict = exports.replyRead(bench.put(data), data.length, EXCHANGE, core.constant("SAMPLE"));
  return [verdict, bytes[AUTHENTICATED]!];
}

beforeEach(() => exports.keyClear(INDEX));

describe.each(TYPES)("a key of type $name", (kind) => {
  const secret = octets(kind.length);

  it.each([3, 4])("signs a request of version %i", (version) => {
    expect(put(kind.type, secret)).toBe(1);
    prepare(version);
    const asked = bench.octets(exports.requestWrite(at, EXCHANGE));
    expect(hex(asked)).toBe(hex(signed(asked.slice(0, 48), secret, kind, version)));
  });

  it("signs behind a field, too", () => {
    put(kind.type, secret);
    prepare(4, 1);
    const asked = bench.octets(exports.requestWrite(at, EXCHANGE));
    expect(hex(asked)).toBe(hex(signed(asked.slice(0, 76), secret, kind)));
  });

  it.each([3, 4])("vouches for a reply of version %i, and for none with any bit changed or cut off", (version) => {
    put(kind.type, secret);
    const good = signed(reply(version), secret, kind, version);
    expect(judge(good, version)).toEqual([ACCEPT, 1]);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = good.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(judge(bad, version), `bit ${bit}`).toEqual([IGNORE, 0]);
    }
    for (let length = 0; length < good.length; length++) expect(judge(good.slice(0, length), version), `${length} octets`).toEqual([IGNORE, 0]);
  });

  it("vouches for no other key's reply", () => {
    put(kind.type, secret);
    const other = octets(kind.length);
    expect(judge(signed(reply(), other, kind))).toEqual([IGNORE, 0]);
    expect(judge(signed(reply(), secret, kind, 4, ID - 1))).toEqual([IGNORE, 0]);
    const another = TYPES[(TYPES.indexOf(kind) + 1) % TYPES.length]!;
    expect(judge(signed(reply(), octets(another.length), another))).toEqual([IGNORE, 0]);
  });
});

describe("who asks with a key", () => {
  const [, kind] = TYPES;
  const secret = octets(20);

  it("believes no reply without a MAC, no crypto-NAK, and no kiss but a signed one", () => {
    put(kind!.type, secret);
    const kiss = reply(4, { stratum: 0, leap: 3, refid: 0x44454e59 });
    for (const data of [reply(), concat(reply(), new Uint8Array(4)), kiss]) expect(judge(data)).toEqual([IGNORE, 0]);
    expect(judge(signed(kiss, secret, kind!))).toEqual([KISS, 1]);
  });

  it("sends nothing at all when the key is gone", () => {
    put(kind!.type, secret);
    exports.keyClear(INDEX);
    prepare(4);
    expect(exports.requestWrite(at, EXCHANGE)).toBe(0);
    expect(judge(signed(reply(), secret, kind!))).toEqual([IGNORE, 0]);
  });
});

describe("what is no key", () => {
  it.each([["an unknown type", 6, 20, 1], ["no type", 0, 20, 1], ["no secret", 1, 0, 1], ["a secret too long", 1, 65, 1], ["key 0", 1, 20, 0], ["half an AES key", 4, 8, 1], ["an AES key of the other length", 5, 16, 1]])(
    "%s is refused", (_what, type, length, id) => {
      expect(put(type, octets(length), id)).toBe(0);
    });

  it("a cleared key leaves no secret behind", () => {
    const secret = octets(20);
    put(1, secret);
    exports.keyClear(INDEX);
    bytes.fill(0, bench.scratch, bench.scratch + 64);
    expect(Buffer.from(bytes).indexOf(Buffer.from(secret))).toBe(-1);
  });
});
