// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The constants and layouts of this folder against the system's own headers, by a small C program: it prints every
 * constant by name, the offsets, and structures filled by C for our readers to read.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { FOUR, SIX, SOCKETS, compileAndRun, constantLines, memoryOf, numbersOf, offsetLines } from "../../tests/support/headers.ts";
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

const program = `${SOCKETS}
#include <poll.h>
int main(void) {
${constantLines(Object.keys(CONSTANTS))}
${offsetLines(OFFSETS)}
  addresses();
  struct scm_timestamping stamps = { .ts = { { 1700000000, 123456789 }, { 0, 0 }, { 1700000037, 5 } } };
  put(SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps);
  struct scm_ts_pktinfo passed = { .if_index = 3, .pkt_length = 90 };
  put(SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, &passed, sizeof passed);
  struct sock_extended_err error = { .ee_errno = ENOMSG, .ee_origin = SO_EE_ORIGIN_TIMESTAMPING, .ee_data = 77 };
  put(SOL_IPV6, IPV6_RECVERR, &error, sizeof error);
  told("control", 0);
}
`;

const printed = compileAndRun(program);
if (printed === undefined) console.warn("SKIPPED: layouts are checked against the headers only on Linux with a cc");

describe.skipIf(printed === undefined)("the system's headers agree", () => {
  it("on every constant", () => {
    expect(numbersOf(printed, Object.keys(CONSTANTS))).toEqual(CONSTANTS);
  });

  it.each(Object.entries(OFFSETS))("on %s", (type, members) => {
    expect(numbersOf(printed, Object.keys(members), `${type}.`)).toEqual(members);
  });

  it("on socket addresses, read and written", () => {
    expect(readSockaddr(memoryOf(printed, "four"), 0, zones)).toEqual(FOUR);
    expect(readSockaddr(memoryOf(printed, "six"), 0, zones)).toEqual(SIX);
    const view = new DataView(new ArrayBuffer(28));
    const written = (length: number): string => Buffer.from(view.buffer, 0, length).toString("hex");
    expect(written(writeSockaddr(view, 0, FOUR, 4, zones))).toBe(printed?.get("four"));
    expect(written(writeSockaddr(view, 0, SIX, 6, zones))).toBe(printed?.get("six"));
  });

  it("on control messages", () => {
    const view = memoryOf(printed, "control");
    expect(readControls(view, 0, view.byteLength)).toEqual({
      stampNs: 1_700_000_000_123_456_789n,
      hardwareNs: 1_700_000_037_000_000_005n,
      device: 3,
      frame: 90,
      error: { errno: 42, stampOf: 77 },
    });
  });
});
