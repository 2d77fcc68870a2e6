// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS as a client, against a server written with noble's AEADs: what a request looks like to the octet, which replies are
 * believed, and that nothing else is. RFC 8915 §5.
 */
import { aessiv, gcmsiv } from "@noble/ciphers/aes.js";
import { beforeEach, describe, expect, it } from "vitest";
import { Bench, concat, field, hex, packet, seconds, seededRandom } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at } = bench;
const { view, bytes } = core;
const SESSION = 9;
const EXCHANGE = core.constant("EXCHANGE");
const SAMPLE = core.constant("SAMPLE");
const exchange = core.fields("EXCHANGE", ["AUTH", "AUTH_INDEX", "VERSION", "MODE", "WANTS", "ORIGIN", "T1", "T4"]);
const sample = core.fields("SAMPLE", ["PROBLEMS", "AUTHENTICATED", "ROOT_DELAY"]);
const [IGNORE, ACCEPT, KISS] = [0, 1, 2];
const AUTH_NTS = 2;
const ORIGIN = 0x0123456789abcdefn;
const T1 = 0xeb000000_00000000n;
const [UNIQUE_ID, COOKIE, PLACEHOLDER, AUTHENTICATOR] = [0x0104, 0x0204, 0x0304, 0x0404];

const random = seededRandom(77);
const octets = (length: number) => Uint8Array.from({ length }, () => random() & 0xff);
const KEY_LENGTHS: Record<number, number> = { 15: 32, 16: 48, 17: 64, 30: 16 };
const seal = (aead: number, key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, text: Uint8Array) =>
  aead === 30 ? gcmsiv(key, nonce, ad).encrypt(text) : aessiv(key, ad, nonce).encrypt(text);
const unseal = (aead: number, key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, text: Uint8Array) =>
  aead === 30 ? gcmsiv(key, nonce, ad).decrypt(text) : aessiv(key, ad, nonce).decrypt(text);

interface Keys {
  readonly aead: number;
  readonly c2s: Uint8Array;
  readonly s2c: Uint8Array;
}

function open(aead = 15, wanted = 8): Keys {
  const [c2s, s2c] = [octets(KEY_LENGTHS[aead]!), octets(KEY_LENGTHS[aead]!)];
  bytes.set(concat(c2s, s2c), bench.scratch);
  expect(exports.ntsOpen(SESSION, aead, bench.scratch, bench.scratch + c2s.length, wanted)).toBe(1);
  return { aead, c2s, s2c };
}

function give(cookie: Uint8Array): number {
  bytes.set(cookie, bench.scratch);
  return exports.ntsCookie(SESSION, bench.scratch, cookie.length);
}

const state = (name: string) => view.getInt32(exports.ntsOut(SESSION) + core.constant(`NTS_${name}`), true);

function prepare(wants = 0): void {
  view.setUint8(exchange.AUTH, AUTH_NTS);
  view.setInt32(exchange.AUTH_INDEX, SESSION, true);
  view.setUint8(exchange.VERSION, 4);
  view.setUint8(exchange.MODE, 3);
  core.setU32(exchange.WANTS, wants);
  core.setU64(exchange.ORIGIN, ORIGIN);
  core.setU64(exchange.T1, T1);
  core.setU64(exchange.T4, T1 + seconds(0.03));
}

function request(wants = 0): Uint8Array {
  prepare(wants);
  bytes.set(octets(48), core.constant("NTS_RANDOM"));
  return bench.octets(exports.requestWrite(at, EXCHANGE));
}

/** Type and value of each field. */
function fieldsOf(data: Uint8Array, start = 48): { type: number; value: Uint8Array; at: number }[] {
  const fields = [];
  const word = (offset: number) => (data[offset]! << 8) | data[offset + 1]!;
  for (let offset = start; offset < data.length; offset += word(offset + 2)) {
    fields.push({ type: word(offset), value: data.slice(offset + 4, offset + word(offset + 2)), at: offset });
  }
  return fields;
}

