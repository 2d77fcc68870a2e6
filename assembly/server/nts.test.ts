// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTS server (RFC 8915 §5.7) against a client made of noble: answers octet for octet, what is refused with NTSN and what gets
 * no answer at all, and never more octets than the request had.
 */
import { describe, expect, it } from "vitest";
import { concat, field, fromHex, hex, mac, packet } from "../../tests/support/core.ts";
import { AEADS, RECEIVED, TRANSMIT, expectKiss, flip, noise, ntsCore, sessionOf } from "../../tests/support/nts-core.ts";
import { AUTHENTICATOR, COOKIE, PLACEHOLDER, UNIQUE, authenticatorOf, fieldOf, fieldsOf, nonceOf, ntsRequest, readAnswer, uniqueOf } from "../../tests/support/nts.ts";

const stage = ntsCore();
const { ask, cookieOf, opened } = stage;

describe.each(AEADS)("an answer under AEAD %i", (aead) => {
  it.each([0, 1, 2, 3, 6, 7])("to %i placeholders is authentic, as long as its request, and brings that many cookies and one", (placeholders) => {
    const session = sessionOf(aead);
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders, transmitTime: 77n });
    const reply = ask(request);
    const { fields, cookies } = readAnswer(session, reply);
    expect(reply.length).toBe(request.length);
    expect(fields.map(({ type }) => type)).toEqual([UNIQUE, AUTHENTICATOR]);
    expect(fields[0]!.value).toEqual(uniqueOf());
    expect(cookies).toHaveLength(placeholders + 1);
    expect(new Set(cookies.map(hex)).size).toBe(placeholders + 1);
    for (const cookie of cookies) expect(opened(cookie)).toEqual({ aead, keys: hex(concat(session.c2s, session.s2c)) });
    const header = new DataView(reply.buffer);
    expect([header.getUint8(0), header.getUint8(1)]).toEqual([0x24, 2]);
    expect([24, 32, 40].map((offset) => header.getBigUint64(offset))).toEqual([77n, RECEIVED, TRANSMIT]);
  });

  it("never has more than eight cookies, however many placeholders came", () => {
    const session = sessionOf(aead);
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders: 9 });
    expect(readAnswer(session, ask(request)).cookies).toHaveLength(8);
  });

  it("to a request with any bit flipped is NTSN, silence, or none that a client takes", () => {
    const session = sessionOf(aead);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    for (let bit = 0; bit < request.length * 8; bit++) {
      const changed = flip(request, bit);
      const reply = ask(changed);
      if (reply.length === 0) continue;
      expect(() => readAnswer(session, reply), `bit ${bit}`).toThrow();
      const kiss = new DataView(reply.buffer).getUint32(12) === 0x4e54534e;
      // What is left of NTS by a flipped type or version is no NTS, unless another of its fields says so.
      if (!kiss) expect(reply.length).toBe(48);
    }
  });

  it("is different each time, to the same request too: a replayed cookie is still good", () => {
    const session = sessionOf(aead);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    const replies = Array.from({ length: 100 }, () => ask(request));
    const answers = replies.map((reply) => readAnswer(session, reply));
    expect(new Set(answers.map(({ nonce }) => hex(nonce))).size).toBe(100);
    expect(new Set(answers.map(({ cookies }) => hex(cookies[0]!.slice(4, 20)))).size).toBe(100);
  });

  it("has fewer cookies where other answers take the room", () => {
    const session = sessionOf(aead);
    const nonce = aead === 30 ? nonceOf(30) : noise(1);
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders: 1, nonce });
    expect(readAnswer(session, ask(request)).cookies).toHaveLength(aead === 30 ? 2 : 1);
  });
});

describe("an answer", () => {
  it("authenticates the answers to other fields, wherever they stand", () => {
    const session = sessionOf(15);
    const monoRoot = concat(fromHex("f323001cf5bedd9a"), new Uint8Array(20));
    const cookie = cookieOf(session);
    const request = ntsRequest(session, { cookie, others: [monoRoot, field(0x4321, 40)] });
    expect(readAnswer(session, ask(request)).fields.map(({ type }) => type)).toEqual([UNIQUE, 0xf323, AUTHENTICATOR]);
    const ad = packet({}, monoRoot, fieldOf(COOKIE, cookie), fieldOf(UNIQUE, uniqueOf(9)));
    const { fields, cookies } = readAnswer(session, ask(concat(ad, authenticatorOf(15, session.c2s, nonceOf(15), ad))));
    expect(fields.map(({ type }) => type)).toEqual([0xf323, UNIQUE, AUTHENTICATOR]);
    expect(fields[1]!.value).toEqual(uniqueOf(9));
    expect(cookies).toHaveLength(1);
  });

  it("is due to a request that hides a text in its authenticator", () => {
    const session = sessionOf(15);
    for (const length of [1, 15, 16, 17, 100]) {
      const request = ntsRequest(session, { cookie: cookieOf(session), text: noise(length) });
      expect(readAnswer(session, ask(request)).cookies).toHaveLength(1);
    }
  });

  it("is due to nonces of 1 to 64 octets, and comes with one of 16", () => {
    const session = sessionOf(15);
    for (let length = 1; length <= 64; length++) {
      const request = ntsRequest(session, { cookie: cookieOf(session), nonce: noise(length), padding: length < 16 ? 16 - ((length + 3) & ~3) : 0 });
      const { nonce, cookies } = readAnswer(session, ask(request));
      expect([nonce.length, cookies.length]).toEqual([16, 1]);
    }
  });

  it("with a nonce not of twelve octets is NTSN under AEAD 30", () => {
    const session = sessionOf(30);
    for (let length = 1; length <= 64; length++) {
      if (length === 12) continue;
      const genuine = ntsRequest(session, { cookie: cookieOf(session), padding: 64 });
      const authenticator = fieldsOf(genuine).at(-1)!.at;
      new DataView(genuine.buffer).setUint16(authenticator + 4, length);
      expectKiss(ask(genuine), genuine);
    }
  });

  it("carries a unique identifier of any length as it came, and none of less than 32 octets", () => {
    const session = sessionOf(15);
    for (const length of [32, 36, 64, 256]) {
      const unique = noise(length);
      expect(readAnswer(session, ask(ntsRequest(session, { cookie: cookieOf(session), unique }))).fields[0]!.value).toEqual(unique);
    }
    for (const length of [12, 28]) expect(ask(ntsRequest(session, { cookie: cookieOf(session), unique: noise(length) }))).toHaveLength(0);
  });

  it("gives nothing for placeholders shorter than the cookie", () => {
    const session = sessionOf(15);
    const others = [fieldOf(PLACEHOLDER, new Uint8Array(96)), fieldOf(PLACEHOLDER, new Uint8Array(12))];
    expect(readAnswer(session, ask(ntsRequest(session, { cookie: cookieOf(session), others }))).cookies).toHaveLength(1);
  });
});

