// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The constants and layouts of this folder against the system's own headers, by a small C program: it prints every
 * constant by name, the offsets, and structures filled by C for our readers to read.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { PROLOGUE, compileAndRun } from "../../tests/support/headers.ts";
import { ERRNO } from "./errno.ts";
import * as linux from "./linux.ts";
import { readControls } from "./message.ts";
import { readSockaddr, writeSockaddr } from "./sockaddr.ts";

const zones = { interfaceIndex: () => 0, interfaceName: String };

const OFFSETS = {
  "struct msghdr": { size: 56, msg_name: 0, msg_namelen: 8, msg_iov: 16, msg_iovlen: 24, msg_control: 32,
    msg_controllen: 40, msg_flags: 48 },
  "struct mmsghdr": { size: 64, msg_hdr: 0, msg_len: 56 },
  "struct in_pktinfo": { size: 12, ipi_ifindex: 0, ipi_spec_dst: 4, ipi_addr: 8 },
  "struct in6_pktinfo": { size: 20, ipi6_addr: 0, ipi6_ifindex: 16 },
  "struct pollfd": { size: 8, fd: 0, events: 4, revents: 6 },
  "struct timeval": { size: 16, tv_sec: 0, tv_usec: 8 },
  "struct iovec": { size: 16, iov_base: 0, iov_len: 8 },
  "struct cmsghdr": { size: 16, cmsg_len: 0, cmsg_level: 8, cmsg_type: 12 },
  "struct timespec": { size: 16, tv_sec: 0, tv_nsec: 8 },
  "struct scm_timestamping": { size: 48, ts: 0 },
  "struct scm_ts_pktinfo": { size: 16, if_index: 0, pkt_length: 4 },
  "struct sock_extended_err": { size: 16, ee_errno: 0, ee_origin: 4, ee_type: 5, ee_code: 6, ee_info: 8, ee_data: 12 },
  "struct sockaddr_in": { size: 16, sin_family: 0, sin_port: 2, sin_addr: 4 },
  "struct sockaddr_in6": { size: 28, sin6_family: 0, sin6_port: 2, sin6_addr: 8, sin6_scope_id: 24 },
} as const;

const CONSTANTS: Record<string, number> = {
  ...(linux as Record<string, number>),
  ...Object.fromEntries(Object.entries(ERRNO).map(([number, [name]]) => [name, Number(number)])),
};

/** `name value` lines for numbers, `name hex` lines for memory. */
function program(): string {
  const constants = Object.keys(CONSTANTS).map((name) => `  printf("${name} %lld\\n", (long long)${name});`);
  const offsets = Object.entries(OFFSETS).flatMap(([type, members]) =>
    Object.keys(members).map((member) => {
      const value = member === "size" ? `sizeof(${type})` : `offsetof(${type}, ${member})`;
      return `  printf("${type}.${member} %zu\\n", (size_t)${value});`;
    }),
  );
  return `${PROLOGUE}
#include <poll.h>
int main(void) {
${constants.join("\n")}
${offsets.join("\n")}
  struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(123) };
  inet_pton(AF_INET, "192.0.2.7", &four.sin_addr);
  dump("four", &four, sizeof four);
  struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(4460), .sin6_scope_id = 3 };
  inet_pton(AF_INET6, "fe80::1234", &six.sin6_addr);
  dump("six", &six, sizeof six);
  _Alignas(8) char control[512] = {0};
  struct msghdr message = { .msg_control = control, .msg_controllen = sizeof control };
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET, c->cmsg_type = SO_TIMESTAMPING, c->cmsg_len = CMSG_LEN(sizeof(struct scm_timestamping));
  struct scm_timestamping stamps = { .ts = { { 1700000000, 123456789 }, { 0, 0 }, { 1700000037, 5 } } };
  memcpy(CMSG_DATA(c), &stamps, sizeof stamps);
  c = CMSG_NXTHDR(&message, c);
  c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_TIMESTAMPING_PKTINFO, c->cmsg_len = CMSG_LEN(sizeof(struct scm_ts_pktinfo));
  struct scm_ts_pktinfo passed = { .if_index = 3, .pkt_length = 90 };
  memcpy(CMSG_DATA(c), &passed, sizeof passed);
  c = CMSG_NXTHDR(&message, c);
  c->cmsg_level = SOL_IPV6, c->cmsg_type = IPV6_RECVERR, c->cmsg_len = CMSG_LEN(sizeof(struct sock_extended_err));
  struct sock_extended_err error = { .ee_errno = ENOMSG, .ee_origin = SO_EE_ORIGIN_TIMESTAMPING, .ee_data = 77 };
  memcpy(CMSG_DATA(c), &error, sizeof error);
  dump("control", control, (char *)CMSG_DATA(c) + sizeof error - control);
}
`;
}

const printed = compileAndRun(program());
if (printed === undefined) console.warn("SKIPPED: layouts are checked against the headers only on Linux with a cc");

function memory(name: string): DataView {
  const bytes = Buffer.from(printed?.get(name) as string, "hex");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

describe.skipIf(printed === undefined)("the system's headers agree", () => {
  it("on every constant", () => {
    const theirs = Object.fromEntries(Object.keys(CONSTANTS).map((name) => [name, Number(printed?.get(name))]));
    expect(theirs).toEqual(CONSTANTS);
  });

  it.each(Object.entries(OFFSETS))("on %s", (type, members) => {
    const theirs = Object.keys(members).map((member) => [member, Number(printed?.get(`${type}.${member}`))]);
    expect(Object.fromEntries(theirs)).toEqual(members);
  });

  it("on socket addresses, read and written", () => {
    expect(readSockaddr(memory("four"), 0, zones)).toEqual({ address: "192.0.2.7", port: 123 });
    expect(readSockaddr(memory("six"), 0, zones)).toEqual({ address: "fe80::1234%3", port: 4460 });
    const view = new DataView(new ArrayBuffer(28));
    const written = (length: number): string => Buffer.from(view.buffer, 0, length).toString("hex");
    const four = { address: "192.0.2.7", port: 123 };
    expect(written(writeSockaddr(view, 0, four, 4, zones))).toBe(printed?.get("four"));
    const six = { address: "fe80::1234%3", port: 4460 };
    expect(written(writeSockaddr(view, 0, six, 6, zones))).toBe(printed?.get("six"));
  });

  it("on control messages", () => {
    const view = memory("control");
    expect(readControls(view, 0, view.byteLength)).toEqual({
      stampNs: 1_700_000_000_123_456_789n,
      hardwareNs: 1_700_000_037_000_000_005n,
      device: 3,
      error: { errno: 42, stampOf: 77 },
    });
  });
});