/** The unique identifier's field. */
function identifierOf(asked: Uint8Array): Uint8Array {
  return field(UNIQUE_ID, 36, undefined, fieldsOf(asked).find(({ type }) => type === UNIQUE_ID)!.value);
}

/** The authenticator's parts, opened with `key`. */
function opened(data: Uint8Array, { aead }: Keys, key: Uint8Array): Uint8Array {
  const { value, at: start } = fieldsOf(data).at(-1)!;
  const nonceLength = (value[0]! << 8) | value[1]!;
  const textLength = (value[2]! << 8) | value[3]!;
  const nonceRoom = (nonceLength + 3) & ~3;
  return unseal(aead, key, value.slice(4, 4 + nonceLength), data.slice(0, start), value.slice(4 + nonceRoom, 4 + nonceRoom + textLength));
}

interface Answer {
  readonly cookies?: readonly Uint8Array[];
  readonly nonceLength?: number;
  readonly key?: Uint8Array;
  readonly before?: readonly Uint8Array[];
  readonly after?: readonly Uint8Array[];
  readonly header?: Parameters<typeof packet>[0];
  /** Octets that the server pads its ciphertext field with. */
  readonly padding?: number;
}

const HEADER = {
  mode: 4, stratum: 2, precision: -20, refid: 1, referenceTime: T1 - seconds(9), originTime: ORIGIN, receiveTime: T1 + seconds(0.01), transmitTime: T1 + seconds(0.011),
};
const cookieField = (cookie: Uint8Array) => field(COOKIE, 4 + cookie.length, undefined, cookie);

/** What the server answers to `asked`. */
function reply(keys: Keys, asked: Uint8Array, { cookies = [octets(100)], nonceLength = keys.aead === 30 ? 12 : 16, key = keys.s2c, before, after = [], header, padding = 0 }: Answer = {}): Uint8Array {
  const identifier = identifierOf(asked);
  const ad = packet({ ...HEADER, ...header }, ...(before ?? [identifier]));
  const nonce = octets(nonceLength);
  const text = seal(keys.aead, key, nonce, ad, concat(...cookies.map(cookieField)));
  const pad = (data: Uint8Array) => concat(data, new Uint8Array(-data.length & 3));
  const lengths = Uint8Array.of(nonceLength >> 8, nonceLength & 255, text.length >> 8, text.length & 255);
  const value = concat(lengths, pad(nonce), pad(text), new Uint8Array(padding));
  return concat(ad, field(AUTHENTICATOR, 4 + value.length, undefined, value), ...after);
}

/** The verdict, and whether it counts as authenticated. */
function judge(data: Uint8Array): { verdict: number; authenticated: boolean; problems: number } {
  const verdict = exports.replyRead(bench.put(data), data.length, EXCHANGE, SAMPLE);
  return { verdict, authenticated: bytes[sample.AUTHENTICATED] === 1, problems: core.u32(sample.PROBLEMS) };
}

beforeEach(() => exports.ntsClose(SESSION));

