// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's NTPv5: captured requests, every field, time scales, interleaved mode, kisses, MAC and NTS; answers are always as
 * long as their requests, and what names no draft spoken here gets none.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { concat, hex, seconds, seededRandom } from "../../tests/support/core.ts";
import { DRAFT_08, EXCHANGES, FIELD, draftField, field5, fieldsOf5, request5 } from "../../tests/support/ntpv5.ts";
import { DENY, KISS, START, TestServer, ipv4 } from "../../tests/support/server.ts";

const CLIENT = ipv4(192, 0, 2, 1);
let server: TestServer;

beforeEach(() => {
  server = new TestServer();
  server.core.setI64(server.fields.ROOT_DELAY, seconds(0.25));
  server.core.setI64(server.fields.ROOT_DISPERSION, seconds(0.5));
});

const only = (reply: Uint8Array, type: number) => fieldsOf5(reply).filter((one) => one.type === type);

describe("an answer", () => {
  it("to ntpd-rs' captured request is header and fields in the same octets", () => {
    const { reply, view } = server.ask(CLIENT, EXCHANGES.request);
    expect(reply.length).toBe(EXCHANGES.request.length);
    expect(hex(reply.subarray(24, 32))).toBe("ae7dbf4b8396c862");
    expect([view.getUint8(0), view.getUint8(1), view.getInt8(2), view.getUint32(4), view.getUint32(8)]).toEqual([0x2c, 2, 0, 0x04000000, 0x08000000]);
    expect([view.getUint8(12), view.getUint8(13), view.getUint16(14), view.getBigUint64(16)]).toEqual([0, 0, 1, 0n]);
    expect(view.getBigUint64(32)).toBe(START);
    expect(view.getBigUint64(40)).toBe(START + seconds(0.0001));
    expect(fieldsOf5(reply).map(({ type, length }) => [type, length])).toEqual([[FIELD.draft, 27], [FIELD.ids, 20]]);
  });

  it("to a request of version 4 with the mark brings the mark back, and to one without does not", () => {
    expect(hex(server.ask(CLIENT, EXCHANGES.marked).reply.subarray(16, 24))).toBe("4e54503544524654");
    const plain = EXCHANGES.marked.slice();
    plain.fill(0, 16, 24);
    expect(server.ask(CLIENT, plain).view.getBigUint64(16)).toBe(START - seconds(16));
  });

  it("is silence to a draft that is not spoken, to none at all, and to every other spelling", () => {
    const strangers = [draftField("draft-ietf-ntp-ntpv5-99"), draftField("draft-ietf-ntp-ntpv5-0"), draftField("draft-ietf-ntp-ntpv5-091"), draftField("DRAFT-ietf-ntp-ntpv5-09"),
      draftField(""), field5(FIELD.padding, new Uint8Array(24))];
    for (const field of strangers) expect(server.ask(CLIENT, request5({}, field)).reply).toHaveLength(0);
    expect(server.ask(CLIENT, request5().subarray(0, 48)).reply).toHaveLength(0);
    // The first one counts.
    expect(server.ask(CLIENT, request5({}, strangers[0]!, draftField())).reply).toHaveLength(0);
    expect(server.counter("UNANSWERABLE")).toBe(strangers.length + 2);
    expect(server.ask(CLIENT, request5({}, draftField(DRAFT_08))).reply).toHaveLength(76);
    expect(server.ask(CLIENT, request5({}, draftField())).reply).toHaveLength(76);
  });

  it("is silence to every mode but a client's", () => {
    for (const mode of [0, 1, 2, 4, 5, 7]) expect(server.ask(CLIENT, request5({ mode })).reply).toHaveLength(0);
  });

  it("of a clock that is not synchronised says so by stratum and flag", () => {
    server.core.view.setUint8(server.fields.STRATUM, 16);
    const { view } = server.ask(CLIENT, request5());
    expect([view.getUint8(0) >> 6, view.getUint8(1), view.getUint16(14)]).toEqual([3, 0, 0]);
  });

  it("falls into the second era after 2036", () => {
    server.now = 5n << 32n;
    const { view } = server.ask(CLIENT, request5());
    expect([view.getUint8(13), view.getBigUint64(32)]).toEqual([1, 5n << 32n]);
  });
});

