// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's answers: whom it answers and whom never, with what, and never with more than it was asked. RFC 5905 §8, §9.2;
 * RFC 5905 §7.4 for kisses.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import {
  Bench, MAX_U64, anyI8, anyU64, anyU8, ascii, captured, clamp, field, floorDiv, fromHex, hex, mac, packet, seconds, seededRandom,
} from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at } = bench;
const SERVER = core.constant("SERVER");
const STRIDE = core.constant("SLOT_STRIDE_OCTETS");
const FIELDS = ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME", "MONO_EPOCH", "MONO_OFFSET"] as const;

const RECEIVED = 0xeb123456_89abcdefn;
const TRANSMIT = RECEIVED + seconds(0.0001);
const STATE = {
  leap: 1, stratum: 2, precision: -23, refid: 0xc0000201, rootDelay: seconds(0.015), rootDispersion: seconds(0.002),
  referenceTime: RECEIVED - seconds(64),
};

function prepare(state: Partial<typeof STATE> = {}, on = core): void {
  const server = { ...STATE, ...state };
  const place = on.fields("SERVER", FIELDS);
  on.view.setUint8(place.LEAP, server.leap);
  on.view.setUint8(place.STRATUM, server.stratum);
  on.view.setInt8(place.PRECISION, server.precision);
  on.setU32(place.REFID, server.refid);
  on.setI64(place.ROOT_DELAY, server.rootDelay);
  on.setI64(place.ROOT_DISPERSION, server.rootDispersion);
  on.setU64(place.REFERENCE_TIME, server.referenceTime);
}

/** The reply, complete with transmit timestamp; empty when there is none. */
function answer(octets: Uint8Array, received = RECEIVED, transmit = TRANSMIT): Uint8Array {
  const length = exports.respond(bench.put(octets), octets.length, received, SERVER);
  if (length > 0) exports.stampTransmit(at, transmit);
  return bench.octets(length);
}

/** What the state above answers to `request`. */
const expected = (version: number, request: { poll?: number; transmitTime?: bigint }, ...tail: Uint8Array[]) =>
  packet({
    leap: 1, version, mode: 4, stratum: 2, poll: request.poll ?? 0, precision: -23,
    rootDelayShort: Math.ceil(0.015 * 65536), rootDispersionShort: Math.ceil(0.002 * 65536), refid: 0xc0000201,
    referenceTime: STATE.referenceTime, originTime: request.transmitTime ?? 0n, receiveTime: RECEIVED, transmitTime: TRANSMIT,
  }, ...tail);

beforeEach(() => prepare());

describe("whom it answers", () => {
  it("modes 3 and 1 in versions 1 to 4, and no others", () => {
    // Modes 2, 4 and 5 are answers themselves: two servers would answer each other for ever. 6 and 7 amplify.
    for (let version = 0; version < 8; version++) {
      for (let mode = 0; mode < 8; mode++) {
        const reply = answer(packet({ version, mode, transmitTime: 7n }));
        const due = (mode === 1 || mode === 3) && version >= 1 && version <= 4;
        expect(reply.length, `mode ${mode} of version ${version}`).toBe(due ? 48 : 0);
        if (due) expect(reply[0]).toBe((1 << 6) | (version << 3) | (mode === 3 ? 4 : 2));
      }
    }
  });

  it("never its own answers", () => {
    for (const mode of [1, 3]) {
      const reply = answer(packet({ mode, transmitTime: 7n }));
      expect(reply.length).toBe(48);
      expect(answer(reply).length).toBe(0);
    }
  });

  it("never what is shorter than a header or no multiple of four octets", () => {
    for (let length = 0; length <= 120; length++) {
      const octets = new Uint8Array(120);
      octets.set(packet({ transmitTime: 7n }, field(0x4321, 28), mac(24)));
      const reply = answer(octets.subarray(0, length));
      if (length < 48 || length % 4 !== 0) expect(reply.length, `${length} octets`).toBe(0);
      expect(reply.length).toBeLessThanOrEqual(length);
    }
  });

  it("never a malformed request, though its header is whole", () => {
    expect(answer(packet({}, field(0x4321, 28)))).toHaveLength(48);
    for (const tail of [field(0x4321, 28, 27), field(0x4321, 28, 32), field(0x4321, 28, 0), new Uint8Array(12), mac(4, 5), mac(28)]) {
      expect(answer(packet({}, tail)), `${tail.length} octets behind the header`).toHaveLength(0);
    }
  });

  it("never a crypto-NAK: it is no request", () => {
    for (const version of [3, 4]) expect(answer(packet({ version }, mac(4, 0)))).toHaveLength(0);
  });

  it("leaves a packet alone that it does not answer", () => {
    for (const octets of [packet({ mode: 4 }), packet({ version: 5 }), packet({}, field(0x4321, 28, 27)), packet({}, mac(4, 0))]) {
      expect(answer(octets)).toHaveLength(0);
      expect(hex(bench.octets(octets.length))).toBe(hex(octets));
    }
  });
});