describe("a request", () => {
  it.each([15, 16, 17, 30])("with AEAD %i has identifier, the oldest cookie, a placeholder for each that is missing, and an authenticator the server opens", (aead) => {
    const keys = open(aead);
    const cookies = [octets(100), octets(100), octets(100)];
    for (const cookie of cookies) expect(give(cookie)).toBe(1);
    const asked = request();
    const fields = fieldsOf(asked);
    expect(fields.map(({ type }) => type)).toEqual([UNIQUE_ID, COOKIE, ...Array(5).fill(PLACEHOLDER), AUTHENTICATOR]);
    expect(fields[0]!.value.length).toBe(32);
    expect(hex(fields[1]!.value)).toBe(hex(cookies[0]!));
    for (const { value } of fields.slice(2, -1)) expect(hex(value)).toBe("00".repeat(100));
    expect(opened(asked, keys, keys.c2s)).toHaveLength(0);
    expect(state("COOKIES")).toBe(2);
  });

  it("uses each cookie once, the oldest first, and none twice; without one there is no request at all", () => {
    open();
    const cookies = Array.from({ length: 8 }, () => octets(64));
    for (const cookie of cookies) give(cookie);
    const used = cookies.map(() => hex(fieldsOf(request())[1]!.value));
    expect(used).toEqual(cookies.map(hex));
    prepare();
    expect(exports.requestWrite(at, EXCHANGE)).toBe(0);
  });

  it("without keys does not become one that nobody vouches for", () => {
    prepare();
    expect(exports.requestWrite(at, EXCHANGE)).toBe(0);
  });

  it("is never longer than what every IPv6 path carries, however long its cookies are", () => {
    for (let length = 4; length <= 768; length += 4) {
      open();
      give(octets(length));
      const asked = request(1);
      expect(asked.length, `cookie of ${length} octets`).toBeLessThanOrEqual(1280 - 48);
      const placeholders = fieldsOf(asked).filter(({ type }) => type === PLACEHOLDER).length;
      expect(placeholders).toBeLessThanOrEqual(7);
      // As many as there is room for.
      const each = Math.max(16, 4 + length);
      if (placeholders < 7) expect(asked.length + each).toBeGreaterThan(1280 - 48);
    }
  });

  it("has no placeholder when one cookie is all that is wanted", () => {
    open(15, 1);
    give(octets(100));
    expect(fieldsOf(request()).map(({ type }) => type)).toEqual([UNIQUE_ID, COOKIE, AUTHENTICATOR]);
  });

  it("is unlike any other: identifier and nonce are the host's random octets", () => {
    open();
    give(octets(64));
    give(octets(64));
    const [first, second] = [request(), request()].map((data) => fieldsOf(data));
    expect(hex(first![0]!.value)).not.toBe(hex(second![0]!.value));
    expect(hex(first!.at(-1)!.value)).not.toBe(hex(second!.at(-1)!.value));
  });
});

describe("cookies", () => {
  it("of a wrong length, and more than eight, are not taken", () => {
    open();
    for (const length of [0, 1, 2, 3, 5, 101, 772, 1024]) expect(give(octets(length)), `${length} octets`).toBe(0);
    for (let count = 0; count < 8; count++) expect(give(octets(100))).toBe(1);
    expect(give(octets(100))).toBe(0);
    expect(state("COOKIES")).toBe(8);
  });

  it("of an authentic reply fill the store up again", () => {
    const keys = open();
    give(octets(100));
    const asked = request();
    const fresh = Array.from({ length: 9 }, () => octets(104));
    expect(judge(reply(keys, asked, { cookies: fresh })).verdict).toBe(ACCEPT);
    expect(state("COOKIES")).toBe(8);
    expect(hex(fieldsOf(request())[1]!.value)).toBe(hex(fresh[0]!));
  });

  it("outside of what was sealed are not taken", () => {
    const keys = open();
    give(octets(100));
    const asked = request();
    const data = reply(keys, asked, { cookies: [], after: [cookieField(octets(100))] });
    expect(judge(data).verdict).toBe(ACCEPT);
    expect(state("COOKIES")).toBe(0);
  });

  it("go with the keys when the session is closed", () => {
    const { c2s } = open();
    give(c2s);
    exports.ntsClose(SESSION);
    expect(state("COOKIES")).toBe(0);
    const memory = Buffer.from(bytes.subarray(exports.ntsOut(SESSION), exports.ntsOut(SESSION) + 2000));
    expect(memory.indexOf(Buffer.from(c2s))).toBe(-1);
  });
});

