// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A request and its reply: every check with a reply that fails it and a twin that passes, and every measure against exact
 * BigInt arithmetic over arbitrary times. RFC 5905 §8, §9.2, §11.1; RFC 4330 §5.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Bench, MAX_I64, MAX_U64, anyI8, anyU32, anyU64, ascii, captured, clamp, field, floorDiv, fromHex, hex, mac, packet, seconds,
  type HeaderFields,
} from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports } = bench;
const { view } = core;
const EXCHANGE = core.constant("EXCHANGE");
const SAMPLE = core.constant("SAMPLE");
const at = core.fields("EXCHANGE", ["VERSION", "MODE", "POLL", "WANTS", "ORIGIN", "T1", "T4", "PREVIOUS_TRANSMIT", "PRECISION"]);
const of = core.fields("SAMPLE", ["T1", "T2", "T3", "T4", "OFFSET", "DELAY", "DISPERSION", "ROOT_DELAY", "ROOT_DISPERSION", "ROOT_DISTANCE", "PROBLEMS"]);

const TEST = {
  1: 1 << 0, 2: 1 << 1, 3: 1 << 2, 4: 1 << 3, 5: 1 << 4, 6: 1 << 5, 7: 1 << 6,
  A: 1 << 7, B: 1 << 8, C: 1 << 9, D: 1 << 10, E: 1 << 11,
} as const;
const [IGNORE, ACCEPT, KISS] = [0, 1, 2];
const RUNS = { numRuns: 2000 };

const ORIGIN = 0x0123456789abcdefn;
const T1 = 0xeb000000_00000000n;
const MS = seconds(0.001);

const EXCHANGE_OF = { version: 4, mode: 3, poll: 0, wants: 0, origin: ORIGIN, t1: T1, t4: T1 + 30n * MS, previous: 0n, precision: seconds(1e-6) };
type ExchangeFields = typeof EXCHANGE_OF;

function prepare(fields: Partial<ExchangeFields> = {}): ExchangeFields {
  const exchange = { ...EXCHANGE_OF, ...fields };
  view.setUint8(at.VERSION, exchange.version);
  view.setUint8(at.MODE, exchange.mode);
  view.setInt8(at.POLL, exchange.poll);
  core.setU32(at.WANTS, exchange.wants);
  core.setU64(at.ORIGIN, exchange.origin);
  core.setU64(at.T1, exchange.t1);
  core.setU64(at.T4, exchange.t4);
  core.setU64(at.PREVIOUS_TRANSMIT, exchange.previous);
  core.setI64(at.PRECISION, exchange.precision);
  return exchange;
}

/** A reply without a fault, where not told otherwise. */
const GOOD = {
  mode: 4, version: 4, stratum: 2, precision: -20, refid: 0x7f000001, referenceTime: T1 - seconds(100), originTime: ORIGIN,
  receiveTime: T1 + 10n * MS, transmitTime: T1 + 11n * MS, rootDelayShort: 0x100, rootDispersionShort: 0x200,
};
const reply = (fields: Partial<HeaderFields> = {}, ...tail: Uint8Array[]) => packet({ ...GOOD, ...fields }, ...tail);

/** The verdict and the problems; what came is the good reply with the given differences. */
function judge(octets: Uint8Array, exchange: Partial<ExchangeFields> = {}): readonly [verdict: number, problems: number] {
  prepare(exchange);
  core.setU32(of.PROBLEMS, 0xffffffff);
  const verdict = exports.replyRead(bench.put(octets), octets.length, EXCHANGE, SAMPLE);
  return [verdict, core.u32(of.PROBLEMS)];
}

const measured = () => ({
  offset: core.i64(of.OFFSET),
  delay: core.i64(of.DELAY),
  dispersion: core.i64(of.DISPERSION),
  rootDelay: core.i64(of.ROOT_DELAY),
  rootDispersion: core.i64(of.ROOT_DISPERSION),
  rootDistance: core.i64(of.ROOT_DISTANCE),
});

