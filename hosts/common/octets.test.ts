// SPDX-License-Identifier: MIT OR Apache-2.0
import { expect, test } from "vitest";
import { hex, same } from "./octets.ts";

test("octets are compared in full", () => {
  const data = Uint8Array.of(1, 2, 3);
  expect(same(data, Uint8Array.of(1, 2, 3))).toBe(true);
  for (const other of [[0, 2, 3], [1, 2, 2], [1, 2], [1, 2, 3, 0], []]) expect(same(data, Uint8Array.from(other))).toBe(false);
});

test("octets are told by two digits each", () => {
  expect(hex(Uint8Array.of(0, 15, 255))).toBe("000fff");
});
