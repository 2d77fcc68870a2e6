// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What follows the header: fields, MACs, crypto-NAKs, cut at every octet and mangled in every length; and which fields are
 * answered and which passed over. RFC 7822, RFC 5905 §7.5.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, ascii, captured, concat, field, fromHex, hex, mac, packet, seconds } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at } = bench;
const UNKNOWN = 0x4321;
const NAK = mac(4, 0);

/** The walk once more, straight from the text of RFC 7822 §7.5.1: undefined where the packet is malformed. */
function reference(octets: Uint8Array, version: number) {
  const view = new DataView(octets.buffer);
  const fields: number[] = [];
  let at = 48;
  while (version >= 4 && octets.length - at > 24) {
    const length = octets.length - at < 28 ? 0 : view.getUint16(at + 2);
    if (length < 16 || length % 4 !== 0 || at + length > octets.length) return undefined;
    fields.push(length);
    at += length;
  }
  const rest = octets.length - at;
  const nak = rest === 4 && view.getUint32(at) === 0;
  const longest = version >= 4 ? 24 : 68;
  if (rest !== 0 && !nak && !(rest >= 20 && rest <= longest && rest % 4 === 0)) return undefined;
  return { fieldsEnd: at, fieldCount: fields.length, macStart: at, macLength: rest, cryptoNak: nak ? 1 : 0 };
}

const told = (octets: Uint8Array, version = 4) => {
  const { wellFormed, ...trailer } = bench.trailer(octets, version);
  return wellFormed ? trailer : undefined;
};

const FIELDS: Record<string, Uint8Array[]> = {
  "no field": [],
  "one field": [field(UNKNOWN, 28)],
  "three fields": [field(0x0104, 36), field(0x0204, 16), field(UNKNOWN, 32)],
};
const MACS: Record<string, Uint8Array> = {
  "no MAC": new Uint8Array(),
  "a MAC of 20 octets": mac(20),
  "a MAC of 24 octets": mac(24),
  "a crypto-NAK": NAK,
};
const WELL_FORMED = Object.entries(FIELDS).flatMap(([fields, parts]) =>
  Object.entries(MACS).map(([ending, last]) => ({ fields, ending, octets: packet({}, ...parts, last), count: parts.length, last: last.length })),
);

describe("walking what follows the header", () => {
  it.each(WELL_FORMED)("finds $fields and $ending", ({ octets, count, last }) => {
    expect(told(octets)).toEqual({
      fieldsEnd: octets.length - last,
      fieldCount: count,
      macStart: octets.length - last,
      macLength: last,
      cryptoNak: last === 4 ? 1 : 0,
    });
  });

  it.each(WELL_FORMED)("reads $fields and $ending at every truncation as RFC 7822 does", ({ octets }) => {
    for (let length = 48; length <= octets.length; length++) {
      const cut = octets.slice(0, length);
      expect(told(cut), `cut to ${length} octets`).toEqual(reference(cut, 4));
    }
  });

  it("accepts of every count of octets after the header only 0, 4, 20, 24 and fields", () => {
    for (let rest = 0; rest <= 80; rest++) {
      const plain = packet({}, new Uint8Array(rest));
      // All zero: no field's length is ever right.
      expect(told(plain) !== undefined, `${rest} zero octets`).toBe([0, 4, 20, 24].includes(rest));
      if (rest < 4) continue;
      const asField = packet({}, field(UNKNOWN, rest));
      const isField = rest >= 28 && rest % 4 === 0;
      expect(told(asField)?.fieldCount ?? 0, `a field of ${rest} octets`).toBe(isField ? 1 : 0);
    }
  });

  it("reads any octets at all as RFC 7822 does", () => {
    const lengths = fc.constantFrom(0, 4, 8, 12, 15, 16, 17, 20, 24, 28, 32, 36, 0xfffc, 0xffff);
    const pieces = fc.array(fc.tuple(fc.integer({ min: 4, max: 40 }), lengths), { maxLength: 5 });
    fc.assert(fc.property(pieces, fc.constantFrom(0, 1, 2, 3, 4, 6, 7), (parts, version) => {
      const octets = packet({ version }, ...parts.map(([length, declared]) => field(UNKNOWN, length, declared)));
      expect(told(octets, version)).toEqual(reference(octets, version));
    }), { numRuns: 3000 });
  });

  it("takes a key identifier alone for a crypto-NAK only when it is zero", () => {
    expect(told(packet({}, mac(4, 0)))?.cryptoNak).toBe(1);
    for (const keyId of [1, 0x80000000, 0x01000000]) expect(told(packet({}, mac(4, keyId)))).toBeUndefined();
  });

  it("keeps its word about a packet before: nothing remains of it", () => {
    bench.trailer(packet({}, field(UNKNOWN, 28), NAK));
    expect(bench.trailer(packet())).toEqual({ wellFormed: true, fieldsEnd: 48, fieldCount: 0, macStart: 48, macLength: 0, cryptoNak: 0 });
  });

  it.each(captured)("finds in the $what of $program the fields and the key that tshark finds", ({ hex: text, read }) => {
    const octets = fromHex(text);
    const trailer = bench.trailer(octets, read.version);
    expect(trailer).toMatchObject({ wellFormed: true, fieldCount: read.fieldTypes.length });
    expect(trailer.fieldsEnd).toBe(48 + read.fieldLengths.reduce((sum, length) => sum + length, 0));
    expect(trailer.macLength !== 0).toBe(read.keyId !== null);
    if (read.keyId !== null) expect(new DataView(octets.buffer).getUint32(trailer.macStart!)).toBe(read.keyId);
  });
});