describe("what it answers", () => {
  it.each([1, 2, 3, 4])("is, octet for octet, its state and the request's in version %i", (version) => {
    fc.assert(fc.property(anyU64, anyI8, anyU8, (transmitTime, poll, noise) => {
      // Whatever else stands in the request has no influence.
      const rest = { leap: noise & 3, stratum: noise, precision: 6, rootDelayShort: noise, refid: noise };
      const request = packet({ ...rest, version, poll, transmitTime, referenceTime: 1n, originTime: 2n, receiveTime: 3n });
      expect(hex(answer(request))).toBe(hex(expected(version, { transmitTime, poll })));
    }), { numRuns: 200 });
  });

  it("copies the origin bit for bit", () => {
    fc.assert(fc.property(anyU64, (transmitTime) => {
      expect(new DataView(answer(packet({ transmitTime })).buffer).getBigUint64(24)).toBe(transmitTime);
    }), { numRuns: 1000 });
  });

  it("rounds root delay and dispersion up to the next 15 µs, never down, and saturates", () => {
    const near = fc.oneof(anyU64, fc.bigInt({ min: 0n, max: 2n ** 48n }));
    fc.assert(fc.property(near, near, (delay, dispersion) => {
      const [rootDelay, rootDispersion] = [BigInt.asIntN(64, delay), BigInt.asIntN(64, dispersion)];
      prepare({ rootDelay, rootDispersion });
      const reply = new DataView(answer(packet()).buffer);
      const short = (value: bigint) => Number(clamp(-floorDiv(-value, 65536n), 0n, 0xffffffffn));
      expect([reply.getUint32(4), reply.getUint32(8)]).toEqual([short(rootDelay), short(rootDispersion)]);
    }), { numRuns: 500 });
  });

  it("runs through the end of the era", () => {
    for (const [received, transmit] of [[MAX_U64, 0n], [0n, 1n], [MAX_U64 - 1n, MAX_U64]] as const) {
      prepare({ referenceTime: received });
      const reply = new DataView(answer(packet({ transmitTime: 9n }), received, transmit).buffer);
      expect([16, 24, 32, 40].map((offset) => reply.getBigUint64(offset))).toEqual([received, 9n, received, transmit]);
    }
  });

  it.each(captured.filter(({ what }) => what.startsWith("request")))("is due to $program: $what", ({ hex: text, read, what }) => {
    const request = fromHex(text);
    const reply = answer(request);
    const transmitTime = new DataView(request.buffer).getBigUint64(40);
    const header = hex(expected(read.version, { transmitTime, poll: read.poll }));
    expect(hex(reply.slice(0, 48))).toBe(header);
    // We hold no keys: a MAC earns a crypto-NAK, fields we do not know no answer.
    expect(reply.length).toBe(read.keyId !== null ? 52 : what.includes("mono-root") ? 76 : 48);
  });

  it("stamps the transmit time and nothing else", () => {
    core.bytes.fill(0x5a, at, at + 64);
    exports.stampTransmit(at, 0x0102030405060708n);
    expect(hex(bench.octets(64))).toBe("5a".repeat(40) + "0102030405060708" + "5a".repeat(16));
  });

  it("is what a client of ours finds nothing wrong with", () => {
    const exchange = core.fields("EXCHANGE", ["VERSION", "MODE", "WANTS", "ORIGIN", "T1", "T4"]);
    const sample = core.fields("SAMPLE", ["PROBLEMS", "OFFSET", "DELAY"]);
    prepare({ leap: 0 });
    for (const [version, wants] of [[3, 0], [4, 0], [4, 1]] as const) {
      core.view.setUint8(exchange.VERSION, version);
      core.view.setUint8(exchange.MODE, 3);
      core.setU32(exchange.WANTS, wants);
      core.setU64(exchange.ORIGIN, 0xfedcba9876543210n);
      core.setU64(exchange.T1, RECEIVED - seconds(3.01));
      core.setU64(exchange.T4, TRANSMIT - seconds(3) + seconds(0.01));
      const length = exports.requestWrite(at, core.constant("EXCHANGE"));
      expect(answer(bench.octets(length))).toHaveLength(length);
      expect(exports.replyRead(at, length, core.constant("EXCHANGE"), core.constant("SAMPLE"))).toBe(1);
      expect(core.u32(sample.PROBLEMS)).toBe(0);
      expect(exports.intervalToSeconds(core.i64(sample.OFFSET))).toBeCloseTo(3, 8);
      expect(exports.intervalToSeconds(core.i64(sample.DELAY))).toBeCloseTo(0.02, 8);
    }
  });
});

