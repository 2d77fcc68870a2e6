// SPDX-License-Identifier: MIT OR Apache-2.0
/** The pages' binding against as-bind: the same answers of the whole core and of the small one, for as long as one asks. */
import { readFileSync } from "node:fs";
import { instantiateSync as asBind } from "#as-bind";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../tests/support/core.ts";
import { instantiateSync } from "./binding.ts";

const whole = new WebAssembly.Module(readFileSync("dist/core.wasm"));
const small = new WebAssembly.Module(readFileSync("dist/browser/query.wasm"));
const reference = asBind(whole).exports;

describe.each([["the whole core", whole], ["the core for questions", small]])("%s, bound for pages", (_, module) => {
  const { exports } = instantiateSync(module);
  const same = (name: string, ...values: unknown[]) => expect(exports[name]!(...values)).toEqual(reference[name]!(...values));

  test("says the same texts", () => {
    for (const code of ["RATE", "DENY", "NTSN", "", "é€𝄞", "longer than any code"]) same("kissMeaning", code);
    for (const refid of [0, 0x47505300, 0xc0000201, 0x01020304, 0xffffffff]) for (const stratum of [0, 1, 2, 15]) same("refidText", refid, stratum);
    for (let number = -1; number < 12; number++) for (const name of ["keFaultText", "keRecordText", "keErrorText"]) same(name, number);
    same("keRecordText", 1024);
  });

  test("takes and gives arrays of every kind, views into others among them", () => {
    const random = seededRandom(5);
    for (let round = 0; round < 300; round++) {
      const lengths = Uint16Array.from({ length: round % 7 }, () => random() % 50);
      const types = lengths.map(() => random() % 9);
      const bodies = Uint8Array.from({ length: 9 + lengths.reduce((sum, one) => sum + one, 0) }, () => random()).subarray(9);
      same("keWrite", types, lengths, bodies);
      const message = reference["keWrite"]!(types, lengths, bodies) as Uint8Array;
      same("keRead", message, 4096, 16);
      same("keRead", message.subarray(0, random() % (message.length + 1)), 4096, 3);
    }
    same("keWrite", new Uint16Array(1), new Uint16Array(2), new Uint8Array(0));
  });

  test("does not run out of memory", () => {
    const message = new Uint8Array(60_000);
    // Each takes at least its own length; the memory has 12 MiB.
    for (let i = 0; i < 2000; i++) exports["keRead"]!(message, 65536, 64);
    same("keRead", message, 65536, 64);
  });
});
