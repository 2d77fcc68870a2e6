// SPDX-License-Identifier: MIT OR Apache-2.0
/** Messages of key establishment: there and back, at every truncation and split, refused for what is wrong with them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keErrorText, readKeMessage, writeKeMessage, type KeLimits, type KeRecord } from "../../hosts/common/core/cold.ts";

const LIMITS: KeLimits = { octets: 65536, records: 64 };
const record = (type: number, body: readonly number[] | Uint8Array = [], critical = false): KeRecord => ({ type, critical, body: Uint8Array.from(body) });
const text = (value: string) => [...value].map((letter) => letter.charCodeAt(0));
const END = record(0, [], true);
/** A body with its length: the octets written by hand, so that the codec is not only compared with itself. */
const raw = (word: number, body: readonly number[]) => [word >> 8, word & 255, body.length >> 8, body.length & 255, ...body];

/** An answer with one of everything. */
const ANSWER: readonly KeRecord[] = [
  record(1, [0, 0], true), record(4, [0, 15]), record(1024), record(6, text("ntp1.example.org"), true), record(7, [0x30, 0x39], true),
  record(5, new Array(100).fill(7)), record(5, new Array(104).fill(8)), record(0x4001, text("draft-ietf-ntp-ntpv5-08")), record(0x3333, [1, 2, 3]), END,
];

function refusal(...records: readonly KeRecord[]) {
  return readKeMessage(writeKeMessage(records), LIMITS);
}

describe("a message", () => {
  it("is written as RFC 8915 §4 draws it", () => {
    expect([...writeKeMessage([record(1, [0, 0], true), record(4, [0, 30, 0, 15]), END])]).toEqual([
      ...raw(0x8001, [0, 0]), ...raw(0x0004, [0, 30, 0, 15]), ...raw(0x8000, []),
    ]);
  });

  it("comes back as it was", () => {
    expect(readKeMessage(writeKeMessage(ANSWER), LIMITS)).toEqual({ verdict: "complete", records: ANSWER });
  });

  it("comes back as it was, whatever unknown records and cookies it has", () => {
    const cookie = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((body) => record(5, body));
    const unknown = fc.record({ type: fc.integer({ min: 8, max: 0x7fff }).filter((type) => type !== 1024 && type !== 0x4001), body: fc.uint8Array({ maxLength: 300 }) })
      .map(({ type, body }) => record(type, body));
    fc.assert(fc.property(fc.array(fc.oneof(cookie, unknown), { maxLength: 20 }), (records) => {
      const message = [...records, END];
      expect(readKeMessage(writeKeMessage(message), LIMITS)).toEqual({ verdict: "complete", records: message });
    }), { numRuns: 100 });
  });

  it("cut at any octet wants more, and says how much before it can go on", () => {
    const whole = writeKeMessage(ANSWER);
    for (let length = 0; length < whole.length; length++) {
      const told = readKeMessage(whole.subarray(0, length), LIMITS);
      if (told.verdict !== "more") throw new Error(`cut at ${length}: ${JSON.stringify(told)}`);
      expect(told.wanted).toBeGreaterThan(length);
      expect(told.wanted).toBeLessThanOrEqual(whole.length);
    }
  });

  it("that comes octet by octet is looked at twice for each record and once more, not at every octet", () => {
    const whole = writeKeMessage(ANSWER);
    let looks = 0;
    for (let wanted = 0; wanted <= whole.length;) {
      looks += 1;
      const told = readKeMessage(whole.subarray(0, wanted), LIMITS);
      if (told.verdict !== "more") break;
      wanted = told.wanted;
    }
    expect(looks).toBeLessThanOrEqual(2 * ANSWER.length + 1);
  });

  it("may have an empty list: nothing in common", () => {
    expect(refusal(record(1, [], true), record(4), END).verdict).toBe("complete");
  });
});

