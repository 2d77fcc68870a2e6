// SPDX-License-Identifier: MIT OR Apache-2.0
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { NtpError } from "./errors.ts";

test("an error carries its code, its source and its cause", () => {
  const cause = new Error("lower");
  const error = new NtpError("DNS", "no address", { source: "time.example.org", cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "NtpError", code: "DNS", message: "no address", source: "time.example.org", cause });
});

test("what an error does not have does not show when it is printed", () => {
  const error = new NtpError("TIMEOUT", "no answer");
  expect(Object.keys(error)).not.toContain("source");
  expect(inspect(error)).not.toContain("undefined");
  expect("cause" in error).toBe(false);
});