describe("a request", () => {
  it.each([1, 2, 3, 4])("of version %i tells nothing but version, mode and the random origin", (version) => {
    fc.assert(fc.property(anyU64, anyU64, anyU64, (origin, t1, previous) => {
      prepare({ version, origin, t1, previous });
      core.bytes.fill(0xee, bench.at, bench.at + 60);
      expect(exports.requestWrite(bench.at, EXCHANGE)).toBe(48);
      expect(hex(bench.octets(48))).toBe(hex(packet({ version, mode: 3, precision: 32, transmitTime: origin })));
      expect(bench.octets(12, bench.at + 48).every((octet) => octet === 0xee)).toBe(true);
    }), { numRuns: 100 });
  });

  it("never has the true time of leaving in it", () => {
    prepare({ t1: 0xfeedfacecafebeefn });
    const length = exports.requestWrite(bench.at, EXCHANGE);
    expect(hex(bench.octets(length))).not.toMatch(/feedface|cafebeef/);
  });

  it.each([
    ["plain NTPv4", { version: 4, wants: 0 }],
    ["plain NTPv3", { version: 3, wants: 0 }],
    ["NTPv4 with the mono-root field", { version: 4, wants: 1 }],
  ])("of %s is chronyd's, octet for octet", (what, exchange) => {
    const chronyd = captured.find((entry) => entry.what === `request: ${what}`)!;
    const origin = new DataView(fromHex(chronyd.hex).buffer).getBigUint64(40);
    prepare({ ...exchange, origin });
    expect(hex(bench.octets(exports.requestWrite(bench.at, EXCHANGE)))).toBe(chronyd.hex);
  });

  it("carries the mode and a poll exponent that the host asks for", () => {
    prepare({ mode: 1, poll: -3 });
    exports.requestWrite(bench.at, EXCHANGE);
    expect(hex(bench.octets(48))).toBe(hex(packet({ mode: 1, poll: -3, precision: 32, transmitTime: ORIGIN })));
  });
});

describe("a reply without a fault", () => {
  it("is a sample", () => {
    expect(judge(reply())).toEqual([ACCEPT, 0]);
  });

  it("may have fields nobody knows, a MAC, or both", () => {
    expect(judge(reply({}, field(0x4321, 28)))).toEqual([ACCEPT, 0]);
    expect(judge(reply({}, field(0x4321, 16), field(0x2005, 64)))).toEqual([ACCEPT, 0]);
    expect(judge(reply({}, mac(20)))).toEqual([ACCEPT, 0]);
    expect(judge(reply({}, field(0x4321, 16), mac(24)))).toEqual([ACCEPT, 0]);
    expect(judge(reply({ version: 3 }, mac(68)))).toEqual([ACCEPT, 0]);
  });

  it.each(captured.filter(({ what }) => what.startsWith("reply")))("comes from $program: $what", ({ hex: text, what }) => {
    const octets = fromHex(text);
    const header = new DataView(octets.buffer);
    const [origin, t2, t3] = [24, 32, 40].map((offset) => header.getBigUint64(offset)) as [bigint, bigint, bigint];
    const unsynchronised = what.includes("not synchronised");
    expect(judge(octets, { origin, t1: t2 - MS, t4: t3 + MS, version: header.getUint8(0) >> 3 & 7 })).toEqual([ACCEPT, unsynchronised ? TEST[6] | TEST.B : 0]);
    expect(measured()).toMatchObject({ offset: 0n, delay: 2n * MS });
    // The twin: the same octets as an answer to another request.
    expect(judge(octets, { origin: origin ^ 1n })).toEqual([IGNORE, TEST[2]]);
  });
});

describe("test1", () => {
  it("finds the transmit timestamp of the reply before", () => {
    expect(judge(reply(), { previous: GOOD.transmitTime })).toEqual([ACCEPT, TEST[1]]);
  });

  it("passes any other, and knows none when it is zero", () => {
    expect(judge(reply(), { previous: GOOD.transmitTime ^ 1n })).toEqual([ACCEPT, 0]);
    expect(judge(reply({ transmitTime: 0n }), { previous: 0n })[1] & TEST[1]).toBe(0);
  });
});

