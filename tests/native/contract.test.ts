// SPDX-License-Identifier: MIT OR Apache-2.0
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { load } from "../../hosts/native/ffi-koffi.ts";
import { bindLibc } from "../../hosts/native/libc.ts";
import { RUNS, missing } from "../contract/runtimes.ts";
import { nativeContract } from "./contract.ts";

const ffi = await load();
const libc = ffi && bindLibc(ffi);
if (libc === undefined) console.warn("SKIPPED: the native contract needs koffi and 64-bit Linux");

describe.skipIf(libc === undefined)("the native contract through koffi", () => {
  it("holds", async () => {
    const failures = (await nativeContract(ffi!)).filter(({ ok }) => !ok);
    expect(failures).toEqual([]);
  });
});

/** Both run TypeScript as it is; other runtimes are covered by tests/contract. */
const OTHERS = [["Deno with FFI", "Deno.dlopen"], ["Bun with FFI", "bun:ffi"]] as const;

describe.skipIf(libc === undefined)("the native contract", () => {
  it.each(OTHERS)("holds on %s, through %s", async (name, backend) => {
    const run = RUNS.find((candidate) => candidate.name === name)!;
    const why = missing(run);
    if (why) return console.warn(`SKIPPED: ${why}`);
    const flags = backend === "Deno.dlopen" ? [...run.flags, "--no-check"] : run.flags;
    const { stdout } = await promisify(execFile)(run.command, [...flags, "tests/native/run.ts", backend]).catch((error: { stdout: string; stderr: string }) => ({ stdout: `FAIL ${error.stdout}${error.stderr}` }));
    expect(stdout.split("\n").filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(stdout).toContain(`ok   [${backend}] a card's stamps are told`);
  });
});
