// SPDX-License-Identifier: MIT OR Apache-2.0
/** NMEA sentences: what is a time, what is none, in whatever pieces it comes, and noise of every kind. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NmeaReader, type NmeaSentence, type NmeaTime } from "../../hosts/common/refclock/nmea.ts";
import { burst, sentence } from "../../tests/support/nmea.ts";

const NOON = Date.UTC(2026, 10, 22, 12, 34, 56);
const RMC = "GPRMC,123456.00,A,4807.038,N,01131.000,E,022.4,084.4,221126,003.1,W,A";
const encoder = new TextEncoder();

function read(text: string, reader = new NmeaReader()): NmeaTime | undefined {
  return reader.push(encoder.encode(text), 5n);
}

/** Milliseconds that one sentence tells, or undefined. */
function told(body: string, reader = new NmeaReader()): number | undefined {
  const time = read(sentence(body), reader);
  return time && Number(time.timeNs) / 1e6;
}

describe("a sentence", () => {
  it("RMC tells date and time, whoever the talker", () => {
    for (const talker of ["GP", "GN", "GL", "GA", "GB", "GQ", "BD", "XX"]) expect(told(talker + RMC.slice(2))).toBe(NOON);
  });

  it("ZDA tells date and time", () => {
    expect(told("GNZDA,123456.00,22,11,2026,00,00")).toBe(NOON);
  });

  it.each(["123456,221126", "123456.0,221126", "123456.000000000,221126"])("RMC has any number of decimals: %s", (fields) => {
    const [time, date] = fields.split(",");
    expect(told(`GPRMC,${time},A,,,,,,,${date},,,A`)).toBe(NOON);
  });

  it("tells fractions of a second to the nanosecond", () => {
    expect(read(sentence("GPRMC,123456.123456789,A,,,,,,,221126,,,A"))?.timeNs).toBe(BigInt(NOON) * 1_000_000n + 123_456_789n);
  });

  it("of an old receiver has no mode, and is believed", () => {
    expect(told("GPRMC,123456,A,4807.038,N,01131.000,E,022.4,084.4,221126,003.1,W")).toBe(NOON);
  });

  it.each([
    ["month 13", "GPRMC,123456,A,,,,,,,221326,,,A"],
    ["month 0", "GPRMC,123456,A,,,,,,,220026,,,A"],
    ["day 32", "GPRMC,123456,A,,,,,,,321226,,,A"],
    ["day 0", "GPRMC,123456,A,,,,,,,001226,,,A"],
    ["the 29th of February of no leap year", "GPRMC,123456,A,,,,,,,290227,,,A"],
    ["the 31st of April", "GPRMC,123456,A,,,,,,,310427,,,A"],
    ["hour 24", "GPRMC,240000,A,,,,,,,221126,,,A"],
    ["hour 25", "GPRMC,253456,A,,,,,,,221126,,,A"],
    ["minute 60", "GPRMC,126056,A,,,,,,,221126,,,A"],
    ["second 61", "GPRMC,235961,A,,,,,,,221126,,,A"],
    ["second 60 at noon", "GPRMC,123460,A,,,,,,,221126,,,A"],
    ["a short time", "GPRMC,12345,A,,,,,,,221126,,,A"],
    ["a sign", "GPRMC,-23456,A,,,,,,,221126,,,A"],
    ["letters", "GPRMC,12345x,A,,,,,,,221126,,,A"],
    ["no point before decimals", "GPRMC,12345600,A,,,,,,,221126,,,A"],
    ["too many decimals", "GPRMC,123456.1234567890,A,,,,,,,221126,,,A"],
    ["a short date", "GPRMC,123456,A,,,,,,,22112,,,A"],
    ["a long date", "GPRMC,123456,A,,,,,,,22112026,,,A"],
    ["no date", "GPRMC,123456,A,,,,,,,,,,A"],
    ["a year before GPS", "GPZDA,123456,22,11,1979,00,00"],
    ["a year beyond nanoseconds in 64 bits", "GPZDA,123456,22,11,9999,00,00"],
    ["a year of two digits in ZDA", "GPZDA,123456,22,11,26,00,00"],
  ])("with %s is refused", (_, body) => {
    const reader = new NmeaReader();
    expect(told(body, reader)).toBeUndefined();
    expect(reader.counts.field).toBe(1);
  });

  it("of a leap second is taken for the midnight that POSIX time calls it, once", () => {
    const reader = new NmeaReader();
    const midnight = Date.UTC(2027, 0, 1);
    expect(told("GPRMC,235959,A,,,,,,,311226,,,A", reader)).toBe(midnight - 1000);
    expect(told("GPRMC,235960,A,,,,,,,311226,,,A", reader)).toBe(midnight);
    expect(told("GPRMC,000000,A,,,,,,,010127,,,A", reader)).toBeUndefined();
    expect(told("GPRMC,000001,A,,,,,,,010127,,,A", reader)).toBe(midnight + 1000);
  });

  it.each([
    ["RMC void", "GPRMC,123456,V,,,,,,,221126,,,N"],
    ["RMC estimated", "GPRMC,123456,A,,,,,,,221126,,,E"],
    ["RMC simulated", "GPRMC,123456,A,,,,,,,221126,,,S"],
    ["RMC manual", "GPRMC,123456,A,,,,,,,221126,,,M"],
    ["RMC empty", "GPRMC,,V,,,,,,,,,,N"],
    ["GGA without a fix", "GPGGA,123456,,,,,0,,,,,,,,"],
    ["GGA estimated", "GPGGA,123456,,,,,6,,,,,,,,"],
    ["GLL void", "GPGLL,,,,,123456,V,N"],
  ])("%s is vouched for by nobody", (_, body) => {
    const reader = new NmeaReader();
    expect(told(body, reader)).toBeUndefined();
    expect(reader.counts.noFix).toBe(1);
  });

  it("ZDA counts for nothing while the receiver has no fix", () => {
    const reader = new NmeaReader();
    expect(told("GPGGA,123455,,,,,0,,,,,,,,", reader)).toBeUndefined();
    expect(told("GPZDA,123455,22,11,2026,00,00", reader)).toBeUndefined();
    told("GPGGA,123456,,,,,1,,,,,,,,", reader);
    expect(told("GPZDA,123457,22,11,2026,00,00", reader)).toBe(NOON + 1000);
  });

  it.each(["GPGSV,3,1,11,03,03,111,00", "PUBX,00,123456.00", "PRMC,123456,A", "GPRMCX,1", "GPTXT,01,01,02,hello"])("%s tells no time", (body) => {
    const reader = new NmeaReader();
    expect(told(body, reader)).toBeUndefined();
    expect(reader.counts.other).toBe(1);
  });
});