describe("test2", () => {
  it("ignores a reply whose origin is one bit off, whichever bit", () => {
    // Who did not see our request cannot know its transmit timestamp; a packet that only nearly does is forged.
    for (let bit = 0n; bit < 64n; bit++) {
      expect(judge(reply({ originTime: ORIGIN ^ (1n << bit) })), `bit ${bit}`).toEqual([IGNORE, TEST[2]]);
    }
  });

  it("ignores the true time of leaving as origin, and zero", () => {
    expect(judge(reply({ originTime: T1 }))).toEqual([IGNORE, TEST[2]]);
    expect(judge(reply({ originTime: 0n }))).toEqual([IGNORE, TEST[2] | TEST[3]]);
  });

  it("passes the origin bit for bit, whatever bits", () => {
    fc.assert(fc.property(anyU64.filter((origin) => origin !== 0n), (origin) => {
      expect(judge(reply({ originTime: origin }), { origin })).toEqual([ACCEPT, 0]);
    }), { numRuns: 300 });
  });
});

describe("test3", () => {
  it("finds a receive or transmit timestamp of zero", () => {
    expect(judge(reply({ receiveTime: 0n }))[1] & TEST[3]).toBe(TEST[3]);
    expect(judge(reply({ transmitTime: 0n, referenceTime: 0n }))[1] & TEST[3]).toBe(TEST[3]);
    expect(judge(reply({ receiveTime: 0n }))[0]).toBe(ACCEPT);
  });

  it("passes one unit of 2^-32 s, and the first second of the next era", () => {
    expect(judge(reply({ receiveTime: 1n, transmitTime: 2n, referenceTime: 0n }), { t1: MAX_U64, t4: 4n })).toEqual([ACCEPT, 0]);
    expect(judge(reply({ receiveTime: 1n << 31n, transmitTime: 1n << 31n, referenceTime: MAX_U64 }), { t1: 0n, t4: 1n << 32n })).toEqual([ACCEPT, 0]);
  });
});

describe("test4 and testA", () => {
  const kiss = (code: string) => ({ leap: 3, stratum: 0, refid: ascii(code) });

  it.each(["DENY", "RSTR"])("find that %s denies access", (code) => {
    expect(judge(reply(kiss(code)))).toEqual([KISS, TEST[4] | TEST.A | TEST[6]]);
  });

  it.each(["RATE", "INIT", "STEP", "NTSN", "ABCD", "X"])("find a kiss of %s that denies nothing", (code) => {
    expect(judge(reply(kiss(code)))).toEqual([KISS, TEST.A | TEST[6]]);
  });

  it("find a kiss also when the server knows no time at all", () => {
    const [verdict, problems] = judge(packet({ ...kiss("RATE"), mode: 4, originTime: ORIGIN }));
    expect([verdict, problems & TEST.A]).toEqual([KISS, TEST.A]);
  });

  it("ignore a kiss with a foreign origin: an off-path host must not silence us", () => {
    for (const code of ["DENY", "RATE"]) {
      expect(judge(reply({ ...kiss(code), originTime: ORIGIN ^ 1n }))).toEqual([IGNORE, TEST[2]]);
      expect(judge(reply({ ...kiss(code), mode: 5 }))).toEqual([IGNORE, TEST.E]);
    }
  });

  it("find no kiss in the same letters at another stratum, nor in stratum 0 without letters", () => {
    for (const stratum of [1, 2, 15]) expect(judge(reply({ stratum, refid: ascii("DENY") }))).toEqual([ACCEPT, 0]);
    expect(judge(reply({ stratum: 0, refid: 0 }))).toEqual([ACCEPT, TEST[6]]);
  });
});

