// SPDX-License-Identifier: MIT OR Apache-2.0
/** Reference identifiers as a Bloom filter: ten distinct bits of ours, MD5's bits of an address, and unions of them. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { explainPacket } from "../../hosts/common/core/cold.ts";
import { EXCHANGES, field5, request5 } from "../../tests/support/ntpv5.ts";
import { seededRandom } from "../../tests/support/core.ts";

const core = new Core();
const { exports } = core;
const scratch = core.constant("SCRATCH");
const filter = core.constant("REFERENCE_IDS");
const random = seededRandom(12);

const bitsOf = (at: number) => Array.from({ length: 4096 }, (_, bit) => bit).filter((bit) => core.bytes[at + (bit >> 3)]! & (1 << (bit & 7)));

describe("our own identifier", () => {
  const kinds: readonly (readonly [what: string, octet: () => number])[] = [["random octets", () => random() & 255], ["octets that are all the same", () => 7], ["zeros", () => 0], ["ones", () => 255]];
  it.each(kinds)("of %s is ten distinct bits, and found in its filter", (_, octet) => {
    core.bytes.set(Uint8Array.from({ length: 64 }, octet), scratch);
    exports.referenceIdChoose(scratch);
    expect(bitsOf(filter)).toHaveLength(10);
    expect(exports.filterHoldsUs(filter)).toBe(1);
    expect(core.bytes.slice(scratch, scratch + 64).every((value) => value === 0), "what it was chosen from is wiped").toBe(true);
  });

  it("is not found in a filter that lacks any of its bits, and found in a union", () => {
    core.bytes.set(Uint8Array.from({ length: 64 }, () => random() & 255), scratch);
    exports.referenceIdChoose(scratch);
    for (const bit of bitsOf(filter)) {
      core.bytes.copyWithin(scratch + 1024, filter, filter + 512);
      core.bytes[scratch + 1024 + (bit >> 3)]! &= ~(1 << (bit & 7));
      expect(exports.filterHoldsUs(scratch + 1024)).toBe(0);
      exports.filterJoin(scratch + 1024, filter);
      expect(exports.filterHoldsUs(scratch + 1024)).toBe(1);
    }
  });
});

it("an address's identifier is the first 120 bits of its MD5, twelve by twelve", () => {
  for (const address of [Uint8Array.of(192, 0, 2, 1), Uint8Array.from({ length: 16 }, (_, i) => i * 9)]) {
    core.bytes.set(address, scratch);
    exports.idOfAddress(scratch, address.length, scratch + 64);
    core.bytes.fill(0, scratch + 1024, scratch + 1536);
    exports.filterAdd(scratch + 1024, scratch + 64);
    const digest = createHash("md5").update(address).digest("hex");
    const expected = Array.from({ length: 10 }, (_, i) => parseInt(digest.slice(3 * i, 3 * i + 3), 16));
    expect(bitsOf(scratch + 1024)).toEqual([...new Set(expected)].sort((a, b) => a - b));
  }
});

it("packets of version 5 are told in words, also where fields have lengths that are no multiple of four", () => {
  const text = explainPacket(EXCHANGES.reply);
  for (const line of ["version     5", "flags       0001 synchronised", "client c.   ae7dbf4b8396c862", "0xf5ff draft identification, 27 octets"]) expect(text).toContain(line);
  expect(explainPacket(request5({}, field5(0x1234, new Uint8Array(1)), field5(0x4321, new Uint8Array(2))))).toContain("0x4321");
  for (let length = 0; length < EXCHANGES.reply.length; length++) expect(explainPacket(EXCHANGES.reply.subarray(0, length)).length).toBeGreaterThan(0);
});
