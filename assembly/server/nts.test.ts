// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The NTS server (RFC 8915 §5.7) against a client made of noble: cookies and answers octet for octet, what is refused with
 * NTSN and what gets no answer at all, rotated keys, batches, and never more octets than the request had.
 */
import { aessiv } from "@noble/ciphers/aes.js";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { concat, field, fromHex, hex, mac, packet, seededRandom } from "../../tests/support/core.ts";
import {
  AUTHENTICATOR, COOKIE, KEY_LENGTHS, PLACEHOLDER, UNIQUE, authenticatorOf, fieldOf, fieldsOf, nonceOf, ntsRequest, readAnswer, uniqueOf, type Session,
} from "../../tests/support/nts.ts";

const AEADS = [15, 16, 17, 30];
const RECEIVED = 0xeb123456_89abcdefn;
const TRANSMIT = RECEIVED + 429_497n;
const random = seededRandom(8915);
const noise = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
const KEY = noise(32);

let core: Core;
let at: number;
let scratch: number;
let server: number;

/** A core with one generation, number 0x01020304, and a seed. */
beforeEach(() => {
  core = new Core();
  [at, scratch, server] = [core.constant("SLOTS"), core.constant("SCRATCH"), core.constant("SERVER")];
  core.view.setUint8(server + core.constant("SERVER_STRATUM"), 2);
  setKey(0, 0x01020304, KEY);
  core.exports.cookieKeyCurrent(0);
  core.bytes.set(noise(32), scratch);
  core.exports.ntsSeed(scratch);
});

function setKey(slot: number, id: number, key: Uint8Array): number {
  core.bytes.set(key, scratch);
  return core.exports.cookieKeySet(slot, id, scratch);
}

const sessionOf = (aead: number): Session => ({ aead, c2s: noise(KEY_LENGTHS[aead]!), s2c: noise(KEY_LENGTHS[aead]!) });

function cookieOf({ aead, c2s, s2c }: Session, nonce = noise(16)): Uint8Array {
  core.bytes.set(c2s, scratch);
  core.bytes.set(s2c, scratch + 64);
  core.bytes.set(nonce, scratch + 128);
  const length = core.exports.cookieSeal(aead, scratch, scratch + 64, scratch + 256, scratch + 128);
  return core.bytes.slice(scratch + 256, scratch + 256 + length);
}

/** The keys in a cookie, hex; undefined when it does not open. */
function opened(cookie: Uint8Array): { aead: number; keys: string } | undefined {
  core.bytes.set(cookie, scratch);
  const aead = core.exports.cookieOpen(scratch, cookie.length, scratch + 1024);
  return aead === 0 ? undefined : { aead, keys: hex(core.bytes.slice(scratch + 1024, scratch + 1024 + 2 * KEY_LENGTHS[aead]!)) };
}

function ask(request: Uint8Array): Uint8Array {
  core.bytes.fill(0xe7, at, at + 2112);
  core.bytes.set(request, at);
  const length = core.exports.respond(at, request.length, RECEIVED, server);
  if (length > 0) core.exports.stampTransmit(at, TRANSMIT);
  expect(length, "an answer longer than its request").toBeLessThanOrEqual(request.length);
  expect(core.bytes.slice(at + request.length, at + 2112).every((octet) => octet === 0xe7), "written behind the request").toBe(true);
  return core.bytes.slice(at, at + length);
}

function expectKiss(reply: Uint8Array, request: Uint8Array, unique = uniqueOf()): void {
  expect(hex(reply)).toBe(hex(concat(
    packet({ leap: 3, mode: 4, refid: 0x4e54534e, originTime: new DataView(request.buffer).getBigUint64(40), receiveTime: new DataView(request.buffer).getBigUint64(40), transmitTime: TRANSMIT }),
    fieldOf(UNIQUE, unique),
  )));
}

const flip = (octets: Uint8Array, bit: number) => octets.map((octet, index) => (index === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet));

describe("a cookie", () => {
  it.each(AEADS)("for AEAD %i is key id, nonce, and AES-SIV-CMAC-256 over both keys, as noble does it", (aead) => {
    const session = sessionOf(aead);
    const nonce = noise(16);
    const cookie = cookieOf(session, nonce);
    const associated = Uint8Array.of(1, 2, 3, 4, 0, aead);
    expect(hex(cookie)).toBe(hex(concat(Uint8Array.of(1, 2, 3, 4), nonce, aessiv(KEY, associated, nonce).encrypt(concat(session.c2s, session.s2c)))));
    expect(cookie.length).toBe({ 15: 100, 16: 132, 17: 164, 30: 68 }[aead]);
    expect(core.exports.cookieLength(aead)).toBe(cookie.length);
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
    core.exports.cookieKeyClear(0);
    expect(cookieOf(sessionOf(15))).toHaveLength(0);
  });
});