describe("test5", () => {
  it("finds a crypto-NAK", () => {
    expect(judge(reply({}, mac(4, 0)))).toEqual([ACCEPT, TEST[5]]);
    expect(judge(reply({ version: 3 }, mac(4, 0)))).toEqual([ACCEPT, TEST[5]]);
    expect(judge(reply({}, field(0x4321, 28), mac(4, 0)))).toEqual([ACCEPT, TEST[5]]);
  });

  it("passes a whole MAC with key zero", () => {
    expect(judge(reply({}, mac(20, 0)))).toEqual([ACCEPT, 0]);
  });

  it("ignores a crypto-NAK with a foreign origin", () => {
    expect(judge(reply({ originTime: 1n }, mac(4, 0)))[0]).toBe(IGNORE);
  });
});

describe("test6", () => {
  it.each([0, 16, 17, 128, 255])("finds that stratum %i is not synchronised", (stratum) => {
    expect(judge(reply({ stratum, refid: 0 }))).toEqual([ACCEPT, TEST[6]]);
  });

  it("finds leap 3 at every stratum", () => {
    for (const stratum of [1, 2, 15]) expect(judge(reply({ leap: 3, stratum }))).toEqual([ACCEPT, TEST[6]]);
  });

  it("passes strata 1 to 15 with leap 0, 1 and 2", () => {
    for (let stratum = 1; stratum <= 15; stratum++) {
      for (const leap of [0, 1, 2]) expect(judge(reply({ leap, stratum }))).toEqual([ACCEPT, 0]);
    }
  });
});

describe("test7", () => {
  it.each([
    ["dispersion of 16 s", 0, 16 * 65536],
    ["delay of 32 s", 32 * 65536, 0],
    ["delay of 16 s and dispersion of 8 s", 16 * 65536, 8 * 65536],
    ["delay that version 3 would have called negative", 0xffffffff, 0],
    ["dispersion as large as can be", 0, 0xffffffff],
  ])("finds a root %s", (_what, rootDelayShort, rootDispersionShort) => {
    expect(judge(reply({ rootDelayShort, rootDispersionShort }))).toEqual([ACCEPT, TEST[7] | TEST.B]);
  });

  it("passes a root distance just below 16 s, which testB alone finds", () => {
    expect(judge(reply({ rootDelayShort: 0, rootDispersionShort: 16 * 65536 - 1 }))).toEqual([ACCEPT, TEST.B]);
    expect(judge(reply({ rootDelayShort: 32 * 65536 - 1, rootDispersionShort: 0 }))).toEqual([ACCEPT, TEST.B]);
  });

  it("finds a reference time after the transmit time, by one unit", () => {
    expect(judge(reply({ referenceTime: GOOD.transmitTime + 1n }))).toEqual([ACCEPT, TEST[7]]);
  });

  it("passes a reference time equal to the transmit time, and zero, which says nothing", () => {
    expect(judge(reply({ referenceTime: GOOD.transmitTime }))).toEqual([ACCEPT, 0]);
    expect(judge(reply({ referenceTime: 0n }))).toEqual([ACCEPT, 0]);
  });

  it("knows before and after across the end of the era", () => {
    const next = { receiveTime: 5n, transmitTime: 10n };
    const exchange = { t1: 1n, t4: 20n };
    expect(judge(reply({ ...next, referenceTime: MAX_U64 - seconds(64) }), exchange)).toEqual([ACCEPT, 0]);
    expect(judge(reply({ ...next, referenceTime: 11n }), exchange)).toEqual([ACCEPT, TEST[7]]);
    expect(judge(reply({ receiveTime: MAX_U64, transmitTime: MAX_U64, referenceTime: 1n }), { t1: MAX_U64, t4: MAX_U64 })).toEqual([ACCEPT, TEST[7]]);
  });
});

describe("testB", () => {
  it("finds a root delay or dispersion of one second", () => {
    expect(judge(reply({ rootDelayShort: 0x10000 }))).toEqual([ACCEPT, TEST.B]);
    expect(judge(reply({ rootDispersionShort: 0x10000 }))).toEqual([ACCEPT, TEST.B]);
  });

  it("passes 15 µs less", () => {
    expect(judge(reply({ rootDelayShort: 0xffff, rootDispersionShort: 0xffff }))).toEqual([ACCEPT, 0]);
  });
});