describe("a server without time", () => {
  const UNSYNCHRONISED = { leap: 3, stratum: 0, refid: ascii("INIT"), referenceTime: 0n };

  it("says so by default, before anybody told it anything", () => {
    const fresh = new Bench();
    const octets = packet({ transmitTime: 7n, poll: 6 });
    const length = fresh.exports.respond(fresh.put(octets), 48, RECEIVED, fresh.core.constant("SERVER"));
    fresh.exports.stampTransmit(fresh.at, TRANSMIT);
    const times = { originTime: 7n, receiveTime: RECEIVED, transmitTime: TRANSMIT };
    expect(hex(fresh.octets(length))).toBe(hex(packet({ ...UNSYNCHRONISED, mode: 4, poll: 6, ...times })));
  });

  it.each([["stratum 0", { stratum: 0 }], ["stratum 16", { stratum: 16 }], ["stratum 255", { stratum: 255 }], ["leap 3", { leap: 3 }]])(
    "says so when it is told %s", (_what, state) => {
      prepare(state);
      const reply = new DataView(answer(packet({ transmitTime: 7n })).buffer);
      expect({ leap: reply.getUint8(0) >> 6, stratum: reply.getUint8(1), refid: reply.getUint32(12), referenceTime: reply.getBigUint64(16) }).toEqual(UNSYNCHRONISED);
    });

  it("says nothing of the kind at strata 1 to 15 with leap 0, 1 and 2", () => {
    for (let stratum = 1; stratum <= 15; stratum++) {
      for (const leap of [0, 1, 2]) {
        prepare({ stratum, leap });
        const reply = answer(packet({ transmitTime: 7n }));
        expect([reply[0]! >> 6, reply[1]]).toEqual([leap, stratum]);
        expect(new DataView(reply.buffer).getBigUint64(16)).toBe(STATE.referenceTime);
      }
    }
  });
});

describe("a request with a MAC", () => {
  it.each([
    ["NTPv4, 20 octets", packet({ transmitTime: 7n }, mac(20))],
    ["NTPv4, 24 octets", packet({ transmitTime: 7n }, mac(24))],
    ["NTPv4, 24 octets behind a field", packet({ transmitTime: 7n }, field(0x4321, 28), mac(24))],
    ["NTPv3, 68 octets", packet({ version: 3, transmitTime: 7n }, mac(68))],
  ])("earns a crypto-NAK: %s", (_what, request) => {
    const version = (request[0]! >> 3) & 7;
    expect(hex(answer(request))).toBe(hex(expected(version, { transmitTime: 7n }, new Uint8Array(4))));
  });

  it("is never answered as if it had none", () => {
    // Without a key we cannot tell it from a forged one; a plain answer would look authenticated to nobody.
    for (const length of [20, 24]) expect(answer(packet({}, mac(length)))).not.toHaveLength(48);
    expect(answer(packet())).toHaveLength(48);
  });
});

