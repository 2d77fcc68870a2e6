// SPDX-License-Identifier: MIT OR Apache-2.0
/** A packet told in words: what the lines say, and that any octets at all have an explanation. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explainPacket, leapText, modeText } from "../../hosts/common/core/cold.ts";
import { ascii, captured, field, fromHex, mac, packet, seconds } from "../../tests/support/core.ts";

/** The lines of an explanation by their first word or two; a label that comes more than once keeps its last line. */
function lines(octets: Uint8Array): Record<string, string> {
  return Object.fromEntries(explainPacket(octets).trimEnd().split("\n").map((line) => [line.slice(0, 12).trimEnd(), line.slice(12)]));
}

describe("explaining a packet", () => {
  it("tells every field of the header, in order", () => {
    const text = explainPacket(packet({
      leap: 1, version: 4, mode: 4, stratum: 1, poll: -6, precision: -23, rootDelayShort: 0x8000, rootDispersionShort: 0x18000,
      refid: ascii("GPS"), referenceTime: 0n, originTime: 0x0123456789abcdefn, receiveTime: seconds(1), transmitTime: 2n ** 64n - 1n,
    }));
    expect(text).toBe([
      "leap        1 (last minute has 61 seconds)",
      "version     4",
      "mode        4 (server)",
      "stratum     1",
      "poll        -6 (2^-6 s)",
      "precision   -23 (2^-23 s)",
      "root delay  0.5 s",
      "root disp.  1.5 s",
      "refid       47505300 GPS (Global Positioning System)",
      "reference   0 (unset)",
      "origin      01234567.89abcdef",
      "receive     00000001.00000000",
      "transmit    ffffffff.ffffffff",
      "",
    ].join("\n"));
  });

  it("tells a kiss by its meaning, an address by its octets, nothing of zero", () => {
    expect(lines(packet({ stratum: 0, refid: ascii("RATE") }))["refid"]).toBe("52415445 RATE (asked too often: ask less often)");
    expect(lines(packet({ stratum: 0, refid: ascii("ABCD") }))["refid"]).toBe("41424344 ABCD");
    expect(lines(packet({ stratum: 2, refid: 0xc0000201 }))["refid"]).toBe("c0000201 192.0.2.1");
    expect(lines(packet({ stratum: 2, refid: ascii("RATE") }))["refid"]).toBe("52415445 82.65.84.69");
    expect(lines(packet())["refid"]).toBe("00000000");
  });

  it("tells fields by type, name and length, and the MAC behind them", () => {
    const text = explainPacket(packet({}, field(0x0104, 36), field(0xf323, 28), field(0x9999, 16), mac(24, 0xdeadbeef)));
    expect(text.split("\n").slice(13)).toEqual([
      "field       0x0104 NTS unique identifier, 36 octets",
      "field       0xf323 monotonic receive time and fine root delay, 28 octets",
      "field       0x9999 unknown, 16 octets",
      "MAC         key 3735928559, 20 octets of digest",
      "",
    ]);
  });

  it("tells a crypto-NAK", () => {
    expect(lines(packet({ mode: 4 }, mac(4, 0)))["crypto-NAK"]).toBe("authentication failed");
    expect(lines(packet({ mode: 4 }, mac(4, 1)))["crypto-NAK"]).toBeUndefined();
  });

  it("tells where a packet stops making sense, and still what came before", () => {
    const told = lines(packet({}, field(0x0204, 28), field(0x0304, 28, 27)));
    expect(told["field"]).toBe("0x0204 NTS cookie, 28 octets");
    expect(told["malformed"]).toBe("28 octets at 76 are neither extension field nor MAC");
  });

  it("tells a long MAC of version 3, which version 4 would refuse", () => {
    expect(lines(packet({ version: 3 }, mac(36, 9)))["MAC"]).toBe("key 9, 32 octets of digest");
    expect(lines(packet({ version: 4 }, mac(36, 9)))["malformed"]).toBeDefined();
  });

  it("says that a packet is too short at every length below 48", () => {
    for (let length = 0; length < 48; length++) {
      expect(explainPacket(packet().subarray(0, length))).toBe(`too short   ${length} octets; an NTP packet has at least 48\n`);
    }
    expect(explainPacket(packet())).toMatch(/^leap /);
  });

  it("looks at 2048 octets and at none beyond", () => {
    const whole = explainPacket(packet({}, field(0x4321, 2000)));
    expect(whole).toContain("unknown, 2000 octets");
    for (const length of [2004, 2952, 8192]) expect(explainPacket(packet({}, field(0x4321, length)))).not.toContain("unknown");
    expect(explainPacket(packet({}, field(0x4321, 2000)))).toBe(whole);
  });

  it.each(captured)("names in the $what of $program the fields that tshark names", ({ hex, read }) => {
    const text = explainPacket(fromHex(hex));
    const types = [...text.matchAll(/^field {7}0x([0-9a-f]{4}) .*, (\d+) octets$/gm)].map(([, type, length]) => [Number.parseInt(type!, 16), Number(length)]);
    expect(types).toEqual(read.fieldTypes.map((type, index) => [type, read.fieldLengths[index]]));
    expect(text.match(/^MAC {9}key (\d+),/m)?.[1]).toBe(read.keyId === null ? undefined : String(read.keyId));
    expect(text).not.toContain("malformed");
  });

  it("has an explanation in plain ASCII lines for any octets", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), (octets) => {
      expect(explainPacket(octets)).toMatch(/^(?:[\x20-\x7e]+\n)+$/);
    }), { numRuns: 300 });
  });
});

describe("names", () => {
  it("tells all leap indicators and modes, and wraps what is out of range", () => {
    expect([0, 1, 2, 3].map(leapText)).toEqual(["no warning", "last minute has 61 seconds", "last minute has 59 seconds", "clock not synchronised"]);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(modeText)).toEqual([
      "reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control message", "private",
    ]);
    expect(leapText(-1)).toBe(leapText(3));
    expect(modeText(8)).toBe(modeText(0));
  });
});
