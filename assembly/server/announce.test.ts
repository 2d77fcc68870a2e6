// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a broadcast server says, octet for octet, and when it says nothing. RFC 5905 §7.3, §9.2. */
import { beforeEach, describe, expect, it } from "vitest";
import { Bench, hex, packet, seconds } from "../../tests/support/core.ts";

const { core, exports, octets, at } = (() => {
  const bench = new Bench();
  return { core: bench.core, exports: bench.exports, at: bench.at, octets: (length: number) => bench.octets(length) };
})();
const place = core.fields("SERVER", ["LEAP", "STRATUM", "PRECISION", "REFID", "ROOT_DELAY", "ROOT_DISPERSION", "REFERENCE_TIME"]);
const say = (poll = 6) => exports.announce(at, poll, 0x1234_5678_9abc_def0n, core.constant("SERVER"));

beforeEach(() => {
  core.view.setUint8(place.LEAP, 1);
  core.view.setUint8(place.STRATUM, 2);
  core.view.setInt8(place.PRECISION, -20);
  core.setU32(place.REFID, 0xc0000201);
  core.setI64(place.ROOT_DELAY, seconds(0.25));
  core.setI64(place.ROOT_DISPERSION, seconds(0.5));
  core.setU64(place.REFERENCE_TIME, 77n);
});

describe("a broadcast", () => {
  it("is a header of mode 5 with neither origin nor receive timestamp, whatever lay in the slot", () => {
    core.bytes.fill(0xff, at, at + 64);
    expect(say()).toBe(48);
    expect(hex(octets(48))).toBe(hex(packet({
      leap: 1, version: 4, mode: 5, stratum: 2, poll: 6, precision: -20, rootDelayShort: 0x4000, rootDispersionShort: 0x8000, refid: 0xc0000201,
      referenceTime: 77n, transmitTime: 0x1234_5678_9abc_def0n,
    })));
    expect(octets(64)[48]).toBe(0xff);
  });

  it.each([0, 16, 255])("is not made at stratum %d: who is not synchronised has nothing to say", (stratum) => {
    core.view.setUint8(place.STRATUM, stratum);
    expect(say()).toBe(0);
  });

  it("is not made with leap 3", () => {
    core.view.setUint8(place.LEAP, 3);
    expect(say()).toBe(0);
  });
});
