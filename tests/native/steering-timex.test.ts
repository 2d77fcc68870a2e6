// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `struct timex` against the headers: once as the C library declares it (sys/timex.h), once as the kernel does
 * (linux/timex.h). The two cannot be included together, so two programs are compiled.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTimex, TIMEX_BYTES, TIMEX_CONSTANTS, TIMEX_OFFSETS, writeTimex } from "../../hosts/native/timex.ts";

const HEADERS = [
  ["the C library's", "#include <sys/timex.h>", "struct timex"],
  ["the kernel's", "#include <linux/time_types.h>\n#include <linux/timex.h>", "struct __kernel_timex"],
] as const;

const MEMBERS: Record<string, string> = { tv_sec: "time.tv_sec", tv_usec: "time.tv_usec" };

function program(include: string, type: string): string {
  const constants = Object.keys(TIMEX_CONSTANTS).map((name) => `printf("${name} %d\\n", ${name});`);
  const offsets = Object.keys(TIMEX_OFFSETS).map(
    (name) => `printf("${name} %zu\\n", offsetof(${type}, ${MEMBERS[name] ?? name}));`,
  );
  return `#include <stdio.h>
#include <stddef.h>
#include <string.h>
${include}
int main(void) {
  ${constants.join("\n  ")}
  ${offsets.join("\n  ")}
  printf("size %zu\\n", sizeof(${type}));
  ${type} t;
  memset(&t, 0, sizeof t);
  t.modes = 0x80000001u, t.offset = -1, t.freq = -32768000, t.maxerror = 16000000, t.esterror = 5, t.status = 0x2041;
  t.constant = 7, t.tick = 11000, t.time.tv_sec = -86400, t.time.tv_usec = 999999999, t.tai = 37;
  printf("memory ");
  for (size_t i = 0; i < sizeof t; i++) printf("%02x", ((unsigned char *)&t)[i]);
  printf("\\n");
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

function compileAndRun(source: string): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), "timex-"));
  try {
    writeFileSync(join(folder, "timex.c"), source);
    execFileSync("cc", ["-std=gnu11", "-o", join(folder, "timex"), join(folder, "timex.c")]);
    const lines = execFileSync(join(folder, "timex"), { encoding: "utf8" }).trim().split("\n");
    return new Map(lines.map((line) => line.split(" ") as [string, string]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function hasCompiler(): boolean {
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
}

const possible = hasCompiler();
if (!possible) console.warn("SKIPPED: struct timex is checked against the headers only on Linux with a cc");

describe.skipIf(!possible).each(HEADERS)("%s struct timex", (_whose, include, type) => {
  it("has our layout, constants and size, and is read and written alike", () => {
    const theirs = compileAndRun(program(include, type));
    const ours = { ...TIMEX_CONSTANTS, ...TIMEX_OFFSETS, size: TIMEX_BYTES };
    expect(Object.fromEntries(Object.keys(ours).map((name) => [name, Number(theirs.get(name))]))).toEqual(ours);

    const bytes = new Uint8Array(Buffer.from(theirs.get("memory") as string, "hex"));
    expect(readTimex({ view: new DataView(bytes.buffer) })).toEqual(FILLED);
    const written = new Uint8Array(TIMEX_BYTES).fill(0xff);
    writeTimex({ bytes: written, view: new DataView(written.buffer) }, FILLED);
    expect(Buffer.from(written).toString("hex")).toBe(theirs.get("memory"));
  });
});

describe("a request", () => {
  it("leaves nothing of the last answer behind", () => {
    const bytes = new Uint8Array(TIMEX_BYTES).fill(0xff);
    writeTimex({ bytes, view: new DataView(bytes.buffer) }, { modes: 0 });
    expect(bytes.every((octet) => octet === 0)).toBe(true);
  });
});
