// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system calls for devices: open, ioctl, shared memory, Unix sockets. Bound apart from libc.ts, which sockets and clocks
 * need on every start.
 *
 * {@link DeviceLayer} is the seam: PPS, PHC and network cards are spoken to through it, and tests put a faithful fake there.
 * open and ioctl are variadic in C; on Linux's x64, arm64 and riscv64 integer arguments of variadic and of other functions
 * travel in the same registers. Request numbers have 32 unsigned bits: they cross as u64, never as i32.
 *
 * Tested by tests/native/device-layout.test.ts and tests/native/local-devices.test.ts.
 *
 * @module
 */

import type { Ffi, Signature } from "./ffi.ts";
import { bindLibcWith, type LibcWith } from "./libc.ts";
import { Block } from "./memory.ts";

const SYMBOLS = {
  open: ["i32", "pointer", "i32", "i32"],
  read: ["i64", "i32", "pointer", "usize"],
  ioctl: ["i32", "i32", "u64", "pointer"],
  shmget: ["i32", "i32", "usize", "i32"],
  shmat: ["pointer", "i32", "pointer", "i32"],
  shmdt: ["i32", "pointer"],
  recv: ["i64", "i32", "pointer", "usize", "i32"],
  send: ["i64", "i32", "pointer", "usize", "i32"],
  unlink: ["i32", "pointer"],
  chmod: ["i32", "pointer", "u32"],
} as const satisfies Record<string, Signature>;

/** libc with the calls for devices. */
export type DeviceLibc = LibcWith<keyof typeof SYMBOLS>;

/** The calls through an FFI, or `undefined` where hosts/native's layouts do not hold. Never throws. */
export const bindDevices = bindLibcWith(SYMBOLS);

export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NOCTTY = 0o400;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

/** A text as C wants it. */
export function cString(ffi: Ffi, text: string): Block {
  return blockOf(ffi, new TextEncoder().encode(`${text}\0`));
}

/** What devices are spoken to through. Failures throw a SystemError. */
export interface DeviceLayer {
  open(path: string, flags: number): number;
  close(fd: number): void;
  /** `data` is what the request reads and fills; its result. */
  ioctl(fd: number, request: number, data: Uint8Array): number;
  /** The same about a network interface: `data` is what `ifr_data` points to. */
  interfaceIoctl(request: number, name: string, data: Uint8Array): number;
  /** `clock_gettime` of a clock that may be a device's, ns. */
  clockNs(clockId: number): bigint;
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
/** IFNAMSIZ with its NUL, and struct ifreq. */
const NAME_OCTETS = 16;
const IFREQ_OCTETS = 40;

/** The kernel itself. */
export function kernelLayer(libc: DeviceLibc): DeviceLayer {
  const { ffi } = libc;
  return {
    open(path, flags) {
      const name = cString(ffi, path);
      const fd = libc.open(name.address, flags | O_CLOEXEC, 0);
      if (fd < 0) throw libc.failure("open", path);
      return fd;
    },
    close: (fd) => void libc.close(fd),
    ioctl(fd, request, data) {
      const block = blockOf(ffi, data);
      const result = libc.ioctl(fd, request, block.address);
      if (result < 0) throw libc.failure("ioctl", `0x${request.toString(16)}`);
      data.set(block.bytes);
      return result;
    },
    interfaceIoctl: (request, name, data) => interfaceIoctl(libc, request, name, data),
    clockNs(clockId) {
      const { scratch } = libc;
      if (libc.clock_gettime(clockId, scratch.address) !== 0) throw libc.failure("clock_gettime", String(clockId));
      return scratch.view.getBigInt64(0, true) * 1_000_000_000n + scratch.view.getBigInt64(8, true);
    },
  };
}

/** struct ifreq: ifr_name (16), ifr_data (a pointer). Any socket will do to ask by. */
function interfaceIoctl(libc: DeviceLibc, request: number, name: string, data: Uint8Array): number {
  const block = blockOf(libc.ffi, data);
  const wanted = new Block(libc.ffi, IFREQ_OCTETS);
  wanted.bytes.set(new TextEncoder().encode(name).subarray(0, NAME_OCTETS - 1));
  wanted.view.setBigUint64(NAME_OCTETS, BigInt(block.address), true);
  const fd = libc.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0);
  if (fd < 0) throw libc.failure("socket");
  try {
    const result = libc.ioctl(fd, request, wanted.address);
    if (result < 0) throw libc.failure("ioctl", `0x${request.toString(16)} of ${name}`);
    data.set(block.bytes);
    return result;
  } finally {
    libc.close(fd);
  }
}

function blockOf(ffi: Ffi, data: Uint8Array): Block {
  const block = new Block(ffi, data.length);
  block.bytes.set(data);
  return block;
}