describe("a kiss", () => {
  const kiss = (octets: Uint8Array, code = "RATE") => bench.octets(exports.respondKiss(bench.put(octets), octets.length, ascii(code)));

  it.each(["RATE", "DENY", "RSTR"])("of %s has the code, stratum 0, leap 3, the origin and the poll, and tells no time", (code) => {
    fc.assert(fc.property(anyU64, anyI8, fc.constantFrom(1, 2, 3, 4), (transmitTime, poll, version) => {
      expect(hex(kiss(packet({ version, poll, transmitTime, refid: 5, rootDelayShort: 6 }), code))).toBe(
        hex(packet({ leap: 3, version, mode: 4, poll, refid: ascii(code), originTime: transmitTime, receiveTime: transmitTime, transmitTime })),
      );
    }), { numRuns: 100 });
  });

  it("goes to those that would have had an answer, and no others", () => {
    for (let version = 0; version < 8; version++) {
      for (let mode = 0; mode < 8; mode++) {
        const due = (mode === 1 || mode === 3) && version >= 1 && version <= 4;
        expect(kiss(packet({ version, mode })).length, `mode ${mode} of version ${version}`).toBe(due ? 48 : 0);
      }
    }
    const whole = packet({}, field(0x4321, 28), mac(24));
    for (let length = 0; length <= whole.length; length++) {
      const cut = whole.slice(0, length);
      expect(kiss(cut).length > 0, `cut to ${length} octets`).toBe(answer(cut).length > 0);
    }
    for (const tail of [field(0x4321, 28, 27), mac(4, 5), mac(4, 0)]) expect(kiss(packet({}, tail))).toHaveLength(0);
  });

  it("has 48 octets, however long the request is", () => {
    expect(kiss(packet({}, field(0x4321, 28), mac(24)))).toHaveLength(48);
  });

  it("is understood as one by a client of ours", () => {
    const exchange = core.fields("EXCHANGE", ["VERSION", "MODE", "ORIGIN"]);
    core.view.setUint8(exchange.VERSION, 4);
    core.view.setUint8(exchange.MODE, 3);
    core.setU64(exchange.ORIGIN, 7n);
    kiss(packet({ transmitTime: 7n }), "DENY");
    expect(exports.replyRead(at, 48, core.constant("EXCHANGE"), core.constant("SAMPLE"))).toBe(2);
  });
});

describe("any request at all", () => {
  const lengths = fc.constantFrom(0, 4, 12, 16, 20, 24, 28, 32, 36, 0xffff);
  const tail = fc.array(fc.tuple(fc.constantFrom(0x4321, 0xf323), fc.integer({ min: 4, max: 40 }), lengths), { maxLength: 6 });
  const header = fc.uint8Array({ minLength: 48, maxLength: 48 });

  it("never has an answer longer than itself, nor is anything written behind it", () => {
    fc.assert(fc.property(header, tail, fc.boolean(), (start, parts, client) => {
      const request = Uint8Array.from([...start, ...parts.flatMap(([type, length, declared]) => [...field(type, length, declared)])]);
      if (client) request[0] = 0x23;
      core.bytes.fill(0x5a, at, at + STRIDE);
      expect(answer(request).length).toBeLessThanOrEqual(request.length);
      expect(bench.octets(STRIDE - request.length, at + request.length).every((octet) => octet === 0x5a)).toBe(true);
    }), { numRuns: 2000 });
  });
});

