// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as write from "../../../tests/support/der.ts";
import { DerReader, TAG } from "./der.ts";

const reader = (...octets: number[]) => new DerReader(Uint8Array.from(octets), "test");

describe("what DER refuses", () => {
  test.each([
    ["an indefinite length", [0x30, 0x80, 0x00, 0x00]],
    ["a long length that would fit a short one", [0x04, 0x81, 0x01, 0xaa]],
    ["a length with a leading zero", [0x04, 0x82, 0x00, 0x80, ...new Array<number>(128).fill(0)]],
    ["a length of four octets", [0x04, 0x84, 0x00, 0x00, 0x00, 0x01, 0xaa]],
    ["a tag of several octets", [0x1f, 0x81, 0x00, 0x00]],
    ["contents beyond the end", [0x04, 0x02, 0xaa]],
    ["no length", [0x04]],
    ["nothing", []],
  ])("%s", (_name, octets) => {
    expect(() => reader(...octets).next()).toThrow(/^test: /);
  });

  test("another tag than the expected one", () => {
    expect(() => reader(0x04, 0x00).read(TAG.integer)).toThrow("expected tag 0x2, got 0x4");
  });

  test("octets left over", () => {
    expect(() => reader(0x00).end()).toThrow("got 1 more octets");
  });

  test.each([
    ["negative", [0x02, 0x01, 0xff]],
    ["empty", [0x02, 0x00]],
    ["with a needless zero", [0x02, 0x02, 0x00, 0x7f]],
  ])("an integer that is %s", (_name, octets) => {
    expect(() => reader(...octets).unsigned()).toThrow("integer");
  });

  test.each([
    ["empty", [0x06, 0x00]],
    ["cut", [0x06, 0x02, 0x2a, 0x86]],
    ["padded", [0x06, 0x03, 0x2a, 0x80, 0x01]],
    ["with an arc beyond 2^53", [0x06, 0x0a, 0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])("an object identifier that is %s", (_name, octets) => {
    expect(() => reader(...octets).oid()).toThrow(/object identifier/);
  });

  test.each([[[0x01, 0x01, 0x01]], [[0x01, 0x00]], [[0x01, 0x02, 0xff, 0xff]]])("the boolean %j", (octets) => {
    expect(() => reader(...octets).optionalBoolean()).toThrow("expected a boolean");
  });

  test("a bit string of broken octets", () => {
    expect(() => reader(0x03, 0x02, 0x04, 0xf0).bits()).toThrow("whole octets");
  });

  test("anything longer than any certificate", () => {
    expect(() => new DerReader(new Uint8Array(70_000), "test")).toThrow("at most 65535 octets");
  });
});

test("integers and object identifiers come back as they were written", () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(fc.nat(), { maxLength: 6 }), fc.integer({ min: 0, max: 2 }), fc.nat(39), (value, arcs, first, second) => {
      const dotted = [first, second, ...arcs].join(".");
      const fields = new DerReader(write.sequence(write.integer(value), write.oid(dotted)), "test").enter(TAG.sequence);
      expect(fields.small()).toBe(value);
      expect(fields.oid()).toBe(dotted);
      fields.end();
    }),
  );
});

test("lengths on both sides of each form come back", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_000]) {
    const encoded = write.octets(new Uint8Array(length));
    expect(new DerReader(encoded, "test").read(TAG.octetString).contents).toHaveLength(length);
  }
});