describe("testC", () => {
  const precision = 100n;
  // Both clocks' precision: 2^-20 s, 4096 units, and ours.
  const times = (delay: bigint) => ({ t4: T1, receiveTime: T1, transmitTime: T1 - delay, precision });
  const judged = (delay: bigint) => {
    const { t4, receiveTime, transmitTime } = times(delay);
    return judge(reply({ receiveTime, transmitTime }), { t4, precision });
  };

  it("finds a delay more negative than the clocks' precision explains", () => {
    expect(judged(-4197n)).toEqual([ACCEPT, TEST.C]);
    expect(measured().delay).toBe(-4197n);
  });

  it("passes what their precision explains, and no delay at all", () => {
    expect(judged(-4196n)).toEqual([ACCEPT, 0]);
    expect(measured().delay).toBe(-4196n);
    expect(judged(0n)).toEqual([ACCEPT, 0]);
  });

  it("finds a server that claims to have kept the request longer than we waited", () => {
    expect(judge(reply({ receiveTime: T1, transmitTime: T1 + seconds(1) }), { t4: T1 + seconds(0.5) })[1]).toBe(TEST.C);
  });
});

describe("testD", () => {
  it("ignores what is shorter than a header, at every length", () => {
    for (let length = 0; length < 48; length++) expect(judge(reply().subarray(0, length))).toEqual([IGNORE, TEST.D]);
  });

  it.each([
    ["a stray octet", new Uint8Array(1)],
    ["12 octets that are nothing", new Uint8Array(12)],
    ["a field with a wrong length", field(0x4321, 28, 27)],
    ["a field longer than the packet", field(0x4321, 28, 32)],
    ["a key identifier without a digest", mac(4, 1)],
    ["a MAC too long for version 4", mac(36)],
  ])("ignores a reply with %s behind the header", (_what, tail) => {
    expect(judge(reply({}, tail))).toEqual([IGNORE, TEST.D]);
  });

  it("passes the whole header and a whole field", () => {
    expect(judge(reply())).toEqual([ACCEPT, 0]);
    expect(judge(reply({}, field(0x4321, 28)))).toEqual([ACCEPT, 0]);
  });
});

describe("testE", () => {
  it.each([0, 1, 2, 3, 5, 6, 7])("ignores mode %i as an answer to a client", (mode) => {
    expect(judge(reply({ mode }))).toEqual([IGNORE, TEST.E]);
  });

  it("accepts mode 2, and only that, as an answer to mode 1", () => {
    for (let mode = 0; mode < 8; mode++) expect(judge(reply({ mode }), { mode: 1 })[0], `mode ${mode}`).toBe(mode === 2 ? ACCEPT : IGNORE);
  });

  it("accepts our version or an older one, never a later one or zero", () => {
    for (const asked of [1, 2, 3, 4]) {
      for (let version = 0; version < 8; version++) {
        const expected = version >= 1 && version <= asked ? [ACCEPT, 0] : [IGNORE, TEST.E];
        expect(judge(reply({ version }), { version: asked }), `${version} to ${asked}`).toEqual(expected);
      }
    }
  });
});