describe("a reply", () => {
  const begin = (aead = 15) => {
    const keys = open(aead);
    give(octets(100));
    give(octets(100));
    return { keys, asked: request() };
  };
  const REFUSED = { verdict: IGNORE, authenticated: false };

  it.each([15, 16, 17, 30])("that opens with the server's key is believed: AEAD %i", (aead) => {
    const { keys, asked } = begin(aead);
    expect(judge(reply(keys, asked))).toEqual({ verdict: ACCEPT, authenticated: true, problems: 0 });
  });

  it("may have a nonce of any length from one octet on", () => {
    for (let nonceLength = 1; nonceLength <= 64; nonceLength++) {
      const { keys, asked } = begin();
      expect(judge(reply(keys, asked, { nonceLength })).verdict, `${nonceLength} octets`).toBe(ACCEPT);
    }
  });

  it("may be padded", () => {
    const { keys, asked } = begin();
    expect(judge(reply(keys, asked, { padding: 12 })).verdict).toBe(ACCEPT);
  });

  it("is nobody's with any bit of it changed", () => {
    const { keys, asked } = begin();
    const good = reply(keys, asked);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = good.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      // The transmit timestamp, say, is believed by nobody but the authenticator.
      expect(judge(bad), `bit ${bit}`).toMatchObject(REFUSED);
    }
    expect(judge(good).verdict).toBe(ACCEPT);
  });

  it("is nobody's cut anywhere", () => {
    const { keys, asked } = begin();
    const good = reply(keys, asked);
    for (let length = 0; length < good.length; length++) expect(judge(good.slice(0, length)), `${length} octets`).toMatchObject(REFUSED);
  });

  it("is nobody's twice: its identifier is spent", () => {
    const { keys, asked } = begin();
    const good = reply(keys, asked);
    expect(judge(good).verdict).toBe(ACCEPT);
    expect(judge(good)).toMatchObject(REFUSED);
  });

  it("is nobody's under another key, ours for instance: a request sent back is no reply", () => {
    const { keys, asked } = begin();
    expect(judge(reply(keys, asked, { key: keys.c2s }))).toMatchObject(REFUSED);
    expect(judge(reply(keys, asked, { key: octets(32) }))).toMatchObject(REFUSED);
    expect(state("FORGED")).toBe(2);
  });

  it("is nobody's without authenticator or identifier, with another identifier, and with two", () => {
    const { keys, asked } = begin();
    const identifier = identifierOf(asked);
    const plain = packet(HEADER);
    const other = field(UNIQUE_ID, 36, undefined, octets(32));
    for (const data of [plain, concat(plain, identifier), reply(keys, asked, { before: [] }), reply(keys, asked, { before: [other] }), reply(keys, asked, { before: [identifier, identifier] }), reply(keys, asked, { before: [identifier, other] })]) {
      expect(judge(data)).toMatchObject(REFUSED);
    }
  });

  it("is nobody's with its fields in another order: what stands behind the authenticator proves nothing", () => {
    const { keys, asked } = begin();
    const identifier = identifierOf(asked);
    expect(judge(reply(keys, asked, { before: [], after: [identifier] }))).toMatchObject(REFUSED);
  });

  it("tells no root delay in a field that it does not vouch for", () => {
    const monoRoot = (delay: number) => field(0xf323, 28, undefined, Uint8Array.of(0xf5, 0xbe, 0xdd, 0x9a, delay, 0, 0, 0, ...Array(16).fill(0)));
    const keys = open();
    give(octets(100));
    give(octets(100));
    const asked = request(1);
    expect(judge(reply(keys, asked, { after: [monoRoot(0x08)] })).verdict).toBe(ACCEPT);
    expect(core.i64(sample.ROOT_DELAY)).toBe(0n);
    // Its twin before the authenticator is believed.
    const again = request(1);
    const twin = reply(keys, again, { before: [identifierOf(again), monoRoot(0x08)] });
    expect(judge(twin).verdict).toBe(ACCEPT);
    expect(core.i64(sample.ROOT_DELAY)).toBe(0x08000000n << 4n);
  });

  it("with a kiss is obeyed only when it is authentic", () => {
    const { keys, asked } = begin();
    const header = { stratum: 0, leap: 3, refid: 0x52415445 };
    expect(judge(packet({ ...HEADER, ...header }))).toMatchObject(REFUSED);
    expect(judge(reply(keys, asked, { header })).verdict).toBe(KISS);
  });

  it("with an empty or mangled store inside is a reply all the same", () => {
    for (const text of [new Uint8Array(0), octets(3), Uint8Array.of(2, 4, 0, 3), Uint8Array.of(2, 4, 255, 252, 1, 2, 3, 4)]) {
      const { keys, asked } = begin();
      const identifier = identifierOf(asked);
      const ad = packet(HEADER, identifier);
      const nonce = octets(16);
      const sealed = seal(15, keys.s2c, nonce, ad, text);
      const value = concat(Uint8Array.of(0, 16, 0, sealed.length), nonce, sealed, new Uint8Array(-sealed.length & 3));
      expect(judge(concat(ad, field(AUTHENTICATOR, 4 + value.length, undefined, value))).verdict).toBe(ACCEPT);
      expect(state("COOKIES")).toBe(1);
    }
  });
});

