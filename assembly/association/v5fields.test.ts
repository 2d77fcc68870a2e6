// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the client asks an NTPv5 server beside the time, and what it believes of the answers: server information, reference,
 * monotonic and secondary timestamps, corrections; what contradicts itself is passed over, and no bound rests on a correction.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { concat, hex, seconds } from "../../tests/support/core.ts";
import { FIELD, draftField, field5, fieldsOf5, request5 } from "../../tests/support/ntpv5.ts";
import { START, TestServer } from "../../tests/support/server.ts";

const COOKIE = 0x0123456789abcdefn;
const WANT = { information: 1 << 2, reference: 1 << 3, monotonic: 1 << 4, scales: 1 << 5, correction: 1 << 6 } as const;
const ALL = 0x7c;
const [ABSENT, EMPTY, USED, REFUSED] = [0, 1, 2, 3];
/** s, the way there and back without anything on it. */
const WAY = 0.01;

const core = new Core();
const exchange = core.fields("EXCHANGE", ["AUTH", "VERSION", "MODE", "ORIGIN", "T1", "T4", "WANTS", "WANTS_INTERLEAVED"]);
const sample = core.fields("SAMPLE", ["PROBLEMS", "OFFSET", "DELAY", "ROOT_DISTANCE", "CORRECTED", "MONO_EPOCH", "MONO_RECEIVE"]);
const details = core.fields("DETAILS", ["VERSIONS", "SCALES", "CORRECTION", "MONO_EPOCH", "REFERENCE_TIME", "MONO_RECEIVE", "TAI", "UT1", "SMEARED", "ORIGIN", "DELAY"]);
const slot = core.constant("SLOTS");

function ask(wants: number): Uint8Array {
  core.view.setUint8(exchange.AUTH, 0);
  core.view.setUint8(exchange.VERSION, 5);
  core.view.setUint8(exchange.MODE, 3);
  core.setU32(exchange.WANTS, wants);
  core.setU64(exchange.ORIGIN, COOKIE);
  const length = core.exports.requestWrite(slot, core.constant("EXCHANGE"));
  return core.bytes.slice(slot, slot + length);
}

/** A reply of a server that is in step with us, asked at START − WAY / 2. */
function reply(...fields: Uint8Array[]): Uint8Array {
  const octets = concat(request5({ cookie: COOKIE, mode: 4 }, draftField(), ...fields));
  const view = new DataView(octets.buffer);
  view.setUint8(1, 1);
  view.setUint16(14, 1);
  view.setBigUint64(32, START);
  view.setBigUint64(40, START);
  return octets;
}

function read(octets: Uint8Array, wants = ALL, { there = WAY / 2, back = WAY / 2 } = {}) {
  core.bytes.set(octets, slot);
  core.setU32(exchange.WANTS, wants);
  core.setU64(exchange.T1, START - seconds(there));
  core.setU64(exchange.T4, START + seconds(back));
  const verdict = core.exports.replyRead(slot, octets.length, core.constant("EXCHANGE"), core.constant("SAMPLE"));
  const span = (at: number) => core.exports.intervalToSeconds(core.i64(at));
  return {
    verdict,
    problems: core.u32(sample.PROBLEMS),
    offset: span(sample.OFFSET), delay: span(sample.DELAY), distance: span(sample.ROOT_DISTANCE), corrected: span(sample.CORRECTED),
    versions: core.view.getUint16(details.VERSIONS, true), scales: core.view.getUint8(details.SCALES), correction: core.view.getUint8(details.CORRECTION),
    referenceTime: core.u64(details.REFERENCE_TIME), monoEpoch: core.u32(details.MONO_EPOCH), monoReceive: core.u64(details.MONO_RECEIVE),
    tai: span(details.TAI), ut1: span(details.UT1), smeared: span(details.SMEARED),
  };
}

