// SPDX-License-Identifier: MIT OR Apache-2.0
/** Every check of a reply, with one that fails it and a twin that passes. RFC 5905 §8, §9.2; RFC 4330 §5. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_U64, anyU64, ascii, field, mac, packet, seconds } from "../../tests/support/core.ts";
import { ACCEPT, GOOD, IGNORE, KISS, ORIGIN, T1, TEST, judge, measured, reply } from "../../tests/support/judging.ts";

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
