// SPDX-License-Identifier: MIT OR Apache-2.0
/** Cookie keys as the host holds them, and cookies made for key establishment that a serving core opens. @module */
import { beforeEach, describe, expect, it } from "vitest";
import { aessiv } from "@noble/ciphers/aes.js";
import { Core } from "../core/core.ts";
import { hex, seededRandom } from "../../../tests/support/core.ts";
import { KEY_LENGTHS, ntsRequest, readAnswer } from "../../../tests/support/nts.ts";
import { COOKIE_GENERATIONS, NtsCookies } from "./ntscookies.ts";

const random = seededRandom(46);
const fill = (bytes: Uint8Array<ArrayBuffer>) => bytes.map(() => random() & 0xff);
const noise = (length: number) => fill(new Uint8Array(length));
const keyOf = (id: number) => ({ id, key: new Uint8Array(32).fill(id & 0xff) });

let core: Core;
let cookies: NtsCookies;

beforeEach(() => {
  core = new Core();
  cookies = new NtsCookies(core, fill);
});

/** Ask a serving core with `cookie`; true when it gave time, false when it gave NTSN. */
function serves(on: Core, session: { aead: number; c2s: Uint8Array; s2c: Uint8Array }, cookie: Uint8Array): boolean {
  const request = ntsRequest(session, { cookie });
  const at = on.constant("SLOTS");
  on.bytes.set(request, at);
  const length = on.exports.respond(at, request.length, 1n, on.constant("SERVER"));
  on.exports.stampTransmit(at, 2n);
  const reply = on.bytes.slice(at, at + length);
  if (new DataView(reply.buffer).getUint32(12) === 0x4e54534e) return false;
  expect(readAnswer(session, reply).cookies).toHaveLength(1);
  return true;
}

describe("cookies for key establishment", () => {
  it.each([15, 16, 17, 30])("for AEAD %i hold both keys, and a core with the same generations takes them", (aead) => {
    const session = { aead, c2s: noise(KEY_LENGTHS[aead]!), s2c: noise(KEY_LENGTHS[aead]!) };
    cookies.setKeys([keyOf(3), keyOf(4)], 4);
    const cookie = cookies.cookie(aead, session.c2s, session.s2c);
    const text = aessiv(keyOf(4).key, Uint8Array.of(0, 0, 0, 4, 0, aead), cookie.slice(4, 20)).decrypt(cookie.slice(20));
    expect(hex(text)).toBe(hex(session.c2s) + hex(session.s2c));
    const other = new Core();
    const serving = new NtsCookies(other, fill);
    serving.setKeys([keyOf(4)], 4);
    serving.seed();
    expect(serves(other, session, cookie)).toBe(true);
  });

  it("are all different", () => {
    cookies.setKeys([keyOf(1)], 1);
    expect(new Set(Array.from({ length: 100 }, () => hex(cookies.cookie(30, noise(16), noise(16)).slice(4, 20)))).size).toBe(100);
  });

  it("leave nothing secret in the scratch area", () => {
    cookies.setKeys([keyOf(9)], 9);
    cookies.seed();
    cookies.cookie(15, noise(32), noise(32));
    const scratch = core.constant("SCRATCH");
    expect(core.bytes.slice(scratch, scratch + 4096).every((octet) => octet === 0)).toBe(true);
  });

  it("are refused for unknown AEADs, keys of a wrong length, and without a key", () => {
    expect(() => cookies.cookie(15, noise(32), noise(32))).toThrow(/call setKeys first/);
    cookies.setKeys([keyOf(1)], 1);
    expect(() => cookies.cookie(14, noise(32), noise(32))).toThrow(/expected AEAD 15, 16, 17 or 30, got 14/);
    expect(() => cookies.cookie(15, noise(32), noise(31))).toThrow(/two keys of 32 octets for AEAD 15, got 32 and 31/);
  });
});

describe("generations", () => {
  const session = { aead: 15, c2s: noise(32), s2c: noise(32) };

  it("rotate: a cookie is good while its generation is held, over any number of rotations", () => {
    cookies.seed();
    const made: Uint8Array[] = [];
    for (let id = 0; id < 40; id++) {
      const held = Array.from({ length: Math.min(id + 1, 3) }, (_, back) => keyOf(id - back));
      cookies.setKeys(held, id);
      made.push(cookies.cookie(15, session.c2s, session.s2c));
      made.forEach((cookie, of) => expect(serves(core, session, cookie), `cookie ${of} at ${id}`).toBe(of > id - 3));
    }
  });

  it("may change the key of an identifier, and then do not open what the old one sealed", () => {
    cookies.seed();
    cookies.setKeys([keyOf(1)], 1);
    const cookie = cookies.cookie(15, session.c2s, session.s2c);
    cookies.setKeys([{ id: 1, key: noise(32) }], 1);
    expect(serves(core, session, cookie)).toBe(false);
  });

  it("may be eight, with identifiers up to 2^32 - 1", () => {
    const eight = Array.from({ length: COOKIE_GENERATIONS }, (_, i) => keyOf(0xffffffff - i));
    cookies.setKeys(eight, 0xfffffffb);
    expect(hex(cookies.cookie(15, session.c2s, session.s2c).slice(0, 4))).toBe("fffffffb");
  });

  it.each([
    ["none", [], 1, /one to 8 generations/],
    ["nine", Array.from({ length: 9 }, (_, i) => keyOf(i)), 1, /one to 8 generations of cookie keys, got 9/],
    ["one twice", [keyOf(1), keyOf(1)], 1, /different identifiers/],
    ["no current one", [keyOf(1)], 2, /to be one of the generations, got identifier 2/],
    ["an identifier below zero", [keyOf(-1)], -1, /0 to 4294967295, got -1/],
    ["an identifier beyond 32 bits", [keyOf(2 ** 32)], 2 ** 32, /0 to 4294967295/],
    ["a key of 31 octets", [{ id: 1, key: new Uint8Array(31) }], 1, /32 octets, got 31/],
  ])("cannot be %s; what was set before stays", (_, generations, current, message) => {
    cookies.setKeys([keyOf(5)], 5);
    expect(() => cookies.setKeys(generations, current)).toThrow(message);
    expect(cookies.cookie(15, session.c2s, session.s2c)[3]).toBe(5);
  });
});
