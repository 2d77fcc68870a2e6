// SPDX-License-Identifier: MIT OR Apache-2.0
/** NTS requests of a batch, answered together, and answers that are laid out before they are sealed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, hex, packet } from "../../tests/support/core.ts";
import { AEADS, RECEIVED, TRANSMIT, expectKiss, flip, noise, ntsCore, sessionOf } from "../../tests/support/nts-core.ts";
import { COOKIE, fieldOf, ntsRequest, readAnswer, uniqueOf } from "../../tests/support/nts.ts";

const stage = ntsCore();
const { ask, at, cookieOf, opened, scratch, server } = stage;

describe("a batch", () => {
  const SIZE = 64;

  function askAll(requests: readonly Uint8Array[]): Uint8Array[] {
    const [table, size, stride] = [stage.core.constant("SLOT_TABLE"), stage.core.constant("SLOT_SIZE"), stage.core.constant("SLOT_STRIDE_OCTETS")];
    requests.forEach((request, slot) => {
      stage.core.bytes.set(request, at + slot * stride);
      stage.core.setU32(table + slot * size + stage.core.constant("SLOT_LENGTH"), request.length);
      stage.core.setU64(table + slot * size + stage.core.constant("SLOT_RECEIVED"), RECEIVED + BigInt(slot));
    });
    const answers = stage.core.exports.answerBatch(requests.length, TRANSMIT, server);
    const replies = requests.map((_, slot) => stage.core.bytes.slice(at + slot * stride, at + slot * stride + stage.core.u32(table + slot * size + stage.core.constant("SLOT_LENGTH"))));
    expect(answers).toBe(replies.filter(({ length }) => length > 0).length);
    return replies;
  }

  it("of any mixture gets each the answer that it would get alone", () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom(...AEADS), fc.nat(8), fc.nat(11), fc.nat(80)), { maxLength: SIZE }), (kinds) => {
      const sessions = kinds.map(([aead]) => sessionOf(aead));
      const requests = kinds.map(([, placeholders, kind, textLength], index) => {
        const session = sessions[index]!;
        const cookie = cookieOf(session);
        const unique = uniqueOf(index);
        if (kind === 0) return packet({ transmitTime: BigInt(index) });
        if (kind === 1) return ntsRequest(session, { cookie: flip(cookie, 777 % (cookie.length * 8)), unique, placeholders });
        if (kind === 2) return ntsRequest({ ...session, c2s: noise(session.c2s.length) }, { cookie, unique, placeholders });
        if (kind === 3) return packet({}, fieldOf(COOKIE, cookie));
        if (kind === 4) return new Uint8Array(7);
        const long = ntsRequest(session, { cookie, unique, placeholders, text: kind === 5 ? noise(textLength) : new Uint8Array(0) });
        return long;
      });
      const replies = askAll(requests);
      replies.forEach((reply, index) => {
        const [, placeholders, kind] = kinds[index]!;
        expect(reply.length).toBeLessThanOrEqual(requests[index]!.length);
        if (kind === 3 || kind === 4) return expect(reply).toHaveLength(0);
        if (kind === 0) return expect(reply).toHaveLength(48);
        if (kind === 1 || kind === 2) return expectKiss(reply, requests[index]!, uniqueOf(index));
        const { fields, cookies } = readAnswer(sessions[index]!, reply);
        expect(new DataView(reply.buffer).getBigUint64(32)).toBe(RECEIVED + BigInt(index));
        expect(fields[0]!.value).toEqual(uniqueOf(index));
        expect(cookies).toHaveLength(Math.min(8, placeholders + 1));
        for (const cookie of cookies) expect(opened(cookie)?.keys).toBe(hex(concat(sessions[index]!.c2s, sessions[index]!.s2c)));
        return undefined;
      });
    }), { numRuns: 40 });
  });

  it("of 64 requests with seven placeholders of the longest keys is answered whole", () => {
    const sessions = Array.from({ length: SIZE }, (_, index) => sessionOf(index % 2 ? 17 : 15));
    const replies = askAll(sessions.map((session) => ntsRequest(session, { cookie: cookieOf(session), placeholders: 7 })));
    replies.forEach((reply, index) => expect(readAnswer(sessions[index]!, reply).cookies).toHaveLength(8));
  });
});

describe("answers laid out but not sealed yet", () => {
  it("are each sealed for their own packet, in any order", () => {
    const sessions = AEADS.map(sessionOf);
    const stride = stage.core.constant("SLOT_STRIDE_OCTETS");
    const lengths = sessions.map((session, slot) => {
      const request = ntsRequest(session, { cookie: cookieOf(session) });
      stage.core.bytes.set(request, at + slot * stride);
      return stage.core.exports.respond(at + slot * stride, request.length, RECEIVED, server);
    });
    for (const slot of [2, 0, 3, 1]) {
      stage.core.exports.stampTransmit(at + slot * stride, TRANSMIT);
      expect(readAnswer(sessions[slot]!, stage.core.bytes.slice(at + slot * stride, at + slot * stride + lengths[slot]!)).cookies).toHaveLength(1);
    }
  });

  it("are forgotten when another request comes in their place, or a key changes", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    stage.core.bytes.set(request, at);
    expect(stage.core.exports.respond(at, request.length, RECEIVED, server)).toBe(request.length);
    const plain = ask(packet({ transmitTime: 5n }));
    expect(plain).toHaveLength(48);
    stage.core.bytes.set(request, at);
    const length = stage.core.exports.respond(at, request.length, RECEIVED, server);
    stage.core.exports.cookieKeyClear(0);
    stage.core.exports.stampTransmit(at, TRANSMIT);
    expect(() => readAnswer(session, stage.core.bytes.slice(at, at + length))).toThrow();
  });

  it("leave no key in the core once they are sealed", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    stage.core.bytes.fill(0, scratch, scratch + 4096);
    ask(request);
    const memory = Buffer.from(stage.core.bytes.buffer);
    for (const key of [session.c2s, session.s2c]) expect(memory.includes(Buffer.from(key.subarray(0, 16))), "a key is left").toBe(false);
  });
});
