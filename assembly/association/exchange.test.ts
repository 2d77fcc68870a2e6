// SPDX-License-Identifier: MIT OR Apache-2.0
/** A request octet for octet, and replies without a fault, captured ones too. RFC 5905 §9.2. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyU64, captured, field, fromHex, hex, mac, packet } from "../../tests/support/core.ts";
import { ACCEPT, EXCHANGE, IGNORE, MS, ORIGIN, TEST, bench, core, exports, judge, measured, prepare, reply } from "../../tests/support/judging.ts";

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