describe("a message is refused", () => {
  it("for a critical record of an unknown type, which has an error of its own", () => {
    expect(refusal(record(0x0123, [1], true), END)).toMatchObject({ verdict: "refused", unknownCritical: true, why: expect.stringContaining("type 291") });
    expect(refusal(record(0x0123, [1], false), END).verdict).toBe("complete");
  });

  it("for the first fault that comes", () => {
    expect(refusal(record(0x0123, [], true), record(4, [1]), END)).toMatchObject({ unknownCritical: true });
    expect(refusal(record(4, [1]), record(0x0123, [], true), END)).toMatchObject({ unknownCritical: false });
  });

  it.each([1, 4, 6, 7, 1024, 0x4001])("for a second record of type %i", (type) => {
    const body = type === 1024 ? [] : type === 6 ? text("a.example") : [0, 15];
    expect(refusal(record(type, body), record(type, body), END)).toMatchObject({ verdict: "refused", unknownCritical: false, why: expect.stringContaining("twice") });
  });

  it.each([[0, 1], [1, 1], [1, 3], [2, 0], [2, 3], [3, 1], [4, 5], [5, 0], [6, 0], [6, 256], [7, 1], [7, 4], [1024, 2], [0x4001, 0]])("for a record of type %i with %i octets", (type, length) => {
    expect(refusal(record(type, new Array(length).fill(0x61)), END)).toMatchObject({ verdict: "refused", why: expect.stringContaining("wrong length") });
  });

  it.each(["a b", "fe80::1%eth0", "\x1b[2J", "näme", "x\0", "a/b", "user@host"])("for the server %j", (name) => {
    expect(refusal(record(6, text(name)), END)).toMatchObject({ verdict: "refused", why: expect.stringContaining("neither a domain name nor") });
  });

  it.each(["ntp.example.org", "192.0.2.1", "2001:db8::1", "xn--nme-pla.example", "_a.b"])("not for the server %s", (name) => {
    expect(refusal(record(6, text(name)), END).verdict).toBe("complete");
  });

  it("for anything after its end", () => {
    const whole = writeKeMessage(ANSWER);
    expect(readKeMessage(Uint8Array.of(...whole, 0), LIMITS)).toMatchObject({ verdict: "refused", why: expect.stringContaining("after the end") });
  });

  it("for more records than the limit, as soon as the header of one too many is there", () => {
    const records = new Array<KeRecord>(9).fill(record(5, [1, 2, 3, 4]));
    expect(readKeMessage(writeKeMessage([...records.slice(1), END]), { octets: 1000, records: 9 }).verdict).toBe("complete");
    expect(readKeMessage(writeKeMessage([...records, END]), { octets: 1000, records: 9 })).toMatchObject({ verdict: "refused", why: expect.stringContaining("more records") });
  });

  it("for more octets than the limit, as soon as a header promises them", () => {
    const limits = { octets: 100, records: 9 };
    const long = writeKeMessage([record(5, new Array(96).fill(1))]);
    expect(readKeMessage(long.subarray(0, 4), limits)).toEqual({ verdict: "more", wanted: 100 });
    expect(readKeMessage(writeKeMessage([record(5, new Array(97).fill(1))]).subarray(0, 4), limits)).toMatchObject({ verdict: "refused", why: expect.stringContaining("more octets") });
    // Room for its end is part of a message.
    expect(readKeMessage(long, limits)).toMatchObject({ verdict: "refused", why: expect.stringContaining("more octets") });
  });

  it("never by a trap: any octets have a verdict", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: -5, max: 500 }), fc.integer({ min: -5, max: 1000 }), (octets, most, records) => {
      expect(["complete", "more", "refused"]).toContain(readKeMessage(octets, { octets: most, records }).verdict);
    }), { numRuns: 2000 });
  });

  it("never by a trap: a message with one octet changed has a verdict, and never wants what is beyond its limit", () => {
    const whole = writeKeMessage(ANSWER);
    fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const told = readKeMessage(whole.with(at, value), { octets: 1024, records: 16 });
      if (told.verdict === "more") expect(told.wanted).toBeLessThanOrEqual(1024);
    }), { numRuns: 2000 });
  });
});

describe("what cannot be written", () => {
  it("is a body of more than 65535 octets", () => {
    expect(writeKeMessage([record(5, new Uint8Array(65535))]).length).toBe(65539);
    expect(() => writeKeMessage([record(5, new Uint8Array(65536))])).toThrow(RangeError);
  });
});

describe("an error", () => {
  it("is told by RFC 8915 §4.1.3's words", () => {
    expect([0, 1, 2, 3].map(keErrorText)).toEqual(["unrecognized critical record", "bad request", "internal server error", "unknown error"]);
  });
});
