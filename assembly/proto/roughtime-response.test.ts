// SPDX-License-Identifier: MIT OR Apache-2.0
/** Each reason to refuse a Roughtime response, met by a response that is right but for it, and signed again where that matters. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { describe, expect, it } from "vitest";
import { DELEGATION_CONTEXT, RESPONSE_CONTEXT } from "../../hosts/common/roughtime/ed25519.ts";
import { makeRequest } from "../../hosts/common/roughtime/request.ts";
import { verifyResponse } from "../../hosts/common/roughtime/response.ts";
import { concat } from "../../tests/support/core.ts";
import { framed, message, u32, u64 } from "../../tests/support/roughtime.ts";

const LONG = new Uint8Array(32).fill(1);
const ONLINE = new Uint8Array(32).fill(2);
const KEY = ed25519.getPublicKey(LONG);
const NONCE = new Uint8Array(32).fill(3);
const DRAFT = 0x8000000c;
const request = makeRequest(KEY, NONCE);
const draftRequest = makeRequest(KEY, NONCE, [DRAFT]);
const hash = (...parts: Uint8Array[]) => sha512(concat(...parts)).slice(0, 32);
const leaf = (asked: Uint8Array) => hash(Uint8Array.of(0), asked);
const node = (left: Uint8Array, right: Uint8Array) => hash(Uint8Array.of(1), left, right);

type Tags = Record<string, Uint8Array | undefined>;
const present = (tags: Tags) => message(Object.fromEntries(Object.entries(tags).filter(([, value]) => value)) as Record<string, Uint8Array>);

/** A right response, signed, but for these tags at each level. */
function response(changes: { top?: Tags; srep?: Tags; dele?: Tags; asked?: Uint8Array } = {}): Uint8Array {
  const { top = {}, srep = {}, dele = {}, asked = request } = changes;
  const delegation = present({ PUBK: ed25519.getPublicKey(ONLINE), MINT: u64(1000n), MAXT: u64(2000n), ...dele });
  const signed = present({ VER: u32(1), RADI: u32(3), MIDP: u64(1500n), VERS: u32(1, DRAFT), ROOT: leaf(asked), ...srep });
  const cert = present({ SIG: ed25519.sign(concat(DELEGATION_CONTEXT, delegation), LONG), DELE: delegation });
  const tags = { SIG: ed25519.sign(concat(RESPONSE_CONTEXT, signed), ONLINE), NONC: NONCE, TYPE: u32(1), PATH: new Uint8Array(0), SREP: signed, CERT: cert, INDX: u32(0), ...top };
  return framed(present(tags));
}

const judged = (packet: Uint8Array, asked = request) => verifyResponse(packet, asked, KEY);

describe("a response is valid", () => {
  it("when it is right", () => {
    expect(judged(response()).answer).toEqual({ version: 1, midpoint: 1500n, radius: 3, notBefore: 1000n, notAfter: 2000n, versions: [1, DRAFT], index: 0, height: 0 });
  });

  it("with tags that nobody knows, at every level", () => {
    const unknown = { AAAA: NONCE, ZZ: new Uint8Array(0) };
    expect(judged(response({ top: unknown, srep: unknown, dele: unknown })).why).toBeUndefined();
  });

  it("at the very ends of its delegation", () => {
    for (const midpoint of [1000n, 2000n]) expect(judged(response({ srep: { MIDP: u64(midpoint) } })).why).toBeUndefined();
  });

  it("in the drafts' version with and without TYPE", () => {
    for (const TYPE of [u32(1), undefined]) {
      const packet = response({ asked: draftRequest, srep: { VER: u32(DRAFT) }, top: { TYPE } });
      expect(judged(packet, draftRequest).answer).toMatchObject({ version: DRAFT });
    }
  });

  it.each([1, 2, 7, 32])("with a path of %d hashes, on either side of each", (height) => {
    const path = Array.from({ length: height }, (_, i) => new Uint8Array(32).fill(i + 10));
    for (const index of [0, 1, 0x5a5a5a5a, 0xffffffff].map((bits) => (height === 32 ? bits : bits % 2 ** height) >>> 0)) {
      const root = path.reduce((climbed, sibling, level) => ((index >>> level) & 1 ? node(sibling, climbed) : node(climbed, sibling)), leaf(request));
      expect(judged(response({ srep: { ROOT: root }, top: { PATH: concat(...path), INDX: u32(index) } })).answer).toMatchObject({ height, index });
    }
  });
});