describe("generations of keys", () => {
  it("are eight, each with an identifier of its own", () => {
    for (let slot = 1; slot < 8; slot++) expect(setKey(slot, slot, noise(32))).toBe(1);
    for (const slot of [-1, 8, 0x7fffffff, -0x80000000]) {
      expect(setKey(slot, 99, noise(32))).toBe(0);
      expect(core.exports.cookieKeyCurrent(slot)).toBe(0);
      core.exports.cookieKeyClear(slot);
    }
    expect(setKey(1, 2, noise(32))).toBe(0);
    expect(setKey(1, 1, noise(32))).toBe(1);
  });

  it("open cookies until they are cleared; a client that comes back after that is told NTSN", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    setKey(1, 7, noise(32));
    expect(core.exports.cookieKeyCurrent(1)).toBe(1);
    const { cookies } = readAnswer(session, ask(request));
    expect(cookies[0]!.slice(0, 4)).toEqual(Uint8Array.of(0, 0, 0, 7));
    expect(opened(cookies[0]!)?.keys).toBe(hex(concat(session.c2s, session.s2c)));
    core.exports.cookieKeyClear(0);
    expectKiss(ask(request), request);
    expect(readAnswer(session, ask(ntsRequest(session, { cookie: cookies[0]! }))).cookies).toHaveLength(1);
    expect(core.exports.cookieKeyCurrent(0)).toBe(0);
  });

  it("leave no key behind where the host put it", () => {
    setKey(3, 3, KEY);
    expect(core.bytes.slice(scratch, scratch + 32).every((octet) => octet === 0)).toBe(true);
  });

  it("without a current one authenticate the time, but give no cookies", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session), placeholders: 2 });
    setKey(1, 7, noise(32));
    core.exports.cookieKeyCurrent(1);
    core.exports.cookieKeyClear(1);
    expect(readAnswer(session, ask(request)).cookies).toEqual([]);
  });
});

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
    core = new Core();
    core.view.setUint8(server + core.constant("SERVER_STRATUM"), 2);
    expect(ask(request)).toHaveLength(48);
  });
});

describe("a batch", () => {
  const SIZE = 64;

  function askAll(requests: readonly Uint8Array[]): Uint8Array[] {
    const [table, size, stride] = [core.constant("SLOT_TABLE"), core.constant("SLOT_SIZE"), core.constant("SLOT_STRIDE_OCTETS")];
    requests.forEach((request, slot) => {
      core.bytes.set(request, at + slot * stride);
      core.setU32(table + slot * size + core.constant("SLOT_LENGTH"), request.length);
      core.setU64(table + slot * size + core.constant("SLOT_RECEIVED"), RECEIVED + BigInt(slot));
    });
    const answers = core.exports.answerBatch(requests.length, TRANSMIT, server);
    const replies = requests.map((_, slot) => core.bytes.slice(at + slot * stride, at + slot * stride + core.u32(table + slot * size + core.constant("SLOT_LENGTH"))));
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
    const stride = core.constant("SLOT_STRIDE_OCTETS");
    const lengths = sessions.map((session, slot) => {
      const request = ntsRequest(session, { cookie: cookieOf(session) });
      core.bytes.set(request, at + slot * stride);
      return core.exports.respond(at + slot * stride, request.length, RECEIVED, server);
    });
    for (const slot of [2, 0, 3, 1]) {
      core.exports.stampTransmit(at + slot * stride, TRANSMIT);
      expect(readAnswer(sessions[slot]!, core.bytes.slice(at + slot * stride, at + slot * stride + lengths[slot]!)).cookies).toHaveLength(1);
    }
  });

  it("are forgotten when another request comes in their place, or a key changes", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    core.bytes.set(request, at);
    expect(core.exports.respond(at, request.length, RECEIVED, server)).toBe(request.length);
    const plain = ask(packet({ transmitTime: 5n }));
    expect(plain).toHaveLength(48);
    core.bytes.set(request, at);
    const length = core.exports.respond(at, request.length, RECEIVED, server);
    core.exports.cookieKeyClear(0);
    core.exports.stampTransmit(at, TRANSMIT);
    expect(() => readAnswer(session, core.bytes.slice(at, at + length))).toThrow();
  });

  it("leave no key in the core once they are sealed", () => {
    const session = sessionOf(15);
    const request = ntsRequest(session, { cookie: cookieOf(session) });
    core.bytes.fill(0, scratch, scratch + 4096);
    ask(request);
    const memory = Buffer.from(core.bytes.buffer);
    for (const key of [session.c2s, session.s2c]) expect(memory.includes(Buffer.from(key.subarray(0, 16))), "a key is left").toBe(false);
  });
});