describe("fields", () => {
  it("server information: versions 1 to 5", () => {
    expect(hex(only(server.ask(CLIENT, request5({}, draftField(), field5(FIELD.information, new Uint8Array(4)))).reply, FIELD.information)[0]!.value)).toBe("001f0000");
  });

  it("a chunk of the filter from any place that has room for it, else padding", () => {
    const at = server.core.constant("REFERENCE_IDS");
    for (let i = 0; i < 512; i++) server.core.bytes[at + i] = i & 255;
    const ask = (offset: number, length: number) => {
      const value = new Uint8Array(length);
      value.set([offset >> 8, offset & 255]);
      return fieldsOf5(server.ask(CLIENT, request5({}, draftField(), field5(FIELD.idsRequest, value))).reply)[1]!;
    };
    for (const [offset, length] of [[0, 512], [16, 16], [384, 128], [500, 12], [1, 7]] as const) {
      const { type, value } = ask(offset, length);
      expect(type).toBe(FIELD.ids);
      expect([...value]).toEqual(Array.from({ length }, (_, i) => (offset + i) & 255));
    }
    for (const [offset, length] of [[1, 512], [0xffff, 16], [501, 12], [0, 516]] as const) expect(ask(offset, length)).toEqual({ type: FIELD.padding, length: length + 4, value: new Uint8Array(length) });
  });

  it("what the way here added to a correction comes back as its origin", () => {
    const correction = new Uint8Array(24);
    correction.set([1, 2, 3, 4, 5, 6, 7, 8], 12);
    correction.set([9, 10], 20);
    const { reply } = server.ask(CLIENT, request5({}, draftField(), field5(FIELD.correction, correction)));
    expect(hex(only(reply, FIELD.correction)[0]!.value)).toBe(`0102030405060708090a0000${"0".repeat(24)}`);
    expect(server.ask(CLIENT, request5({}, field5(FIELD.correction, correction), draftField())).reply).toHaveLength(0);
  });

  it("reference, monotonic and secondary timestamps", () => {
    server.core.view.setInt32(server.core.constant("SERVER") + server.core.constant("SERVER_TAI_OFFSET"), 37, true);
    const secondary = (scale: number) => field5(FIELD.secondary, Uint8Array.of(scale, ...new Array<number>(11).fill(0)));
    const ask = () => fieldsOf5(server.ask(CLIENT, request5({}, draftField(), field5(FIELD.reference, new Uint8Array(8)), field5(FIELD.monotonic, new Uint8Array(12)), ...[0, 1, 1, 2, 3].map(secondary))).reply);
    const fields = ask();
    expect(fields.map(({ type }) => type)).toEqual([FIELD.draft, FIELD.reference, FIELD.padding, FIELD.secondary, FIELD.secondary, FIELD.padding, FIELD.padding, FIELD.padding]);
    expect(Buffer.from(fields[1]!.value).readBigUInt64BE()).toBe(START - seconds(16));
    expect([fields[3]!, fields[4]!].map(({ value }) => [value[0], value[1], Buffer.from(value).readBigUInt64BE(4)])).toEqual([[0, 0, START], [1, 0, START + seconds(37)]]);
    server.core.setU32(server.core.constant("SERVER") + server.core.constant("SERVER_MONO_EPOCH"), 0x01020304);
    expect(hex(ask()[2]!.value)).toBe(`01020304${START.toString(16)}`);
  });
});

describe("a time scale", () => {
  it("of TAI is told where it is known, and UTC where it is not", () => {
    const told = () => {
      const { view } = server.ask(CLIENT, request5({ scale: 1 }));
      return [view.getUint8(12), view.getBigUint64(32) - server.now, view.getBigUint64(40) - server.now];
    };
    expect(told()).toEqual([0, 0n, seconds(0.0001)]);
    server.core.view.setInt32(server.core.constant("SERVER") + server.core.constant("SERVER_TAI_OFFSET"), 37, true);
    expect(told()).toEqual([1, seconds(37), seconds(37) + seconds(0.0001)]);
    // Beyond a leap second that has come since, nobody knows.
    server.core.setU64(server.fields.UPDATED, START);
    server.core.setU64(server.fields.LEAP_AT, START + seconds(10));
    expect(told()[0]).toBe(1);
    server.wait(11);
    expect(told()[0]).toBe(0);
  });

  it("of smeared time is told by a server that smears, which tells UTC, and the leap second, to who asks for that", () => {
    server.core.setU64(server.fields.LEAP_AT, START + seconds(3600));
    server.core.setI64(server.fields.LEAP_WINDOW, seconds(86_400));
    server.core.setI64(server.fields.SMEAR_LENGTH, seconds(86_400));
    server.core.view.setUint8(server.fields.SMEAR_SHAPE, 1);
    server.core.view.setUint8(server.fields.SMEAR_LEAP, 1);
    const smeared = server.ask(CLIENT, request5({ scale: 3 })).view;
    const shift = Number(smeared.getBigUint64(32) - START) / 2 ** 32;
    expect([smeared.getUint8(12), smeared.getUint8(0) >> 6]).toEqual([3, 0]);
    expect(shift).toBeCloseTo(-39_600 / 86_401, 6);
    const utc = server.ask(CLIENT, request5()).view;
    expect([utc.getUint8(12), utc.getUint8(0) >> 6, utc.getBigUint64(32)]).toEqual([0, 1, START]);
  });
});

