// SPDX-License-Identifier: MIT OR Apache-2.0
/** The header's codec over all bit patterns, and against captured packets as tshark reads them. RFC 5905 §7.3. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, anyI8, anyU32, anyU64, anyU8, captured, fromHex, hex, packet, type HeaderFields } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at, scratch } = bench;
const { view } = core;
const SIZE = core.constant("HEADER_SIZE");
const RUNS = { numRuns: 2000 };

const place = core.fields("SCRATCH", [
  "LEAP", "VERSION", "MODE", "STRATUM", "POLL", "PRECISION", "ROOT_DELAY_SHORT", "ROOT_DISPERSION_SHORT", "REFID",
  "REFERENCE_TIME", "ORIGIN_TIME", "RECEIVE_TIME", "TRANSMIT_TIME",
], "HEADER");

function load(): HeaderFields {
  return {
    leap: view.getUint8(place.LEAP),
    version: view.getUint8(place.VERSION),
    mode: view.getUint8(place.MODE),
    stratum: view.getUint8(place.STRATUM),
    poll: view.getInt8(place.POLL),
    precision: view.getInt8(place.PRECISION),
    rootDelayShort: core.u32(place.ROOT_DELAY_SHORT),
    rootDispersionShort: core.u32(place.ROOT_DISPERSION_SHORT),
    refid: core.u32(place.REFID),
    referenceTime: core.u64(place.REFERENCE_TIME),
    originTime: core.u64(place.ORIGIN_TIME),
    receiveTime: core.u64(place.RECEIVE_TIME),
    transmitTime: core.u64(place.TRANSMIT_TIME),
  };
}

function store(header: HeaderFields): void {
  view.setUint8(place.LEAP, header.leap);
  view.setUint8(place.VERSION, header.version);
  view.setUint8(place.MODE, header.mode);
  view.setUint8(place.STRATUM, header.stratum);
  view.setInt8(place.POLL, header.poll);
  view.setInt8(place.PRECISION, header.precision);
  core.setU32(place.ROOT_DELAY_SHORT, header.rootDelayShort);
  core.setU32(place.ROOT_DISPERSION_SHORT, header.rootDispersionShort);
  core.setU32(place.REFID, header.refid);
  core.setU64(place.REFERENCE_TIME, header.referenceTime);
  core.setU64(place.ORIGIN_TIME, header.originTime);
  core.setU64(place.RECEIVE_TIME, header.receiveTime);
  core.setU64(place.TRANSMIT_TIME, header.transmitTime);
}

function read(octets: Uint8Array): HeaderFields {
  core.bytes.fill(0xee, scratch, scratch + SIZE);
  exports.readHeader(bench.put(octets), scratch);
  return load();
}

const anyHeader: fc.Arbitrary<HeaderFields> = fc.record({
  leap: fc.integer({ min: 0, max: 3 }),
  version: fc.integer({ min: 0, max: 7 }),
  mode: fc.integer({ min: 0, max: 7 }),
  stratum: anyU8,
  poll: anyI8,
  precision: anyI8,
  rootDelayShort: anyU32,
  rootDispersionShort: anyU32,
  refid: anyU32,
  referenceTime: anyU64,
  originTime: anyU64,
  receiveTime: anyU64,
  transmitTime: anyU64,
});

describe("header codec", () => {
  it("reads every field of every packet from its place", () => {
    fc.assert(fc.property(anyHeader, (header) => {
      expect(read(packet(header))).toEqual(header);
    }), RUNS);
  });

  it("writes every field of every header to its place", () => {
    fc.assert(fc.property(anyHeader, (header) => {
      store(header);
      core.bytes.fill(0xee, at, at + 48);
      exports.writeHeader(at, scratch);
      expect(hex(bench.octets(48))).toBe(hex(packet(header)));
    }), RUNS);
  });

  it("gives any 48 octets back unchanged", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (octets) => {
      read(octets);
      core.bytes.fill(0, at, at + 48);
      exports.writeHeader(at, scratch);
      expect(hex(bench.octets(48))).toBe(hex(octets));
    }), RUNS);
  });

  it("gives all 256 first octets back unchanged", () => {
    for (let flags = 0; flags < 256; flags++) {
      const octets = packet();
      octets[0] = flags;
      expect(read(octets)).toMatchObject({ leap: flags >> 6, version: (flags >> 3) & 7, mode: flags & 7 });
      exports.writeHeader(at, scratch);
      expect(core.bytes[at]).toBe(flags);
    }
  });

  it("cuts what does not fit the first octet instead of spilling into its neighbours", () => {
    store({ ...load(), leap: 0xff, version: 0, mode: 0 });
    exports.writeHeader(at, scratch);
    expect(core.bytes[at]).toBe(0xc0);
    store({ ...load(), leap: 0, version: 0xff, mode: 0 });
    exports.writeHeader(at, scratch);
    expect(core.bytes[at]).toBe(0x38);
    store({ ...load(), leap: 0, version: 0, mode: 0xff });
    exports.writeHeader(at, scratch);
    expect(core.bytes[at]).toBe(0x07);
  });

  it("touches 48 octets and the structure, nothing around them", () => {
    core.bytes.fill(0x5a, at, at + 64);
    core.bytes.fill(0x5a, scratch, scratch + SIZE + 16);
    exports.readHeader(at, scratch);
    expect(core.bytes.subarray(scratch + SIZE, scratch + SIZE + 16).every((octet) => octet === 0x5a)).toBe(true);
    exports.writeHeader(at, scratch);
    expect(core.bytes.subarray(at + 48, at + 64).every((octet) => octet === 0x5a)).toBe(true);
  });
});

describe("captured packets", () => {
  const TIMES = ["referenceTime", "originTime", "receiveTime", "transmitTime"] as const;

  /** Nanoseconds since 1970; tshark takes the upper half of the range for times before 2036, the lower half for later. */
  const unixNs = (timestamp: bigint) => exports.timestampToUnixNs(timestamp, timestamp >> 63n ? 0n : 4_000_000_000_000_000_000n);
  const toldNs = (text: string) => BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1_000_000n + BigInt(text.slice(20, 29));

  it.each(captured)("reads the $what of $program as tshark does", ({ hex: text, read: told }) => {
    const header = read(fromHex(text));
    const { leap, version, mode, stratum, poll, precision, rootDelayShort, rootDispersionShort } = header;
    expect(told).toMatchObject({ leap, version, mode, stratum, poll, precision, rootDelayShort, rootDispersionShort });
    expect(header.refid).toBe(Number.parseInt(told.refid, 16));
    for (const name of TIMES) {
      const time = told[name];
      if (time === null) expect(header[name], name).toBe(0n);
      // tshark cuts to the ns, we round.
      else expect([0n, 1n], name).toContain(unixNs(header[name]) - toldNs(time));
    }
  });

  it.each(captured)("writes the $what of $program byte for byte", ({ hex: text }) => {
    read(fromHex(text));
    core.bytes.fill(0, at, at + 48);
    exports.writeHeader(at, scratch);
    expect(hex(bench.octets(48))).toBe(text.slice(0, 96));
  });
});
