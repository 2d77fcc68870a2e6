// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `struct timex` against the headers: once as the C library declares it (sys/timex.h), once as the kernel does
 * (linux/timex.h). The two cannot be included together, so two programs are compiled.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { readTimex, TIMEX_BYTES, TIMEX_CONSTANTS, TIMEX_OFFSETS, writeTimex } from "../../hosts/native/timex.ts";
import { PRINTING, compileAndRun, constantLines, memoryOf, numbersOf } from "../support/headers.ts";

const HEADERS = [
  ["the C library's", "#include <sys/timex.h>", "struct timex"],
  ["the kernel's", "#include <linux/time_types.h>\n#include <linux/timex.h>", "struct __kernel_timex"],
] as const;

const MEMBERS: Record<string, string> = { tv_sec: "time.tv_sec", tv_usec: "time.tv_usec" };

function program(include: string, type: string): string {
  const offsets = Object.keys(TIMEX_OFFSETS).map(
    (name) => `printf("${name} %zu\\n", offsetof(${type}, ${MEMBERS[name] ?? name}));`,
  );
  return `${PRINTING}
${include}
int main(void) {
${constantLines(Object.keys(TIMEX_CONSTANTS))}
  ${offsets.join("\n  ")}
  printf("size %zu\\n", sizeof(${type}));
  ${type} t;
  memset(&t, 0, sizeof t);
  t.modes = 0x80000001u, t.offset = -1, t.freq = -32768000, t.maxerror = 16000000, t.esterror = 5, t.status = 0x2041;
  t.constant = 7, t.tick = 11000, t.time.tv_sec = -86400, t.time.tv_usec = 999999999, t.tai = 37;
  dump("memory", &t, sizeof t);
}
`;
}

const FILLED = {
  modes: 0x8000_0001,
  offset: -1,
  freq: -32_768_000,
  maxerror: 16_000_000,
  esterror: 5,
  status: 0x2041,
  constant: 7,
  tick: 11_000,
  seconds: -86_400,
  fraction: 999_999_999,
  tai: 37,
};

const printed = HEADERS.map(([whose, include, type]) => [whose, compileAndRun(program(include, type))] as const);
const possible = printed.every(([, theirs]) => theirs !== undefined);
if (!possible) console.warn("SKIPPED: struct timex is checked against the headers only on Linux with a cc");

describe.skipIf(!possible).each(printed)("%s struct timex", (_whose, theirs) => {
  it("has our layout, constants and size, and is read and written alike", () => {
    const ours = { ...TIMEX_CONSTANTS, ...TIMEX_OFFSETS, size: TIMEX_BYTES };
    expect(numbersOf(theirs, Object.keys(ours))).toEqual(ours);

    expect(readTimex({ view: memoryOf(theirs, "memory") })).toEqual(FILLED);
    const written = new Uint8Array(TIMEX_BYTES).fill(0xff);
    writeTimex({ bytes: written, view: new DataView(written.buffer) }, FILLED);
    expect(Buffer.from(written).toString("hex")).toBe(theirs?.get("memory"));
  });
});

describe("a request", () => {
  it("leaves nothing of the last answer behind", () => {
    const bytes = new Uint8Array(TIMEX_BYTES).fill(0xff);
    writeTimex({ bytes, view: new DataView(bytes.buffer) }, { modes: 0 });
    expect(bytes.every((octet) => octet === 0)).toBe(true);
  });
});