describe("interleaved mode", () => {
  it("brings by the server's cookie the true transmit time of the answer before", () => {
    server.exports.interleaveClients(1);
    const first = server.ask(CLIENT, request5({ flags: 2 }));
    const cookie = first.view.getBigUint64(16);
    expect([first.view.getUint16(14), cookie !== 0n, first.stampWanted]).toEqual([1, true, true]);
    server.exports.stampTransmitted(first.view.getBigUint64(32), START + seconds(0.25), server.server);
    server.wait(64);
    const second = server.ask(CLIENT, request5({ flags: 2, serverCookie: cookie })).view;
    expect([second.getUint16(14), second.getBigUint64(40), second.getBigUint64(32)]).toEqual([3, (START + seconds(0.25)) & ~1n, server.now]);
    // Basic to who does not ask for it, or by a cookie nobody knows; without a cookie where the mode is off.
    expect(server.ask(CLIENT, request5({ serverCookie: second.getBigUint64(16) })).view.getUint16(14)).toBe(1);
    expect(server.ask(CLIENT, request5({ flags: 2, serverCookie: 99n })).view.getUint16(14)).toBe(1);
    server.exports.interleaveClients(0);
    expect(server.ask(CLIENT, request5({ flags: 2 })).view.getBigUint64(16)).toBe(0n);
  });
});

describe("who is not wanted", () => {
  it("is told to go away by a poll of 127, or to ask less often by a longer one, without time", () => {
    server.rules([ipv4(192, 0, 2, 0), 120, KISS], [ipv4(198, 51, 100, 0), 120, DENY]);
    server.exports.limitKisses(seconds(1), seconds(1), 10);
    const denied = server.ask(CLIENT, request5());
    expect(denied.reply.length).toBe(76);
    expect([denied.view.getUint8(1), denied.view.getInt8(2), denied.view.getUint16(14), denied.view.getBigUint64(24)]).toEqual([0, 127, 0, 0x0123456789abcdefn]);
    expect([denied.view.getBigUint64(32), denied.view.getBigUint64(40)]).toEqual([0n, 0n]);
    expect(server.ask(ipv4(198, 51, 100, 7), request5()).reply).toHaveLength(0);
    server.limit(8, 1);
    const other = ipv4(203, 0, 113, 1);
    expect(server.ask(other, request5()).view.getInt8(2)).toBe(3);
    server.wait(1.5);
    const limited = server.ask(other, request5()).view;
    expect([limited.getUint8(1), limited.getInt8(2)]).toEqual([0, 4]);
    expect(server.ask(other, request5()).reply).toHaveLength(0);
  });
});

