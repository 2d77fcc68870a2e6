// SPDX-License-Identifier: MIT OR Apache-2.0
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, number, Reader, vector } from "./codec.ts";

test("numbers and vectors come back as they were written, and every truncation is decode_error", () => {
  fc.assert(
    fc.property(fc.nat(0xff), fc.nat(0xffff), fc.nat(0xffffff), fc.uint8Array({ maxLength: 40 }), (a, b, c, data) => {
      const written = concat(number(1, a), number(2, b), number(3, c), vector(1, data), vector(2, data), vector(3, data));
      const read = (octets: Uint8Array) => {
        const reader = new Reader(octets, "test");
        const all = [reader.number(1), reader.number(2), reader.number(3), reader.vector(1), reader.vector(2), reader.vector(3)];
        reader.end();
        return all;
      };
      expect(read(written)).toEqual([a, b, c, data, data, data]);
      for (let length = 0; length < written.length; length++) {
        expect(() => read(written.subarray(0, length))).toThrow(expect.objectContaining({ alert: "decode_error" }));
      }
      expect(() => read(concat(written, number(1, 0)))).toThrow("expected its end");
    }),
    { numRuns: 50 },
  );
});

test("a vector outside of its bounds is decode_error", () => {
  expect(() => new Reader(vector(1, new Uint8Array(3)), "test").vector(1, 4)).toThrow("a vector of 4 to 16777216 octets, got 3");
  expect(() => new Reader(vector(1, new Uint8Array(3)), "test").vector(1, 0, 2)).toThrow("a vector of 0 to 2 octets, got 3");
});