describe("NTSN, with the same unique identifier and nothing else,", () => {
  const session = sessionOf(15);

  it("is the answer to a wrong C2S key", () => {
    const request = ntsRequest({ ...session, c2s: noise(32) }, { cookie: cookieOf(session) });
    expectKiss(ask(request), request);
  });

  it("is the answer to a key identifier that nobody knows, and to cookies of any other length", () => {
    const foreign = cookieOf(session);
    foreign[0] = 99;
    for (const cookie of [foreign, noise(100), noise(12), noise(104), noise(500)]) {
      const request = ntsRequest(session, { cookie, unique: uniqueOf(3) });
      expectKiss(ask(request), request, uniqueOf(3));
    }
  });

  it("is the answer to a flipped bit anywhere in the cookie or in the tag", () => {
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    for (let bit = (48 + 36 + 4) * 8; bit < (48 + 36 + 104) * 8; bit++) expectKiss(ask(flip(request, bit)), request);
    for (let bit = (request.length - 16) * 8; bit < request.length * 8; bit++) expectKiss(ask(flip(request, bit)), request);
  });
});

describe("no answer at all is due to", () => {
  const session = sessionOf(15);
  const make = (...fields: Uint8Array[]) => {
    const ad = packet({}, ...fields);
    return concat(ad, authenticatorOf(15, session.c2s, nonceOf(15), ad));
  };
  const unique = fieldOf(UNIQUE, uniqueOf());
  const requests: Record<string, (cookie: Uint8Array) => Uint8Array> = {
    "a request without unique identifier": (cookie) => make(cookie),
    "one without cookie": () => make(unique),
    "one with two cookies": (cookie) => make(unique, cookie, cookie),
    "one with two unique identifiers": (cookie) => make(unique, unique, cookie),
    "one with two authenticators": (cookie) => {
      const once = make(unique, cookie);
      return concat(once, authenticatorOf(15, session.c2s, nonceOf(15), once));
    },
    "one with a cookie behind the authenticator": (cookie) => concat(make(unique), cookie),
    "one with a field behind the authenticator": (cookie) => concat(make(unique, cookie), field(0x4321, 28)),
    "one with a placeholder behind the authenticator": (cookie) => concat(make(unique, cookie), fieldOf(PLACEHOLDER, new Uint8Array(100))),
    "one with a MAC behind the authenticator": (cookie) => concat(make(unique, cookie), mac(20)),
    "one without authenticator: it is no plain request": (cookie) => packet({}, unique, cookie),
    "placeholders alone": () => packet({}, unique, fieldOf(PLACEHOLDER, new Uint8Array(100))),
    "one in symmetric mode": (cookie) => {
      const request = make(unique, cookie);
      request[0] = 0x21;
      return request;
    },
    "an authenticator without nonce": (cookie) => concat(packet({}, unique, cookie), fieldOf(AUTHENTICATOR, concat(Uint8Array.of(0, 0, 0, 16), noise(32)))),
    "an authenticator with a tag that is cut": (cookie) => concat(packet({}, unique, cookie), fieldOf(AUTHENTICATOR, concat(Uint8Array.of(0, 16, 0, 15), noise(32)))),
    "an authenticator whose parts do not fit in": (cookie) => concat(packet({}, unique, cookie), fieldOf(AUTHENTICATOR, concat(Uint8Array.of(0, 16, 0, 17), noise(32)))),
    "an authenticator with a nonce of 65535 octets": (cookie) => concat(packet({}, unique, cookie), fieldOf(AUTHENTICATOR, concat(Uint8Array.of(255, 255, 255, 255), noise(32)))),
  };

  it.each(Object.keys(requests))("%s", (name) => {
    expect(ask(requests[name]!(fieldOf(COOKIE, cookieOf(session))))).toHaveLength(0);
  });

  it("any of its truncations", () => {
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders: 1 });
    for (let length = 0; length < request.length; length++) {
      const reply = ask(request.slice(0, length));
      // Cut behind the header, or behind the unique identifier, it is a plain request; with 20 or 24 octets more it ends in what
      // looks like a MAC with a key we do not have, and earns a crypto-NAK. None of that is an answer to an NTS client.
      const due = length === 48 || length === 84 ? 48 : [68, 72, 104, 108].includes(length) ? 52 : 0;
      expect(reply.length, `${length} octets`).toBe(due);
    }
  });
});

describe("a server that was never seeded", () => {
  it("does no NTS: it passes the fields over and answers in plain NTP", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    stage.begin();
    expect(ask(request)).toHaveLength(48);
  });
});