describe("a checksum", () => {
  const good = sentence(RMC);

  it.each([
    ["wrong", good.replace(/\*../, "*00")],
    ["missing", `$${RMC}\r\n`],
    ["cut", good.replace(/.\r\n$/, "\r\n")],
    ["of no digits", good.replace(/\*../, "*G!")],
    ["of a digit too many", good.replace(/\r\n$/, "0\r\n")],
  ])("that is %s makes the sentence void", (_, text) => {
    const reader = new NmeaReader();
    expect(read(text, reader)).toBeUndefined();
    expect(reader.counts.checksum).toBe(1);
  });

  it("in small letters is one", () => {
    expect(read(good.replace(/\*../, (hex) => hex.toLowerCase()))).toBeDefined();
  });

  it("finds every change of one bit, or the octet is no text any more", () => {
    const octets = encoder.encode(good);
    for (let at = 1; at < octets.length - 5; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = octets.slice();
        changed[at]! ^= 1 << bit;
        expect(new NmeaReader().push(changed, 5n)).toBeUndefined();
      }
    }
  });
});

describe("dates", () => {
  it("of a GGA or GLL are those of the last sentence with one, the day after past midnight", () => {
    const reader = new NmeaReader();
    told("GPRMC,235958,A,,,,,,,281226,,,A", reader);
    expect(told("GPGGA,235959,,,,,1,,,,,,,,", reader)).toBe(Date.UTC(2026, 11, 28, 23, 59, 59));
    expect(told("GPGGA,000000,,,,,1,,,,,,,,", reader)).toBe(Date.UTC(2026, 11, 29));
    expect(told("GPGLL,,,,,000001,A,A", reader)).toBe(Date.UTC(2026, 11, 29, 0, 0, 1));
    expect(told("GPRMC,000002,A,,,,,,,291226,,,A", reader)).toBe(Date.UTC(2026, 11, 29, 0, 0, 2));
  });

  it("are never overwritten by a sentence that has none", () => {
    const reader = new NmeaReader();
    told("GPRMC,120000,A,,,,,,,281226,,,A", reader);
    for (let i = 1; i < 60; i++) told(`GPGGA,1200${String(i).padStart(2, "0")},,,,,1,,,,,,,,`, reader);
    expect(told("GPGGA,120100,,,,,1,,,,,,,,", reader)).toBe(Date.UTC(2026, 11, 28, 12, 1));
  });

  it("must have been told once", () => {
    const reader = new NmeaReader();
    expect(told("GPGGA,123456,,,,,1,,,,,,,,", reader)).toBeUndefined();
    expect(reader.counts.noDate).toBe(1);
  });

  it("before this was written are 1024 weeks late, or twice as many", () => {
    const rollover = 1024 * 7 * 86_400_000;
    const early = (rollovers: number) => {
      const date = new Date(NOON - rollovers * rollover);
      const two = (value: number) => String(value).padStart(2, "0");
      return told(`GPZDA,123456,${two(date.getUTCDate())},${two(date.getUTCMonth() + 1)},${date.getUTCFullYear()},00,00`);
    };
    expect([early(0), early(1), early(2)]).toEqual([NOON, NOON, NOON]);
  });

  it("are what they say for whoever sets a floor of 1980", () => {
    expect(told("GPRMC,123456,A,,,,,,,220496,,,A", new NmeaReader({ floor: 3657 }))).toBe(Date.UTC(1996, 3, 22, 12, 34, 56));
  });

  it("go beyond 2036 and 2038", () => {
    expect(told("GPZDA,062816,07,02,2036,00,00")).toBe(Date.UTC(2036, 1, 7, 6, 28, 16));
    expect(told("GPZDA,031408,19,01,2038,00,00")).toBe(Date.UTC(2038, 0, 19, 3, 14, 8));
  });

  it("are Date's, whichever day it is", () => {
    const day = fc.integer({ min: 20454, max: 30000 });
    fc.assert(fc.property(day, fc.integer({ min: 0, max: 86399 }), (days, seconds) => {
      const ms = (days * 86400 + seconds) * 1000;
      expect(Number(read(burst(ms, ["RMC"]))!.timeNs) / 1e6).toBe(ms);
      expect(Number(read(burst(ms, ["ZDA"]))!.timeNs) / 1e6).toBe(ms);
    }));
  });
});