describe("what is measured", () => {
  const short = fc.oneof(anyU32, fc.integer({ min: 0, max: 0x10000 }));

  it("is exact for arbitrary times", () => {
    const precision = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 34n }), fc.constantFrom(0n, 1n, MAX_I64));
    fc.assert(fc.property(fc.tuple(anyU64, anyU64, anyU64, anyU64), anyI8, precision, short, short, ([t1, t2, t3, t4], log2, own, delayShort, dispersionShort) => {
      const [verdict] = judge(
        reply({ receiveTime: t2, transmitTime: t3, precision: log2, rootDelayShort: delayShort, rootDispersionShort: dispersionShort }),
        { t1, t4, precision: own },
      );
      expect(verdict).toBe(ACCEPT);
      const signed = (value: bigint) => BigInt.asIntN(64, value);
      const span = signed(t4 - t1);
      const delay = signed(t4 - t1 - (t3 - t2));
      const theirs = log2 >= 31 ? MAX_I64 : log2 <= -32 ? 1n : 2n ** BigInt(32 + log2);
      const drift = span > 0n ? -floorDiv(-15n * span, 1_000_000n) : 0n;
      const dispersion = clamp(clamp(theirs + own) + drift);
      const [rootDelay, rootDispersion] = [BigInt(delayShort) << 16n, BigInt(dispersionShort) << 16n];
      const roundTrips = clamp(rootDelay + (delay > own ? delay : own));
      expect(measured()).toEqual({
        offset: floorDiv(signed(t2 - t1) + signed(t3 - t4), 2n),
        delay,
        dispersion,
        rootDelay,
        rootDispersion,
        rootDistance: clamp(floorDiv(roundTrips + 1n, 2n) + clamp(rootDispersion + dispersion)),
      });
      expect([core.u64(of.T1), core.u64(of.T2), core.u64(of.T3), core.u64(of.T4)]).toEqual([t1, t2, t3, t4]);
    }), RUNS);
  });

  it("is the true offset, give or take half the asymmetry, wherever in time the two clocks stand", () => {
    const path = fc.bigInt({ min: 0n, max: seconds(100) });
    const ahead = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
    fc.assert(fc.property(anyU64, ahead, path, path, path, (t1, theta, there, stay, back) => {
      const wrap = (value: bigint) => BigInt.asUintN(64, value);
      const t2 = wrap(t1 + there + theta);
      const t3 = wrap(t2 + stay);
      const t4 = wrap(t1 + there + stay + back);
      expect(exports.offsetOf(t1, t2, t3, t4)).toBe(floorDiv(2n * theta + there - back, 2n));
      expect(exports.delayOf(t1, t2, t3, t4)).toBe(there + back);
    }), RUNS);
  });

  it("is right when the era ends between leaving and coming back", () => {
    // It left 5 ms before the end, was there 5 ms after it by a clock that is right, and came back as late again.
    const exchange = { t1: MAX_U64 - 5n * MS + 1n, t4: 16n * MS };
    expect(judge(reply({ receiveTime: 5n * MS, transmitTime: 6n * MS, referenceTime: MAX_U64 }), exchange)).toEqual([ACCEPT, 0]);
    expect(measured()).toMatchObject({ delay: 20n * MS, offset: 0n });
  });

  it("does not overflow when the clocks are 68 years apart", () => {
    const far = 2n ** 63n - 1n;
    expect(exports.offsetOf(0n, far, far, 0n)).toBe(far);
    expect(exports.offsetOf(0n, far - 1n, far, 1n)).toBe(far - 1n);
    expect(exports.offsetOf(far, 0n, 0n, far)).toBe(-far);
    expect(exports.offsetOf(0n, 2n ** 63n, 2n ** 63n, 0n)).toBe(-(2n ** 63n)); // one unit further, and it turns over
  });

  it("drifts 15 ppm of the time it took, rounded up, never backwards", () => {
    fc.assert(fc.property(anyU64, (value) => {
      const span = BigInt.asIntN(64, value);
      expect(exports.driftOver(span)).toBe(span <= 0n ? 0n : -floorDiv(-15n * span, 1_000_000n));
    }), RUNS);
    expect(exports.driftOver(seconds(1000))).toBe(BigInt(Math.ceil(0.015 * 2 ** 32)));
  });

  it("bounds the error by half the round trips and all the dispersions, never by less than our own precision", () => {
    judge(reply({ receiveTime: T1, transmitTime: T1, precision: -32, rootDelayShort: 0, rootDispersionShort: 0 }), { t4: T1, precision: 1000n });
    expect(measured()).toMatchObject({ delay: 0n, dispersion: 1001n, rootDistance: 500n + 1001n });
  });
});
