// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the system's own headers say: a C program is compiled and run, and its lines read: `name number` or `name hex`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** What a program begins with that includes headers of its own: it prints numbers, and memory by `dump(name, memory, size)`. */
export const PRINTING = `#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <stddef.h>
static void dump(const char *name, const void *memory, size_t size) {
  printf("%s ", name);
  for (size_t i = 0; i < size; i++) printf("%02x", ((const unsigned char *)memory)[i]);
  printf("\\n");
}
`;

/**
 * What a program about sockets begins with: the headers; `addresses()` dumps a socket address of each family ("four", "six":
 * {@link FOUR}, {@link SIX}); `put(level, type, data, size)` adds a control message to `control`, which `restart()` empties and
 * `told(name, whole)` dumps, with the padding of its last message or without.
 */
export const SOCKETS = `${PRINTING}
#include <time.h>
#include <errno.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
static void addresses(void) {
  struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(123) };
  inet_pton(AF_INET, "192.0.2.7", &four.sin_addr);
  dump("four", &four, sizeof four);
  struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(4460), .sin6_scope_id = 3 };
  inet_pton(AF_INET6, "fe80::1234", &six.sin6_addr);
  dump("six", &six, sizeof six);
}
static _Alignas(8) char control[512];
static struct msghdr message = { .msg_control = control, .msg_controllen = sizeof control };
static struct cmsghdr *last;
static void restart(void) { memset(control, 0, sizeof control), last = NULL; }
static void put(int level, int type, const void *data, size_t size) {
  last = last ? CMSG_NXTHDR(&message, last) : CMSG_FIRSTHDR(&message);
  last->cmsg_level = level, last->cmsg_type = type, last->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(last), data, size);
}
static void told(const char *name, int whole) {
  dump(name, control, (char *)last - control + (whole ? CMSG_ALIGN(last->cmsg_len) : last->cmsg_len));
}
`;
export const FOUR = { address: "192.0.2.7", port: 123 };
export const SIX = { address: "fe80::1234%3", port: 4460 };

/** C that prints each constant, name and value. */
export function constantLines(names: readonly string[]): string {
  return names.map((name) => `  printf("${name} %lld\\n", (long long)${name});`).join("\n");
}

/** Structure → offsets of its members; a member of "size" is its size. */
export type Layouts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** C that prints each offset as `structure.member`. */
export function offsetLines(layouts: Layouts): string {
  return Object.entries(layouts).flatMap(([type, members]) => Object.keys(members).map((member) =>
    `  printf("${type}.${member} %zu\\n", ${member === "size" ? `sizeof(${type})` : `offsetof(${type}, ${member})`});`)).join("\n");
}

/** Of what was printed, the numbers of these names, all of which begin with `prefix`. */
export function numbersOf(printed: ReadonlyMap<string, string> | undefined, names: readonly string[], prefix = ""): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, Number(printed?.get(prefix + name))]));
}

/** Of what was printed, the memory of this name. */
export function memoryOf(printed: ReadonlyMap<string, string> | undefined, name: string): DataView<ArrayBuffer> {
  return new DataView(Uint8Array.from(Buffer.from(printed?.get(name) ?? "", "hex")).buffer);
}

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