describe("malformed fields", () => {
  const WRONG = [0, 1, 4, 12, 15, 17, 18, 19, 29, 30, 31, 36, 0x7ffc, 0xfffc, 0xffff];

  it.each(WRONG)("refuses a field of 28 octets that says it has %i", (declared) => {
    expect(told(packet({}, field(UNKNOWN, 28, declared)))).toBeUndefined();
  });

  it.each(WRONG)("never takes for a MAC what a field that says %i leaves", (declared) => {
    // The negative twin of the captured packets with a MAC: a request that was authenticated must not turn into a plain one.
    for (const ending of [new Uint8Array(), mac(20), mac(24), NAK]) {
      const trailer = bench.trailer(packet({}, field(UNKNOWN, 28), field(UNKNOWN, 28, declared), ending));
      const reachesTheMac = declared > 28 && declared % 4 === 0 && declared <= 28 + ending.length;
      if (!reachesTheMac) expect(trailer).toMatchObject({ wellFormed: false, fieldCount: 1, macLength: 0, cryptoNak: 0 });
      // A length that ends within the MAC leaves too little for another one.
      else expect(trailer.wellFormed && trailer.macLength !== 0).toBe(false);
    }
  });

  it("refuses a well-formed field before a mangled one too", () => {
    expect(told(packet({}, field(UNKNOWN, 32), field(UNKNOWN, 32)))?.fieldCount).toBe(2);
    expect(told(packet({}, field(UNKNOWN, 32), field(UNKNOWN, 32, 36)))).toBeUndefined();
  });
});

describe("before version 4", () => {
  it.each([0, 1, 2, 3])("knows no fields in version %i: all that follows is a MAC of 20 to 68 octets", (version) => {
    for (let rest = 0; rest <= 100; rest++) {
      const octets = packet({ version }, rest >= 4 ? field(UNKNOWN, rest) : new Uint8Array(rest));
      const expected = rest === 0 || (rest >= 20 && rest <= 68 && rest % 4 === 0);
      expect(told(octets, version) !== undefined, `${rest} octets`).toBe(expected);
      expect(told(octets, version)?.fieldCount ?? 0).toBe(0);
    }
  });

  it("knows a crypto-NAK in version 3", () => {
    expect(told(packet({ version: 3 }, NAK), 3)?.cryptoNak).toBe(1);
  });
});

describe("writing a field", () => {
  it("pads to four octets, keeps the minimum, and fills with zeros and no further", () => {
    for (const last of [0, 1]) {
      for (let value = 0; value <= 80; value++) {
        core.bytes.fill(0xee, at, at + 120);
        const length = exports.writeField(at, 0x8204, value, last);
        expect(length).toBe(Math.max(Math.ceil((4 + value) / 4) * 4, last ? 28 : 16));
        const expected = new Uint8Array(120).fill(0xee);
        expected.fill(0, 0, length);
        expected.set([0x82, 0x04, length >> 8, length & 0xff]);
        expect(hex(bench.octets(120))).toBe(hex(expected));
      }
    }
  });

  it("writes what the walk reads, up to the longest length there is", () => {
    // All 64 slots together hold the longest field.
    expect(exports.writeField(at, 1, 65528, 1)).toBe(65532);
    expect(core.view.getUint16(at + 2)).toBe(65532);
    for (const value of [0, 24, 33, 64]) {
      const length = exports.writeField(at + 48, 2, value, 1);
      expect(told(bench.octets(48 + length))).toMatchObject({ fieldCount: 1, fieldsEnd: 48 + length });
    }
  });
});