describe("a stream", () => {
  const second = (i: number) => burst(NOON + i * 1000, ["RMC", "GGA", "GLL", "ZDA"]);

  it("cut in two anywhere tells the same, by the moment at which its first octet came", () => {
    const octets = encoder.encode(sentence(RMC));
    for (let at = 0; at <= octets.length; at++) {
      const reader = new NmeaReader();
      const times = [reader.push(octets.subarray(0, at), 100n), reader.push(octets.subarray(at), 200n)].filter((time) => time !== undefined);
      expect(times).toEqual([{ timeNs: BigInt(NOON) * 1_000_000n, receivedNs: at === 0 ? 200n : 100n }]);
    }
  });

  it("that comes octet by octet tells the same", () => {
    const reader = new NmeaReader();
    const times = [...encoder.encode(second(0) + second(1))].map((octet, at) => reader.push(Uint8Array.of(octet), BigInt(at))).filter(Boolean);
    expect(times.map((time) => Number(time!.timeNs) / 1e6)).toEqual([NOON, NOON + 1000]);
    expect(times.map((time) => time!.receivedNs)).toEqual([0n, BigInt(second(0).length)]);
  });

  it("that ends anywhere tells nothing of its last sentence", () => {
    const text = sentence(RMC);
    // Without its line end a sentence may be longer yet.
    for (let length = 0; length < text.length - 1; length++) expect(read(text.slice(0, length))).toBeUndefined();
  });

  it("tells each second once, by its first sentence", () => {
    const reader = new NmeaReader();
    expect(read(second(0), reader)).toBeDefined();
    expect(reader.counts).toMatchObject({ times: 1, repeated: 3 });
  });

  it("tells it by the sentence that was asked for", () => {
    const reader = new NmeaReader({ sentence: "GLL" satisfies NmeaSentence });
    expect(read(second(0), reader)).toBeDefined();
    expect(reader.counts).toMatchObject({ times: 1, other: 3 });
  });

  it("that repeats its last fix tells it once", () => {
    const reader = new NmeaReader();
    for (let i = 0; i < 20; i++) read(sentence(RMC), reader);
    expect(reader.counts).toMatchObject({ times: 1, repeated: 19 });
  });

  it("of several seconds at once is a backlog, of which nobody knows when it came", () => {
    const reader = new NmeaReader();
    expect(read(second(0) + second(1) + second(2), reader)).toBeUndefined();
    expect(reader.counts.backlog).toBe(3);
    expect(read(second(3), reader)).toBeDefined();
  });

  it("after an interruption begins with the next sentence", () => {
    const reader = new NmeaReader();
    const text = sentence(RMC);
    reader.push(encoder.encode(text.slice(0, 30)), 1n);
    reader.interrupt();
    expect(reader.push(encoder.encode(text.slice(30)), 2n)).toBeUndefined();
    expect(reader.push(encoder.encode(text), 3n)?.receivedNs).toBe(3n);
  });

  it("with noise of any kind around sentences tells only their times", () => {
    // Noise without a $ is never a sentence; what it spoils is lost, nothing else is told.
    const noise = fc.uint8Array({ maxLength: 300 });
    fc.assert(fc.property(noise, noise, (before, after) => {
      const reader = new NmeaReader();
      const parts = [...before, ...encoder.encode(`\n${sentence(RMC)}`), ...after];
      const time = reader.push(Uint8Array.from(parts), 7n);
      expect(time?.timeNs).toBe(BigInt(NOON) * 1_000_000n);
    }));
  });

  it("of any octets never traps and never tells a time without a checksum", () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."$GPRMCZDA,*0123456789ABF.\r\n"), maxLength: 400 }), (text) => {
      const reader = new NmeaReader();
      reader.push(encoder.encode(text), 1n);
      expect(reader.counts.times).toBe(0);
    }), { numRuns: 300 });
  });

  it("longer than any sentence may be is dropped, and the next one read", () => {
    const reader = new NmeaReader();
    expect(read(`$${"A".repeat(5000)}`, reader)).toBeUndefined();
    expect(read(`\r\n${sentence(RMC)}`, reader)).toBeDefined();
    expect(reader.counts.garbled).toBeLessThanOrEqual(1);
  });
});