const u64 = (value: bigint) => {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, BigInt.asUintN(64, value));
  return octets;
};
const secondary = (scale: number, time: bigint, era = 0) => field5(FIELD.secondary, concat(Uint8Array.of(scale, era, 0, 0), u64(time)));
const information = (versions: number) => field5(FIELD.information, Uint8Array.of(versions >> 8, versions & 255, 0, 0));
/** s, there and back. */
const correction = (origin: number, delay: number) => {
  const fixed = (value: number) => u64(BigInt(Math.round(value * 65536e9)));
  return field5(FIELD.correction, concat(fixed(origin), new Uint8Array(4), fixed(delay), new Uint8Array(4)));
};

beforeEach(() => core.view.setUint8(exchange.WANTS_INTERLEAVED, 0));

describe("a request", () => {
  it("asks for nothing that is not wanted", () => {
    expect(fieldsOf5(ask(0)).map(({ type }) => type)).toEqual([FIELD.draft]);
  });

  it("asks for each thing by a field of zeros, the correction last", () => {
    const fields = fieldsOf5(ask(ALL));
    expect(fields.map(({ type, length }) => [type, length])).toEqual([
      [FIELD.draft, 27], [FIELD.information, 8], [FIELD.reference, 12], [FIELD.monotonic, 16], [FIELD.secondary, 16], [FIELD.secondary, 16], [FIELD.secondary, 16], [FIELD.correction, 28],
    ]);
    expect(fields.slice(4, 7).map(({ value }) => value[0])).toEqual([1, 2, 3]);
    const zeros = [...fields.slice(1, 4), ...fields.slice(4, 7).map((field) => ({ value: field.value.slice(1) })), fields[7]!];
    for (const { value } of zeros) expect(hex(value)).toMatch(/^0*$/);
    for (const [name, bit] of Object.entries(WANT)) if (name !== "scales") expect(fieldsOf5(ask(bit))).toHaveLength(2);
  });

  it("puts the correction behind the MAC, where nodes may write into it", () => {
    const scratch = core.constant("SCRATCH");
    core.bytes.set(new Uint8Array(16).fill(7), scratch);
    core.exports.keySet(0, 42, 4, scratch, 16);
    ask(ALL);
    core.view.setUint8(exchange.AUTH, 1);
    const length = core.exports.requestWrite(slot, core.constant("EXCHANGE"));
    const types = fieldsOf5(core.bytes.slice(slot, slot + length)).map(({ type }) => type);
    expect(types.slice(-2)).toEqual([FIELD.mac, FIELD.correction]);
    core.exports.keyClear(0);
  });

  it("asks for no correction in interleaved mode, whose reply is about another exchange", () => {
    core.view.setUint8(exchange.WANTS_INTERLEAVED, 1);
    expect(fieldsOf5(ask(ALL)).map(({ type }) => type)).not.toContain(FIELD.correction);
  });
});

