// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Request numbers, constants and structures of devices against the kernel's own headers, by a small C program.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { readSharedMemory, readSock, writeSharedMemory, writeSock } from "../../hosts/common/refclock/foreign.ts";
import * as device from "../../hosts/native/device.ts";
import * as hardware from "../../hosts/native/hardware.ts";
import { AF_UNIX, SUN_PATH_OCTETS } from "../../hosts/native/local-socket.ts";
import * as pps from "../../hosts/native/pps.ts";
import { IPC_CREAT } from "../../hosts/native/shm.ts";
import * as termios from "../../hosts/native/termios.ts";
import { PRINTING, compileAndRun, constantLines, memoryOf, numbersOf, offsetLines, type Layouts } from "../support/headers.ts";

/** Names as C has them. */
const CONSTANTS: Record<string, number> = {
  ...Object.fromEntries([device, hardware, pps, termios].flatMap((module) => Object.entries(module)).filter(([name, value]) => typeof value === "number" && name !== "TERMIOS2_OCTETS") as [string, number][]),
  AF_UNIX,
  IPC_CREAT,
};

/** Ours. */
const OFFSETS: Layouts = {
  "struct pps_kparams": { ...pps.KPARAMS },
  "struct pps_ktime": { ...pps.KTIME },
  "struct ethtool_ts_info": { ...hardware.TS_INFO },
  "struct ethtool_cmd": { ...hardware.LINK },
  "struct hwtstamp_config": { ...hardware.CONFIG },
  "struct ptp_clock_time": { ...hardware.PTP_TIME },
  "struct ptp_sys_offset": { ...hardware.SYS_OFFSET },
  "struct ptp_sys_offset_extended": { ...hardware.SYS_OFFSET_EXTENDED },
  "struct ptp_sys_offset_precise": { ...hardware.SYS_OFFSET_PRECISE },
  "struct termios2": Object.fromEntries([...Object.entries(termios.TERMIOS2).map(([name, at]) => [`c_${name}`, at] as const), ["size", termios.TERMIOS2_OCTETS] as const]),
  "struct ifreq": { size: 40, ifr_name: 0, ifr_data: 16 },
  "struct sockaddr_un": { size: 2 + SUN_PATH_OCTETS, sun_family: 0, sun_path: 2 },
  "struct shmTime": { size: 96, mode: 0, count: 4, clockTimeStampSec: 8, clockTimeStampUSec: 16, receiveTimeStampSec: 24, receiveTimeStampUSec: 32, leap: 36, precision: 40, nsamples: 44, valid: 48, clockTimeStampNSec: 52, receiveTimeStampNSec: 56 },
  "struct sock_sample": { size: 40, tv: 0, offset: 16, pulse: 24, leap: 28, _pad: 32, magic: 36 },
};
/** pps_fdata has its captures in a structure of its own. */
const FDATA: Record<string, string> = {
  size: "sizeof(struct pps_fdata)", assert_sequence: "offsetof(struct pps_fdata, info.assert_sequence)", clear_sequence: "offsetof(struct pps_fdata, info.clear_sequence)",
  assert_tu: "offsetof(struct pps_fdata, info.assert_tu)", clear_tu: "offsetof(struct pps_fdata, info.clear_tu)", timeout: "offsetof(struct pps_fdata, timeout)",
};

const fdata = Object.entries(FDATA).map(([name, value]) => `  printf("fdata.${name} %zu\\n", ${value});`);
const program = `${PRINTING}
#include <time.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <net/if.h>
#include <asm/termbits.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/pps.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>
#ifndef TCGETS2
#define TCGETS2 _IOR('T', 0x2A, struct termios2)
#define TCSETS2 _IOW('T', 0x2B, struct termios2)
#endif
/* As ntpd's refclock_shm.c and chrony's refclock_sock.c document them. */
struct shmTime { int mode; volatile int count; time_t clockTimeStampSec; int clockTimeStampUSec; time_t receiveTimeStampSec; int receiveTimeStampUSec;
  int leap; int precision; int nsamples; volatile int valid; unsigned clockTimeStampNSec; unsigned receiveTimeStampNSec; int dummy[8]; };
struct sock_sample { struct timeval tv; double offset; int pulse; int leap; int _pad; int magic; };
int main(void) {
${constantLines(Object.keys(CONSTANTS))}
${offsetLines(OFFSETS)}
${fdata.join("\n")}
  struct shmTime shm = { .mode = 1, .clockTimeStampSec = 1900000000, .clockTimeStampUSec = 250000, .receiveTimeStampSec = 1900000000, .receiveTimeStampUSec = 123456,
    .leap = 1, .precision = -20, .valid = 1, .clockTimeStampNSec = 250000000, .receiveTimeStampNSec = 123456789 };
  dump("shm", &shm, sizeof shm);
  struct sock_sample sock;
  memset(&sock, 0, sizeof sock);
  sock.tv.tv_sec = 1900000000; sock.tv.tv_usec = 123456; sock.offset = -0.0625; sock.pulse = 1; sock.leap = 2; sock.magic = 0x534f434b;
  dump("sock", &sock, sizeof sock);
}
`;

const printed = compileAndRun(program);
if (printed === undefined) console.warn("SKIPPED: devices are checked against the headers only on Linux with a cc");

describe.skipIf(printed === undefined)("the kernel's headers agree", () => {
  it("on every constant and request number", () => {
    expect(Object.keys(CONSTANTS).length).toBeGreaterThan(40);
    expect(numbersOf(printed, Object.keys(CONSTANTS))).toEqual(CONSTANTS);
  });

  it.each(Object.entries(OFFSETS))("on %s", (type, members) => {
    expect(numbersOf(printed, Object.keys(members), `${type}.`)).toEqual(members);
  });

  it("on struct pps_fdata", () => {
    expect(numbersOf(printed, Object.keys(FDATA), "fdata.")).toEqual(pps.FDATA);
  });

  it("on the shared memory of NTP, read and written", () => {
    const sample = { timeNs: 1_900_000_000_250_000_000n, receivedNs: 1_900_000_000_123_456_789n, leap: 1, precision: -20, pulse: false } as const;
    expect(readSharedMemory(memoryOf(printed, "shm"))).toEqual(sample);
    const written = new Uint8Array(96);
    writeSharedMemory(new DataView(written.buffer), sample);
    expect(Buffer.from(written).toString("hex")).toBe(printed!.get("shm"));
  });

  it("on chrony's datagrams, read and written", () => {
    const sample = readSock(new Uint8Array(memoryOf(printed, "sock").buffer))!;
    expect(sample).toEqual({ timeNs: 1_900_000_000_060_956_000n, receivedNs: 1_900_000_000_123_456_000n, leap: 2, precision: -20, pulse: true });
    expect(Buffer.from(writeSock(sample)).toString("hex")).toBe(printed!.get("sock"));
  });
});
