// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the system's own headers say: a C program is compiled, run, and its lines `name value` read.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** C that includes what socket code needs and has `dump(name, memory, size)`, to begin a program with. */
export const PROLOGUE = `#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <stddef.h>
#include <time.h>
#include <errno.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
static void dump(const char *name, const void *memory, size_t size) {
  printf("%s ", name);
  for (size_t i = 0; i < size; i++) printf("%02x", ((const unsigned char *)memory)[i]);
  printf("\\n");
}
`;

/** What the program printed; `undefined` where there is no Linux or no cc. */
export function compileAndRun(source: string): Map<string, string> | undefined {
  if (process.platform !== "linux") return undefined;
  const folder = mkdtempSync(join(tmpdir(), "headers-"));
  try {
    try {
      execFileSync("cc", ["--version"], { stdio: "ignore" });
    } catch {
      return undefined;
    }
    writeFileSync(join(folder, "program.c"), source);
    execFileSync("cc", ["-std=gnu11", "-o", join(folder, "program"), join(folder, "program.c")]);
    const lines = execFileSync(join(folder, "program"), { encoding: "utf8" }).trim().split("\n");
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