describe("a MAC", () => {
  const sign = (octets: Uint8Array) => {
    // The core as client makes it: a key in another place of another instance.
    const signer = new TestServer();
    addKey(signer);
    const { core, exports } = signer;
    const at = core.fields("EXCHANGE", ["AUTH", "AUTH_INDEX", "VERSION", "MODE", "ORIGIN"]);
    core.view.setUint8(at.AUTH, 1);
    core.view.setUint8(at.VERSION, 5);
    core.setU64(at.ORIGIN, 0x0123456789abcdefn);
    const length = exports.requestWrite(signer.at, core.constant("EXCHANGE"));
    return concat(core.bytes.slice(signer.at, signer.at + length), octets);
  };
  const addKey = (one: TestServer) => {
    const scratch = one.core.constant("SCRATCH");
    one.core.bytes.set(Uint8Array.from({ length: 16 }, (_, i) => i * 3), scratch);
    expect(one.exports.keySet(0, 42, 4, scratch, 16)).toBe(1);
  };

  it("is verified and answered by one of the same key, before a correction", () => {
    addKey(server);
    for (const tail of [new Uint8Array(0), field5(FIELD.correction, new Uint8Array(24))]) {
      const request = sign(tail);
      const { reply, view } = server.ask(CLIENT, request);
      expect(reply.length).toBe(request.length);
      expect(view.getUint16(14)).toBe(1);
      const [mac] = only(reply, FIELD.mac);
      expect([mac!.length, Buffer.from(mac!.value).readUInt32BE()]).toEqual([24, 42]);
      expect(hex(mac!.value)).not.toBe(hex(only(request, FIELD.mac)[0]!.value));
    }
    expect(server.counter("AUTHENTICATED")).toBe(2);
  });

  it("that is wrong, or of a key nobody has, is answered by Auth NAK without time", () => {
    const request = sign(new Uint8Array(0));
    const expectNak = ({ reply, view }: ReturnType<TestServer["ask"]>) => {
      expect(reply.length).toBe(request.length);
      expect([view.getUint8(1), view.getUint16(14), view.getBigUint64(32), view.getBigUint64(40), view.getBigUint64(24)]).toEqual([0, 4, 0n, 0n, 0x0123456789abcdefn]);
      expect(only(reply, FIELD.mac)).toEqual([]);
    };
    expectNak(server.ask(CLIENT, request));
    addKey(server);
    const type = request.length - 24;
    for (let octet = 24; octet < request.length; octet++) {
      // Another type makes it a field nobody knows: the answer has no MAC, and whoever signed the request does not believe it.
      if (octet === type || octet === type + 1) continue;
      const spoilt = request.map((value, i) => (i === octet ? value ^ 1 : value));
      const outcome = server.ask(CLIENT, spoilt);
      expect(outcome.reply.length === 0 || outcome.view.getUint16(14) === 4, `octet ${octet}`).toBe(true);
    }
    expect(server.counter("AUTHENTICATED")).toBe(0);
  });
});

describe("any request at all", () => {
  const correction = field5(FIELD.correction, new Uint8Array(24));
  const types = fc.constantFrom(...Object.values(FIELD), 0x0104, 0x0204, 0x0304, 0x0404, 0x1234);
  const anyField = fc.tuple(types, fc.uint8Array({ maxLength: 60 })).map(([type, value]) => field5(type, value));

  it("is answered with exactly as many octets, or not at all, and nothing is written behind it", () => {
    fc.assert(fc.property(fc.array(anyField, { maxLength: 8 }), fc.boolean(), fc.integer({ min: 0, max: 255 }), (fields, corrected, scale) => {
      const request = request5({ scale, flags: 2 }, draftField(), ...fields, ...(corrected ? [correction] : []));
      server.core.bytes.fill(0x5a, server.at, server.at + 2112);
      const { reply } = server.ask(CLIENT, request);
      expect([0, request.length]).toContain(reply.length);
      expect(server.core.bytes.slice(server.at + request.length, server.at + 2112).every((octet) => octet === 0x5a)).toBe(true);
    }), { numRuns: 2000 });
  });

  it("at every truncation is answered whole or not at all", () => {
    const request = concat(EXCHANGES.request, field5(FIELD.information, new Uint8Array(4)), field5(0x1234, new Uint8Array(5)), correction);
    const answered = Array.from({ length: request.length + 1 }, (_, length) => length).filter((length) => {
      const { reply } = server.ask(CLIENT, request.subarray(0, length));
      expect([0, length]).toContain(reply.length);
      return reply.length > 0;
    });
    expect(answered).toEqual([76, 96, 104, 116, 144]);
  });

  it("in a million mutations traps nothing and is answered with as many octets", () => {
    const { core, exports, at, slot } = server;
    exports.interleaveClients(1);
    const random = seededRandom(0x55);
    const whole = [EXCHANGES.request, EXCHANGES.marked, request5({}, draftField(), correction), request5({ flags: 2, scale: 1 }, draftField(), field5(FIELD.idsRequest, new Uint8Array(128)), field5(FIELD.secondary, new Uint8Array(12)))];
    let answers = 0;
    for (let run = 0; run < 1_000_000; run++) {
      const octets = whole[random() % whole.length]!;
      core.bytes.set(octets, at);
      for (let times = random() & 3; times > 0; times--) core.bytes[at + (random() % octets.length)]! ^= 1 << (random() & 7);
      const length = random() & 7 ? octets.length : random() % (octets.length + 1);
      const version = (core.bytes[at]! >> 3) & 7;
      core.view.setInt32(slot.LENGTH, length, true);
      core.view.setUint8(slot.KNOWN, 0);
      core.setU64(slot.RECEIVED, START + BigInt(run));
      const told = exports.answerSlot(0, server.server);
      if (told > 0) exports.finishSlot(0, START, server.server);
      if (told < 0 || told > length || (version === 5 && told !== 0 && told !== length)) throw new Error(`${told} octets to ${length}`);
      answers += told > 0 ? 1 : 0;
    }
    expect(answers).toBeGreaterThan(300_000);
  });
});

