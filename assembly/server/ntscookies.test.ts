// SPDX-License-Identifier: MIT OR Apache-2.0
/** The cookies of the NTS server as noble makes them, and the generations of keys that open them (RFC 8915 §6). */
import { aessiv } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { concat, hex } from "../../tests/support/core.ts";
import { AEADS, KEY, expectKiss, flip, noise, ntsCore, sessionOf } from "../../tests/support/nts-core.ts";
import { ntsRequest, readAnswer } from "../../tests/support/nts.ts";

const stage = ntsCore();
const { ask, cookieOf, opened, scratch, setKey } = stage;

describe("a cookie", () => {
  it.each(AEADS)("for AEAD %i is key id, nonce, and AES-SIV-CMAC-256 over both keys, as noble does it", (aead) => {
    const session = sessionOf(aead);
    const nonce = noise(16);
    const cookie = cookieOf(session, nonce);
    const associated = Uint8Array.of(1, 2, 3, 4, 0, aead);
    expect(hex(cookie)).toBe(hex(concat(Uint8Array.of(1, 2, 3, 4), nonce, aessiv(KEY, associated, nonce).encrypt(concat(session.c2s, session.s2c)))));
    expect(cookie.length).toBe({ 15: 100, 16: 132, 17: 164, 30: 68 }[aead]);
    expect(stage.core.exports.cookieLength(aead)).toBe(cookie.length);
    expect(opened(cookie)).toEqual({ aead, keys: hex(concat(session.c2s, session.s2c)) });
  });

  it("with any bit flipped does not open, and neither does one cut or lengthened", () => {
    const cookie = cookieOf(sessionOf(30));
    for (let bit = 0; bit < cookie.length * 8; bit++) expect(opened(flip(cookie, bit)), `bit ${bit}`).toBeUndefined();
    for (let length = 0; length < 200; length++) {
      if (length !== cookie.length) expect(opened(concat(cookie, new Uint8Array(200)).subarray(0, length))).toBeUndefined();
    }
  });

  it("is not made for an AEAD that is not known, nor when no key is current", () => {
    expect(cookieOf({ ...sessionOf(15), aead: 14 })).toHaveLength(0);
    stage.core.exports.cookieKeyClear(0);
    expect(cookieOf(sessionOf(15))).toHaveLength(0);
  });
});

describe("generations of keys", () => {
  it("are eight, each with an identifier of its own", () => {
    for (let slot = 1; slot < 8; slot++) expect(setKey(slot, slot, noise(32))).toBe(1);
    for (const slot of [-1, 8, 0x7fffffff, -0x80000000]) {
      expect(setKey(slot, 99, noise(32))).toBe(0);
      expect(stage.core.exports.cookieKeyCurrent(slot)).toBe(0);
      stage.core.exports.cookieKeyClear(slot);
    }
    expect(setKey(1, 2, noise(32))).toBe(0);
    expect(setKey(1, 1, noise(32))).toBe(1);
  });

  it("open cookies until they are cleared; a client that comes back after that is told NTSN", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    setKey(1, 7, noise(32));
    expect(stage.core.exports.cookieKeyCurrent(1)).toBe(1);
    const { cookies } = readAnswer(session, ask(request));
    expect(cookies[0]!.slice(0, 4)).toEqual(Uint8Array.of(0, 0, 0, 7));
    expect(opened(cookies[0]!)?.keys).toBe(hex(concat(session.c2s, session.s2c)));
    stage.core.exports.cookieKeyClear(0);
    expectKiss(ask(request), request);
    expect(readAnswer(session, ask(ntsRequest(session, { cookie: cookies[0]! }))).cookies).toHaveLength(1);
    expect(stage.core.exports.cookieKeyCurrent(0)).toBe(0);
  });

  it("leave no key behind where the host put it", () => {
    setKey(3, 3, KEY);
    expect(stage.core.bytes.slice(scratch, scratch + 32).every((octet) => octet === 0)).toBe(true);
  });

  it("without a current one authenticate the time, but give no cookies", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders: 2 });
    setKey(1, 7, noise(32));
    stage.core.exports.cookieKeyCurrent(1);
    stage.core.exports.cookieKeyClear(1);
    expect(readAnswer(session, ask(request)).cookies).toEqual([]);
  });
});