describe("NTSN", () => {
  const NTSN = { stratum: 0, leap: 3, refid: 0x4e54534e };

  it("with our identifier marks that new keys may be needed, and the wait goes on: the true reply still counts, and takes the mark away", () => {
    const keys = open();
    give(octets(100));
    const asked = request();
    const identifier = identifierOf(asked);
    expect(judge(packet({ ...HEADER, ...NTSN }, identifier)).verdict).toBe(IGNORE);
    expect([state("REFUSED"), state("NAKS")]).toEqual([1, 1]);
    expect(judge(reply(keys, asked)).verdict).toBe(ACCEPT);
    expect(state("REFUSED")).toBe(0);
  });

  it("without our identifier or origin, or of another kind, changes nothing", () => {
    open();
    give(octets(100));
    const asked = request();
    const identifier = identifierOf(asked);
    for (const data of [
      packet({ ...HEADER, ...NTSN }),
      packet({ ...HEADER, ...NTSN }, field(UNIQUE_ID, 36, undefined, octets(32))),
      packet({ ...HEADER, ...NTSN, originTime: ORIGIN + 1n }, identifier),
      packet({ ...HEADER, ...NTSN, stratum: 1 }, identifier),
      packet({ ...HEADER, ...NTSN, refid: 0x44454e59 }, identifier),
    ]) expect(judge(data).verdict).toBe(IGNORE);
    expect([state("REFUSED"), state("NAKS")]).toEqual([0, 0]);
  });
});

describe("an association with NTS", () => {
  const [SEND, TIMER, ESTABLISH] = [1, 2, 32];
  const NOW = 1n << 40n;
  const start = () => {
    exports.associationOpen(SESSION, 4, 6, 10);
    exports.associationNts(SESSION);
  };

  it("asks for keys before anything is sent, as often as it is due", () => {
    start();
    for (let turn = 0n; turn < 3n; turn++) expect(exports.associationTimer(SESSION, NOW + turn, 7n)).toBe(ESTABLISH);
    expect(view.getUint32(exports.associationOut(SESSION) + core.constant("ASSOCIATION_SENT"), true)).toBe(0);
  });

  it("asks with them when they are there, and for others when they are used up or refused", () => {
    start();
    open();
    give(octets(100));
    expect(exports.associationTimer(SESSION, NOW, 7n) & (SEND | TIMER | ESTABLISH)).toBe(SEND | TIMER);
    expect(exports.associationTimer(SESSION, NOW + (1n << 40n), 7n) & (SEND | ESTABLISH)).toBe(ESTABLISH);
  });

  it("forgets them when it is closed", () => {
    start();
    open();
    give(octets(100));
    exports.associationClose(SESSION);
    expect([state("AEAD"), state("COOKIES")]).toEqual([0, 0]);
  });
});
