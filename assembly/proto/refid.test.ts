// SPDX-License-Identifier: MIT OR Apache-2.0
/** Reference identifiers as numbers and as people write them. RFC 5905 §7.3. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { kissMeaning, referenceMeaning, refidFromText, refidText } from "../../hosts/common/core/cold.ts";
import { Bench, anyU32, ascii } from "../../tests/support/core.ts";

const dotted = (refid: number) => [24, 16, 8, 0].map((shift) => (refid >>> shift) & 0xff).join(".");

describe("the text of a reference identifier", () => {
  it.each([
    ["GPS", 1, "GPS"],
    ["LOCL", 1, "LOCL"],
    ["RATE", 0, "RATE"],
    ["X", 0, "X"],
  ])("is %s at stratum %i", (text, stratum, expected) => {
    expect(refidText(ascii(text), stratum)).toBe(expected);
  });

  it("is an address from stratum 2 on, whatever letters it would make", () => {
    fc.assert(fc.property(anyU32.filter((refid) => refid !== 0), fc.integer({ min: 2, max: 255 }), (refid, stratum) => {
      expect(refidText(refid, stratum)).toBe(dotted(refid));
    }), { numRuns: 300 });
    expect(refidText(ascii("RATE"), 2)).toBe("82.65.84.69");
  });

  it("is empty for zero", () => {
    for (const stratum of [0, 1, 2, 16]) expect(refidText(0, stratum)).toBe("");
  });

  it.each([
    ["a control character", 0x4750530a],
    ["DEL", 0x4750537f],
    ["an octet above ASCII", 0x475053ff],
    ["a zero before a letter", 0x47005053],
    ["a leading zero", 0x00475053],
  ])("shows %s as numbers, so that nothing strange reaches a terminal", (_name, refid) => {
    for (const stratum of [0, 1]) expect(refidText(refid, stratum)).toBe(dotted(refid));
  });

  it("never holds anything but printable ASCII", () => {
    fc.assert(fc.property(anyU32, fc.integer({ min: 0, max: 255 }), (refid, stratum) => {
      expect(refidText(refid, stratum)).toMatch(/^[\x20-\x7e]*$/);
    }), { numRuns: 500 });
  });
});

describe("the number of a text", () => {
  it("comes back from the text of one to four letters", () => {
    fc.assert(fc.property(fc.stringMatching(/^[\x21-\x7e]{1,4}$/), (text) => {
      expect(refidFromText(text)).toBe(ascii(text));
      expect(refidText(refidFromText(text), 1)).toBe(text);
    }), { numRuns: 500 });
  });

  it("is of the first four letters, zero for none", () => {
    expect(refidFromText("GOESEAST")).toBe(ascii("GOES"));
    expect(refidFromText("")).toBe(0);
    expect(refidFromText("\x7f\x7f\x7f\x7f")).toBe(0x7f7f7f7f);
  });
});

describe("the identifier of an IPv6 source", () => {
  it("is the first four octets of the MD5 of its address", () => {
    const bench = new Bench();
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
      bench.core.bytes.set(address, bench.scratch);
      expect(bench.exports.refidOfIPv6(bench.scratch) >>> 0).toBe(createHash("md5").update(address).digest().readUInt32BE());
    }), { numRuns: 300 });
  });
});

describe("the meaning of a code", () => {
  // RFC 5905 figures 12 and 13.
  const REFERENCES = ["GOES", "GPS", "GAL", "PPS", "IRIG", "WWVB", "DCF", "HBG", "MSF", "JJY", "LORC", "TDF", "CHU", "WWV", "WWVH", "NIST", "ACTS", "USNO", "PTB"];
  const KISSES = ["ACST", "AUTH", "AUTO", "BCST", "CRYP", "DENY", "DROP", "RSTR", "INIT", "MCST", "NKEY", "RATE", "RMOT", "STEP"];

  it.each(REFERENCES)("is told for the reference clock %s", (code) => {
    expect(referenceMeaning(code)).toMatch(/^[\x20-\x7e]{3,}$/);
  });

  it.each([...KISSES, "NTSN"])("is told for the kiss %s", (code) => {
    expect(kissMeaning(code)).toMatch(/^[\x20-\x7e]{3,}$/);
  });

  it("tells stopping apart from slowing down", () => {
    for (const code of ["DENY", "RSTR"]) expect(kissMeaning(code)).toContain("stop asking");
    expect(kissMeaning("RATE")).not.toContain("stop asking");
  });

  it("is empty for what IANA does not list, also for other letter case", () => {
    for (const code of ["", "rate", "XYZW", "RAT", "RATES"]) expect([kissMeaning(code), referenceMeaning(code)]).toEqual(["", ""]);
  });
});