describe("a batch", () => {
  const table = core.constant("SLOT_TABLE");
  const [LENGTH, RECEIVED_AT, SIZE] = ["SLOT_LENGTH", "SLOT_RECEIVED", "SLOT_SIZE"].map((name) => core.constant(name)) as [number, number, number];

  /** 64 requests of all kinds: fit and unfit. */
  function requests(): Uint8Array[] {
    const random = seededRandom(64);
    const tails = [[], [field(0x4321, 28)], [mac(20)], [field(0x4321, 28, 27)], [mac(4, 0)], [field(0xf323, 28)]];
    return Array.from({ length: 64 }, (_, index) => packet(
      { version: index % 5 === 4 ? random() & 7 : 3 + (index & 1), mode: index % 7 === 6 ? random() & 7 : 3, poll: index, transmitTime: BigInt(random()) << 32n },
      ...tails[index % tails.length]!,
    ));
  }

  function fill(slots: Uint8Array[]): void {
    slots.forEach((octets, index) => {
      bench.put(octets, index);
      core.view.setInt32(table + index * SIZE + LENGTH, octets.length, true);
      core.setU64(table + index * SIZE + RECEIVED_AT, RECEIVED + BigInt(index));
    });
  }

  const lengthOf = (index: number) => core.view.getInt32(table + index * SIZE + LENGTH, true);

  it("of 64 equals 64 answered one by one on another core", () => {
    const all = requests();
    fill(all);
    const answers = exports.answerBatch(64, TRANSMIT, SERVER);
    const other = new Bench();
    prepare({}, other.core);
    let due = 0;
    all.forEach((octets, index) => {
      const length = other.exports.respond(other.put(octets), octets.length, RECEIVED + BigInt(index), other.core.constant("SERVER"));
      if (length > 0) other.exports.stampTransmit(other.at, TRANSMIT);
      expect(lengthOf(index), `length of ${index}`).toBe(length);
      expect(hex(bench.octets(length, at + index * STRIDE)), `answer ${index}`).toBe(hex(other.octets(length)));
      due += length > 0 ? 1 : 0;
    });
    expect(answers).toBe(due);
    expect(due).toBeGreaterThan(20);
    expect(due).toBeLessThan(64);
  });

  it("touches only the slots it was given, and of more than 64 only 64", () => {
    fill(Array.from({ length: 64 }, () => packet({ transmitTime: 7n })));
    expect(exports.answerBatch(3, TRANSMIT, SERVER)).toBe(3);
    for (let index = 3; index < 64; index++) expect(hex(bench.octets(48, at + index * STRIDE))).toBe(hex(packet({ transmitTime: 7n })));
    expect(exports.answerBatch(0, TRANSMIT, SERVER)).toBe(0);
    expect(exports.answerBatch(-1, TRANSMIT, SERVER)).toBe(0);
    fill(Array.from({ length: 64 }, () => packet({ transmitTime: 7n })));
    expect(exports.answerBatch(1_000_000, TRANSMIT, SERVER)).toBe(64);
  });

  it("answers nothing for a slot with a length of nought, less, or more than a slot holds of zeros", () => {
    for (const length of [0, -1, -(2 ** 31), 47]) {
      fill([packet({ transmitTime: 7n })]);
      core.view.setInt32(table + LENGTH, length, true);
      expect(exports.answerBatch(1, TRANSMIT, SERVER), `length ${length}`).toBe(0);
      expect(lengthOf(0)).toBe(0);
    }
    core.bytes.fill(0, at, at + STRIDE);
    fill([packet({ transmitTime: 7n })]);
    core.view.setInt32(table + LENGTH, 2 ** 31 - 1, true);
    expect(exports.answerBatch(1, TRANSMIT, SERVER)).toBe(0);
  });

  it("never reads beyond a slot: a request longer than one is cut, and then malformed", () => {
    fill([packet({ transmitTime: 7n }, field(0x4321, 2000))]);
    expect(exports.answerBatch(1, TRANSMIT, SERVER)).toBe(1);
    fill([packet({ transmitTime: 7n }, field(0x4321, 2004))]);
    expect(exports.answerBatch(1, TRANSMIT, SERVER)).toBe(0);
  });

  it("has slots that do not overlap, in a memory of their own", () => {
    expect(new Core().constant("SLOTS") % 64).toBe(0);
    expect(STRIDE).toBeGreaterThanOrEqual(2048);
    expect(table >= at + 64 * STRIDE || table + 64 * SIZE <= at).toBe(true);
  });
});