describe("a response is refused", () => {
  it.each(["SIG", "NONC", "TYPE", "PATH", "SREP", "CERT", "INDX"])("without %s", (tag) => {
    expect(judged(response({ top: { [tag]: undefined } })).why).toBe(`a mandatory tag is missing or has a wrong length: ${tag}`);
  });

  it.each(["VER", "RADI", "MIDP", "VERS", "ROOT"])("without %s in SREP, well signed as it is", (tag) => {
    expect(judged(response({ srep: { [tag]: undefined } })).why).toBe(`a mandatory tag is missing or has a wrong length: ${tag}`);
  });

  it.each(["PUBK", "MINT", "MAXT"])("without %s in DELE, well signed as it is", (tag) => {
    expect(judged(response({ dele: { [tag]: undefined } })).why).toBe(`a mandatory tag is missing or has a wrong length: ${tag}`);
  });

  const LONE = new Uint8Array(32).fill(9);
  it.each<[string, Parameters<typeof response>[0], RegExp]>([
    ["as a request's TYPE", { top: { TYPE: u32(0) } }, /TYPE is not 1/],
    ["with another nonce", { top: { NONC: LONE } }, /nonce/],
    ["in a version that was not offered", { srep: { VER: u32(2), VERS: u32(1, 2) } }, /not offered/],
    ["whose versions lack the one it uses", { srep: { VERS: u32(DRAFT) } }, /list of versions/],
    ["whose versions are out of order", { srep: { VERS: u32(DRAFT, 1) } }, /list of versions/],
    ["with more than 32 versions", { srep: { VERS: u32(...Array.from({ length: 33 }, (_, i) => i + 1)) } }, /list of versions/],
    ["with a radius of zero", { srep: { RADI: u32(0) } }, /radius/],
    ["from before its delegation", { srep: { MIDP: u64(999n) } }, /MINT/],
    ["from after its delegation", { srep: { MIDP: u64(2001n) } }, /MINT/],
    ["of the year 2^63", { srep: { MIDP: u64(2n ** 64n - 1n) } }, /MINT/],
    ["with a path of half a hash", { top: { PATH: new Uint8Array(16) } }, /path/],
    ["with a path of 33 hashes", { top: { PATH: new Uint8Array(33 * 32) } }, /path/],
    ["with index bits above its path", { top: { INDX: u32(1) } }, /left over/],
    ["with the highest index bit left over", { top: { INDX: u32(0x80000000) } }, /left over/],
    ["with another root", { srep: { ROOT: LONE } }, /tree/],
    ["with its leaf hashed as a node", { srep: { ROOT: hash(Uint8Array.of(1), request) } }, /tree/],
    ["with a delegation signed by nobody", { dele: {}, top: { CERT: message({ SIG: new Uint8Array(64), DELE: message({ PUBK: LONE, MINT: u64(0n), MAXT: u64(9999n) }) }) } }, /long-term key/],
    ["signed by nobody", { top: { SIG: new Uint8Array(64) } }, /delegated key/],
    ["signed by the long-term key itself", { top: { SIG: ed25519.sign(concat(RESPONSE_CONTEXT, Uint8Array.of(1)), LONG) } }, /delegated key/],
    ["with a certificate that is no message", { top: { CERT: new Uint8Array(152) } }, /malformed/],
    ["with an SREP that is no message", { top: { SREP: new Uint8Array(100) } }, /malformed/],
  ])("%s", (_, changes, why) => {
    expect(judged(response(changes)).why).toMatch(why);
  });

  it("in the drafts' version when only version 1 was offered", () => {
    const asked = makeRequest(KEY, NONCE, [1]);
    expect(judged(response({ asked, srep: { VER: u32(DRAFT) } }), asked).why).toMatch(/not offered/);
  });

  it("when a signature was made in the other's context", () => {
    const delegation = message({ PUBK: ed25519.getPublicKey(ONLINE), MINT: u64(1000n), MAXT: u64(2000n) });
    const cert = message({ SIG: ed25519.sign(concat(RESPONSE_CONTEXT, delegation), LONG), DELE: delegation });
    expect(judged(response({ top: { CERT: cert } })).why).toMatch(/long-term key/);
  });
});
