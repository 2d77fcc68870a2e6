// SPDX-License-Identifier: MIT OR Apache-2.0
/** The frame of control messages: there and back, at every truncation, and that no response passes for a request. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bench, concat } from "../../tests/support/core.ts";

const bench = new Bench();
const { core, exports, at } = bench;
const CONTROL = core.constant("CONTROL");
const FIELDS = ["VERSION", "OPCODE", "SEQUENCE", "ASSOCIATION", "COUNT", "STATUS", "OFFSET", "MORE", "ERROR"] as const;
const place = core.fields("CONTROL", FIELDS);

function request({ version = 2, flags = 0, opcode = 2, sequence = 7, status = 0, association = 3, offset = 0, count = 0 } = {}, ...data: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint8(0, (version << 3) | 6);
  view.setUint8(1, flags | opcode);
  [sequence, status, association, offset, count].forEach((value, i) => view.setUint16(2 + i * 2, value));
  return concat(new Uint8Array(view.buffer), Uint8Array.from(data));
}

function read(octets: Uint8Array): Partial<Record<(typeof FIELDS)[number], number>> | undefined {
  const ok = exports.readControl(bench.put(octets), octets.length, CONTROL);
  return ok ? Object.fromEntries(FIELDS.map((name) => [name, core.view.getInt32(place[name], true)])) : undefined;
}

describe("a request", () => {
  it("is read, whatever version and leap indicator", () => {
    for (const first of [0x16, 0xd6, 0x1e, 0x26]) {
      const octets = request({ count: 4 }, 0x6c, 0x65, 0x61, 0x70);
      octets[0] = first;
      expect(read(octets)).toMatchObject({ VERSION: (first >> 3) & 7, OPCODE: 2, SEQUENCE: 7, ASSOCIATION: 3, COUNT: 4 });
    }
  });

  it("with padding or a MAC behind it is read; cut anywhere it is not", () => {
    const octets = request({ count: 4 }, 1, 2, 3, 4, ...new Array<number>(24).fill(9));
    for (let length = 0; length <= octets.length; length++) expect(read(octets.subarray(0, length)) !== undefined, `${length} octets`).toBe(length >= 16);
  });

  it.each([["a response", 0x80], ["an error", 0x40], ["a piece of something longer", 0x20]])("that is %s is none", (_what, flags) => {
    expect(read(request({ flags }))).toBeUndefined();
  });

  it("is none in another mode, at an offset, or of more data than a fragment holds", () => {
    const other = request();
    for (let mode = 0; mode < 8; mode++) {
      other[0] = 0x10 | mode;
      expect(read(other) !== undefined).toBe(mode === 6);
    }
    expect(read(request({ offset: 4 }))).toBeUndefined();
    expect(read(concat(request({ count: 468 }), new Uint8Array(468)))).toBeDefined();
    expect(read(concat(request({ count: 469 }), new Uint8Array(469)))).toBeUndefined();
  });
});

describe("a response", () => {
  it("is written as the diagram says, padded, and is no request", () => {
    const u16 = fc.integer({ min: 0, max: 65535 });
    fc.assert(fc.property(fc.record({ sequence: u16, status: u16, association: u16, offset: u16, count: fc.integer({ min: 0, max: 468 }), more: fc.boolean(), error: fc.boolean() }), (told) => {
      core.bytes.fill(0x5a, at, at + 600);
      const values = { VERSION: 2, OPCODE: 2, SEQUENCE: told.sequence, ASSOCIATION: told.association, COUNT: told.count, STATUS: told.status, OFFSET: told.offset, MORE: +told.more, ERROR: +told.error };
      for (const name of FIELDS) core.view.setInt32(place[name], values[name], true);
      const length = exports.writeControl(at, CONTROL);
      const octets = bench.octets(length);
      const view = new DataView(octets.buffer);
      expect(length).toBe(12 + Math.ceil(told.count / 4) * 4);
      expect([octets[0], octets[1]]).toEqual([0x16, 0x82 | (told.more ? 0x20 : 0) | (told.error ? 0x40 : 0)]);
      expect([2, 4, 6, 8, 10].map((offset) => view.getUint16(offset))).toEqual([told.sequence, told.status, told.association, told.offset, told.count]);
      expect(octets.subarray(12).every((octet, i) => octet === (i < told.count ? 0x5a : 0))).toBe(true);
      expect(read(octets)).toBeUndefined();
    }), { numRuns: 300 });
  });

  it("of an absurd count is cut to a fragment", () => {
    for (const count of [-1, 469, 2 ** 31 - 1, -(2 ** 31)]) {
      core.view.setInt32(place.COUNT, count, true);
      expect(exports.writeControl(at, CONTROL)).toBe(count < 0 ? 12 : 480);
    }
  });
});