describe("an answer of our own server", () => {
  it("tells all that it knows, and what it does not know is not told", () => {
    const server = new TestServer();
    const at = server.core.fields("SERVER", ["TAI_OFFSET", "UT1_KNOWN", "UT1_OFFSET", "MONO_EPOCH", "MONO_OFFSET"]);
    const answer = () => read(server.ask(undefined, ask(ALL)).reply);
    expect(answer()).toMatchObject({ problems: 0, versions: 0x1f, scales: 0, correction: EMPTY, referenceTime: START - seconds(16), monoReceive: 0n });
    server.core.view.setInt32(at.TAI_OFFSET, 37, true);
    server.core.view.setUint8(at.UT1_KNOWN, 1);
    server.core.setI64(at.UT1_OFFSET, seconds(-0.125));
    server.core.setU32(at.MONO_EPOCH, 0xabcd);
    server.core.setI64(at.MONO_OFFSET, seconds(-1000));
    expect(answer()).toMatchObject({ problems: 0, scales: 0b110, tai: 37, ut1: -0.125, monoEpoch: 0xabcd, monoReceive: START - seconds(1000) });
    expect([core.u32(sample.MONO_EPOCH), core.u64(sample.MONO_RECEIVE)]).toEqual([0xabcd, START - seconds(1000)]);
    server.core.setU64(server.fields.LEAP_AT, START + seconds(3600));
    server.core.setI64(server.fields.SMEAR_LENGTH, seconds(86_400));
    server.core.view.setUint8(server.fields.SMEAR_SHAPE, 1);
    server.core.view.setUint8(server.fields.SMEAR_LEAP, 1);
    const smeared = answer();
    expect(smeared.scales).toBe(0b1110);
    expect(smeared.smeared).toBeCloseTo(-39_600 / 86_401, 6);
  });

  it("tells UT1 in its header to who asks for it, and UTC while it is not known", () => {
    const server = new TestServer();
    const at = server.core.fields("SERVER", ["UT1_KNOWN", "UT1_OFFSET"]);
    const told = () => {
      const { view } = server.ask(undefined, request5({ scale: 2 }));
      return [view.getUint8(12), view.getBigUint64(32) - server.now, view.getBigUint64(40) - server.now];
    };
    expect(told()).toEqual([0, 0n, seconds(0.0001)]);
    server.core.view.setUint8(at.UT1_KNOWN, 1);
    server.core.setI64(at.UT1_OFFSET, seconds(0.25));
    expect(told()).toEqual([2, seconds(0.25), seconds(0.25) + seconds(0.0001)]);
    server.core.setU64(server.fields.UPDATED, START);
    server.core.setU64(server.fields.LEAP_AT, START + seconds(10));
    server.wait(11);
    expect(told()[0]).toBe(0);
  });
});

describe("what an answer tells", () => {
  it.each([
    ["versions without version 5", information(0x0f), { versions: 0 }],
    ["versions with it", information(0x18), { versions: 0x18 }],
    ["a reference time of zero", field5(FIELD.reference, u64(0n)), { referenceTime: 0n }],
    ["a reference time to come", field5(FIELD.reference, u64(START + 1n)), { referenceTime: 0n }],
    ["a reference time", field5(FIELD.reference, u64(START - 5n)), { referenceTime: START - 5n }],
    ["a monotonic time of zero", field5(FIELD.monotonic, concat(Uint8Array.of(1, 2, 3, 4), u64(0n))), { monoEpoch: 0, monoReceive: 0n }],
    ["a monotonic time", field5(FIELD.monotonic, concat(Uint8Array.of(1, 2, 3, 4), u64(9n))), { monoEpoch: 0x01020304, monoReceive: 9n }],
    ["TAI 37 s ahead", secondary(1, START + seconds(37)), { scales: 2, tai: 37 }],
    ["TAI behind UTC", secondary(1, START - seconds(37)), { scales: 0 }],
    ["TAI two hours ahead", secondary(1, START + seconds(7200)), { scales: 0 }],
    ["UT1", secondary(2, START - seconds(0.5)), { scales: 4, ut1: -0.5 }],
    ["UT1 two seconds off", secondary(2, START - seconds(2)), { scales: 0 }],
    ["smeared time", secondary(3, START + seconds(0.5)), { scales: 8, smeared: 0.5 }],
    ["a scale of another era", secondary(1, START + seconds(37), 1), { scales: 0 }],
    ["UTC, which nobody asked for a second time", secondary(0, START), { scales: 0 }],
    ["a scale that nobody knows", secondary(4, START), { scales: 0 }],
    ["a scale of no time", secondary(2, 0n), { scales: 0 }],
    ["a scale twice, of which the first counts", concat(secondary(1, START + seconds(37)), secondary(1, START + seconds(38))), { scales: 2, tai: 37 }],
    ["fields cut short", concat(field5(FIELD.information, new Uint8Array(3)), field5(FIELD.monotonic, new Uint8Array(8))), { versions: 0, monoReceive: 0n }],
  ] as const)("%s", (_, field, expected) => {
    expect(read(reply(field))).toMatchObject({ verdict: 1, problems: 0, ...expected });
  });

  it("counts only where it was asked for, and is forgotten with the next", () => {
    const octets = reply(information(0x18), secondary(1, START + seconds(37)), correction(0.001, 0.001));
    expect(read(octets)).toMatchObject({ versions: 0x18, scales: 2, correction: USED });
    expect(read(octets, 0)).toMatchObject({ versions: 0, scales: 0, correction: ABSENT, corrected: 0 });
    expect(read(reply())).toMatchObject({ versions: 0, scales: 0, correction: ABSENT, corrected: 0 });
  });
});