describe("NTS in version 5", () => {
  const AEADS: readonly (readonly [aead: number, keyLength: number])[] = [[15, 32], [17, 64], [30, 16]];
  const random = seededRandom(5);
  const noise = (length: number) => Uint8Array.from({ length }, () => random() & 255);

  /** A server with a cookie key, and a client with keys and one cookie of it. */
  function pairOf(aead: number, keyLength: number, wanted: number) {
    const { core, exports } = server;
    const scratch = core.constant("SCRATCH");
    const put = (octets: Uint8Array, offset = 0) => (core.bytes.set(octets, scratch + offset), scratch + offset);
    exports.cookieKeySet(0, 7, put(noise(32)));
    exports.cookieKeyCurrent(0);
    exports.ntsSeed(put(noise(32)));
    const [c2s, s2c] = [noise(keyLength), noise(keyLength)];
    const length = exports.cookieSeal(aead, put(c2s), put(s2c, 64), scratch + 256, put(noise(16), 128));
    const cookie = core.bytes.slice(scratch + 256, scratch + 256 + length);
    const client = new TestServer();
    const at = client.core.fields("EXCHANGE", ["AUTH", "VERSION", "ORIGIN", "WANTS"]);
    client.core.view.setUint8(at.AUTH, 2);
    client.core.view.setUint8(at.VERSION, 5);
    client.core.setU64(at.ORIGIN, 77n);
    client.core.setU32(at.WANTS, 2);
    const theirs = client.core.constant("SCRATCH");
    client.core.bytes.set(c2s, theirs);
    client.core.bytes.set(s2c, theirs + 64);
    client.exports.ntsOpen(0, aead, theirs, theirs + 64, wanted);
    client.core.bytes.set(cookie, theirs);
    expect(client.exports.ntsCookie(0, theirs, cookie.length)).toBe(1);
    client.core.bytes.set(noise(48), client.core.constant("NTS_RANDOM"));
    const request = client.core.bytes.slice(client.at, client.at + client.exports.requestWrite(client.at, client.core.constant("EXCHANGE")));
    const read = (reply: Uint8Array) => {
      client.core.bytes.set(reply, client.at);
      return client.exports.replyRead(client.at, reply.length, client.core.constant("EXCHANGE"), client.core.constant("SAMPLE"));
    };
    const state = (name: string) => client.core.u32(client.exports.ntsOut(0) + client.core.constant(`NTS_${name}`));
    return { request, read, state };
  }

  it.each(AEADS)("with AEAD %i: the answer is as long, authentic, and brings as many cookies as were asked for", (aead, keyLength) => {
    for (const wanted of [1, 3]) {
      const { request, read, state } = pairOf(aead, keyLength, wanted);
      const { reply } = server.ask(CLIENT, request);
      expect(reply.length).toBe(request.length);
      expect(only(reply, FIELD.ids)).toHaveLength(1);
      expect([read(reply), state("COOKIES")]).toEqual([1, wanted]);
    }
    expect(server.counter("NTS")).toBe(2);
  });

  it("with a correction behind all: it is answered, and the rest is authentic", () => {
    const { request, read } = pairOf(15, 32, 2);
    const correction = new Uint8Array(24);
    correction.set([1], 12);
    const { reply } = server.ask(CLIENT, concat(request, field5(FIELD.correction, correction)));
    expect(reply.length).toBe(request.length + 28);
    expect(only(reply, FIELD.correction)[0]!.value[0]).toBe(1);
    expect(read(reply)).toBe(1);
  });

  it("changed anywhere is refused by Auth NAK, or not answered; the client only notes that", () => {
    const { request, read, state } = pairOf(15, 32, 2);
    for (let octet = 0; octet < request.length; octet += 3) {
      const { reply, view } = server.ask(CLIENT, request.map((value, i) => (i === octet ? value ^ 0x10 : value)));
      expect([0, request.length]).toContain(reply.length);
      const time = reply.length > 0 && view.getUint8(1) !== 0;
      if (time) expect(read(reply), `octet ${octet}`).toBe(0);
    }
    // The nonce's own octets spoilt: everything else is as the client sent it.
    const { reply, view } = server.ask(CLIENT, request.map((value, i) => (i === request.length - 1 ? value ^ 1 : value)));
    expect([reply.length, view.getUint8(1), view.getUint16(14)]).toEqual([request.length, 0, 4]);
    expect([read(reply), state("REFUSED")]).toEqual([0, 1]);
  });
});
