// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { bindLibc } from "../../hosts/native/libc.ts";
import { nativeContract } from "./contract.ts";

const ffi = await load();
const libc = ffi && bindLibc(ffi);
if (libc === undefined) console.warn("SKIPPED: the native contract needs koffi and 64-bit Linux");

describe.skipIf(libc === undefined)("the native contract through koffi", () => {
  it("holds", { timeout: 60_000 }, async () => {
    const failures = (await nativeContract(ffi!)).filter(({ ok }) => !ok);
    expect(failures).toEqual([]);
  });
});