describe("whatever octets", () => {
  it("stand in an answer, at every truncation and in 100000 mutations, trap nothing", () => {
    const whole = reply(information(0x1f), field5(FIELD.reference, u64(START - 5n)), field5(FIELD.monotonic, concat(Uint8Array.of(1, 2, 3, 4), u64(9n))), secondary(1, START + seconds(37)), correction(0.001, 0.001));
    for (let length = 0; length <= whole.length; length++) read(whole.subarray(0, length));
    let seed = 1;
    const draw = (below: number) => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) % below;
    for (let i = 0; i < 100_000; i++) {
      const octets = whole.slice();
      // The cookie is left alone, or nothing would be read.
      for (let n = 0; n <= i % 4; n++) octets[48 + draw(whole.length - 48)] = draw(256);
      const { verdict, delay } = read(octets);
      expect([0, 1]).toContain(verdict);
      if (verdict === 1) expect(delay).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("a correction", () => {
  it("takes what the packets were held out of offset and delay, and out of no bound", () => {
    // Held for 3 ms on the way there and 1 ms on the way back, by nodes that are right.
    const raw = read(reply(), ALL, { there: WAY / 2 + 0.003, back: WAY / 2 + 0.001 });
    expect([raw.offset, raw.delay]).toEqual([expect.closeTo(0.001, 9), expect.closeTo(WAY + 0.004, 9)]);
    const corrected = read(reply(correction(0.003, 0.001)), ALL, { there: WAY / 2 + 0.003, back: WAY / 2 + 0.001 });
    expect([corrected.correction, corrected.problems]).toEqual([USED, 0]);
    expect(corrected.offset).toBeCloseTo(0, 9);
    // All but one part in 10000 of it: nodes' clocks are no better.
    expect(corrected.delay).toBeCloseTo(WAY + 0.004 * 1e-4, 9);
    expect(corrected.corrected).toBeCloseTo(0.004 * (1 - 1e-4), 9);
    expect(corrected.distance).toBe(raw.distance);
  });

  it.each([
    ["negative on the way there", -0.001, 0.001],
    ["negative on the way back", 0.001, -0.001],
    ["of one way alone", 0.001, 0],
    ["of the other way alone", 0, 0.001],
    ["of more than the whole delay", 0.006, 0.006],
    ["of a second", 1, 0.001],
    ["of years", 1e8, 1e8],
  ])("%s is refused, and the reply counts as it is", (_, origin, delay) => {
    const plain = read(reply());
    expect(read(reply(correction(origin, delay)))).toEqual({ ...plain, correction: REFUSED });
  });

  it("that nobody wrote into is no correction", () => {
    expect(read(reply(correction(0, 0)))).toMatchObject({ correction: EMPTY, corrected: 0, problems: 0 });
  });

  it("of whatever octets never makes a delay negative, moves the offset by half of the delay at most, and touches no bound", () => {
    const plain = read(reply());
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 45n }), fc.boolean(), (wild, small, swap) => {
      const [there, back] = swap ? [wild, small] : [small, small / 3n];
      const told = read(reply(field5(FIELD.correction, concat(u64(there), new Uint8Array(4), u64(back), new Uint8Array(4)))));
      expect(told.delay).toBeGreaterThanOrEqual(0);
      expect(Math.abs(told.offset - plain.offset)).toBeLessThanOrEqual(plain.delay / 2);
      expect(told.distance).toBe(plain.distance);
    }), { numRuns: 2000 });
  });
});