/** chrony's field 0xF323, written here by hand. */
function monoRoot(values: { delay?: number; dispersion?: number; receive?: bigint; epoch?: number; magic?: number } = {}, length = 28): Uint8Array {
  const octets = new Uint8Array(length);
  const view = new DataView(octets.buffer);
  view.setUint16(0, 0xf323);
  view.setUint16(2, length);
  view.setUint32(4, values.magic ?? 0xf5bedd9a);
  view.setUint32(8, values.delay ?? 0);
  view.setUint32(12, values.dispersion ?? 0);
  view.setBigUint64(16, values.receive ?? 0n);
  view.setUint32(24, values.epoch ?? 0);
  return octets;
}

describe("which fields a server answers", () => {
  const server = core.fields("SERVER", ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME", "MONO_EPOCH", "MONO_OFFSET"]);
  const RECEIVED = 0xeb000000_00000005n;

  function respond(octets: Uint8Array, state: { delay?: bigint; dispersion?: bigint } = {}): Uint8Array {
    core.view.setUint8(server.STRATUM, 1);
    core.setI64(server.ROOT_DELAY, state.delay ?? seconds(0.5) + 1n);
    core.setI64(server.ROOT_DISPERSION, state.dispersion ?? seconds(0.25));
    core.setU32(server.MONO_EPOCH, 0xcafef00d);
    core.setI64(server.MONO_OFFSET, -7n);
    const length = exports.respond(bench.put(octets), octets.length, RECEIVED, core.constant("SERVER"));
    return bench.octets(length);
  }

  const answer = monoRoot({ delay: 2 ** 27 + 1, dispersion: 2 ** 26, receive: RECEIVED - 7n, epoch: 0xcafef00d });

  it("answers the mono-root field with 4.28 seconds rounded up, the steady receive time and the epoch", () => {
    expect(hex(respond(packet({}, monoRoot())).slice(48))).toBe(hex(answer));
  });

  it("answers the field that chronyd sends, in as many octets as chronyd does", () => {
    const [asked, answered] = captured.filter(({ what }) => what.endsWith("NTPv4 with the mono-root field"));
    const reply = respond(fromHex(asked!.hex));
    expect(reply.length).toBe(answered!.hex.length / 2);
    expect(hex(reply.slice(48, 56))).toBe(answered!.hex.slice(96, 112));
  });

  it.each([
    ["negative", -1n, 0],
    ["zero", 0n, 0],
    ["one unit of 2^-32 s", 1n, 1],
    ["a whole unit of 2^-28 s", 16n, 1],
    ["one more", 17n, 2],
    ["just under 16 s", 0xfffffffe1n, 0xffffffff],
    ["16 s", 2n ** 36n, 0xffffffff],
    ["68 years", 2n ** 63n - 1n, 0xffffffff],
  ])("rounds a root delay and dispersion of %s up and saturates", (_name, value, expected) => {
    const reply = new DataView(respond(packet({}, monoRoot()), { delay: value, dispersion: value }).buffer);
    expect([reply.getUint32(56), reply.getUint32(60)]).toEqual([expected, expected]);
  });

  it("passes unknown fields over, before, between and after known ones", () => {
    const unknown = [field(UNKNOWN, 16), field(0x0104, 36), field(0x2005, 28)];
    for (let place = 0; place <= unknown.length; place++) {
      const fields = [...unknown];
      fields.splice(place, 0, monoRoot());
      expect(hex(respond(packet({}, ...fields)).slice(48)), `known field at ${place}`).toBe(hex(answer));
    }
    expect(respond(packet({}, ...unknown)).length).toBe(48);
  });

  it("answers every one of several, each in its own octets", () => {
    expect(hex(respond(packet({}, monoRoot(), field(UNKNOWN, 16), monoRoot())).slice(48))).toBe(hex(concat(answer, answer)));
  });

  it("passes over what only has the type: another magic or another length", () => {
    expect(respond(packet({}, monoRoot({ magic: 0xf5bedd9b }))).length).toBe(48);
    expect(respond(packet({}, monoRoot({}, 32))).length).toBe(48);
    expect(respond(packet({}, monoRoot({}, 28))).length).toBe(76);
  });

  it("answers nothing at all when one field is malformed, even after a known one", () => {
    expect(respond(packet({}, monoRoot(), field(UNKNOWN, 28, 32))).length).toBe(0);
  });
});

describe("which fields a client reads", () => {
  const exchange = core.fields("EXCHANGE", ["VERSION", "MODE", "WANTS", "ORIGIN", "T1", "T4", "PREVIOUS_TRANSMIT", "PRECISION"]);
  const sample = core.fields("SAMPLE", ["ROOT_DELAY", "ROOT_DISPERSION", "ROOT_DISTANCE", "PROBLEMS", "MONO_EPOCH", "MONO_RECEIVE"]);
  const NOW = 0xeb000000_00000000n;

  function read(...fields: Uint8Array[]) {
    return readWanting(1, ...fields);
  }

  function readWanting(wants: number, ...fields: Uint8Array[]) {
    core.view.setUint8(exchange.VERSION, 4);
    core.view.setUint8(exchange.MODE, 3);
    core.setU32(exchange.WANTS, wants);
    core.setU64(exchange.ORIGIN, 99n);
    for (const place of [exchange.T1, exchange.T4]) core.setU64(place, NOW);
    const header = { mode: 4, stratum: 1, refid: ascii("GPS"), originTime: 99n, receiveTime: NOW, transmitTime: NOW };
    const octets = packet({ ...header, rootDelayShort: 3, rootDispersionShort: 5 }, ...fields);
    const verdict = exports.replyRead(bench.put(octets), octets.length, core.constant("EXCHANGE"), core.constant("SAMPLE"));
    return {
      verdict,
      problems: core.u32(sample.PROBLEMS),
      rootDelay: core.i64(sample.ROOT_DELAY),
      rootDispersion: core.i64(sample.ROOT_DISPERSION),
      epoch: core.u32(sample.MONO_EPOCH),
      receive: core.u64(sample.MONO_RECEIVE),
    };
  }

  const plain = { verdict: 1, problems: 0, rootDelay: 3n << 16n, rootDispersion: 5n << 16n, epoch: 0, receive: 0n };

  it("takes root delay and dispersion from the finer field, and forgets them with the next reply", () => {
    const fine = { verdict: 1, problems: 0, rootDelay: 0x1234n << 4n, rootDispersion: 0xabcdefn << 4n, epoch: 0x80000001, receive: 1n << 63n };
    const told = monoRoot({ delay: 0x1234, dispersion: 0xabcdef, epoch: 0x80000001, receive: 1n << 63n });
    expect(read(told)).toEqual(fine);
    expect(read()).toEqual(plain);
    // Nobody asked: the header's word holds.
    expect(readWanting(0, told)).toEqual(plain);
  });

  it("judges the finer values like the header's: 16 s cannot hide behind a header of zero", () => {
    expect(read(monoRoot({ delay: 0xffffffff, dispersion: 0xffffffff })).problems).toBe((1 << 6) | (1 << 8));
    expect(read(monoRoot({ delay: 0, dispersion: 1 << 28 })).problems).toBe(1 << 8);
  });

  it("passes unknown fields over, and what only has the type", () => {
    expect(read(field(UNKNOWN, 28))).toEqual(plain);
    expect(read(field(UNKNOWN, 16), field(0x0204, 100))).toEqual(plain);
    expect(read(monoRoot({ delay: 1, magic: 0 }))).toEqual(plain);
    expect(read(monoRoot({ delay: 1 }, 36))).toEqual(plain);
  });

  it("asks for the field only in version 4 and only when it is wanted", () => {
    for (const [version, wants, length] of [[4, 1, 76], [4, 0, 48], [3, 1, 48]] as const) {
      core.view.setUint8(exchange.VERSION, version);
      core.setU32(exchange.WANTS, wants);
      expect(exports.requestWrite(at, core.constant("EXCHANGE"))).toBe(length);
      if (length > 48) expect(hex(bench.octets(28, at + 48))).toBe(hex(monoRoot()));
    }
    core.setU32(exchange.WANTS, 0);
  });
});
