// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The C library on Linux: the functions that a clock and a datagram socket need, bound once per FFI.
 *
 * Only 64-bit little-endian Linux with the generic system call numbers' constants (x64, arm64, riscv64), glibc or
 * musl: all layouts and constants of this folder hold there and nowhere else. Elsewhere {@link bindLibc} answers
 * `undefined` and the host goes on with the runtime's own means. None of the functions is variadic, because variadic
 * calls have their own convention on some platforms.
 *
 * Tested in tests/native/contract.test.ts.
 *
 * @module
 */

import { SystemError } from "./errno.ts";
import { oncePerFfi, type CFunction, type Ffi, type Signature } from "./ffi.ts";
import { Block } from "./memory.ts";

const SYMBOLS = {
  clock_gettime: ["i32", "i32", "pointer"],
  clock_getres: ["i32", "i32", "pointer"],
  socket: ["i32", "i32", "i32", "i32"],
  bind: ["i32", "i32", "pointer", "u32"],
  connect: ["i32", "i32", "pointer", "u32"],
  getsockname: ["i32", "i32", "pointer", "pointer"],
  setsockopt: ["i32", "i32", "i32", "i32", "pointer", "u32"],
  sendto: ["i64", "i32", "pointer", "usize", "i32", "pointer", "u32"],
  recvmsg: ["i64", "i32", "pointer", "i32"],
  close: ["i32", "i32"],
  if_nametoindex: ["u32", "pointer"],
  if_indextoname: ["pointer", "u32", "pointer"],
  memcpy: ["pointer", "pointer", "pointer", "usize"],
  __errno_location: ["pointer"],
} as const satisfies Record<string, Signature>;

/** The functions as C knows them (addresses as Numbers), and errno. */
export interface Libc extends Readonly<Record<keyof typeof SYMBOLS, CFunction>> {
  readonly ffi: Ffi;
  /**
   * 64 octets for the arguments of one call at a time. A block made for a single call could be collected before C
   * reads it: nothing but its address is in use by then.
   */
  readonly scratch: Block;
  /** errno of this thread's last failed call. Read it before anything else is called. */
  errno(): number;
  /** The error of the call that has just failed. */
  failure(syscall: string, subject?: string): SystemError;
  /** The index of a network interface, or 0 when there is none of this name. */
  interfaceIndex(name: string): number;
  /** The name of a network interface, or its index in decimal when it is gone. */
  interfaceName(index: number): string;
}

const ARCHITECTURES = ["x64", "arm64", "riscv64"];

/** libc through `ffi`, or `undefined` where this folder's layouts do not hold. Never throws. */
export const bindLibc = oncePerFfi((ffi): Libc | undefined => {
  if (process.platform !== "linux" || !ARCHITECTURES.includes(process.arch)) return undefined;
  try {
    const functions = ffi.open(null, SYMBOLS);
    return { ...functions, ...helpers(ffi, functions) };
  } catch {
    return undefined; // a C library without one of the symbols
  }
});

/** libc with further functions of its own: those that not everybody needs. */
export type LibcWith<Name extends string> = Libc & Readonly<Record<Name, CFunction>>;

/** As {@link bindLibc}, for {@link LibcWith}. */
export function bindLibcWith<Name extends string>(symbols: Record<Name, Signature>): (ffi: Ffi) => LibcWith<Name> | undefined {
  return oncePerFfi((ffi) => {
    const libc = bindLibc(ffi);
    if (!libc) return undefined;
    try {
      return { ...libc, ...ffi.open(null, symbols) };
    } catch {
      return undefined;
    }
  });
}

type Helpers = Pick<Libc, "ffi" | "scratch" | "errno" | "failure" | "interfaceIndex" | "interfaceName">;

/** IF_NAMESIZE of <net/if.h>, the closing NUL included. */
const INTERFACE_NAME_BYTES = 16;

function helpers(ffi: Ffi, c: Record<keyof typeof SYMBOLS, CFunction>): Helpers {
  const inner = new Block(ffi, 64);
  // errno lives at a fixed place per thread, and an instance of this module never leaves its thread. Copying it out
  // by memcpy works with every FFI, whatever means it has (or lacks) to look at foreign memory.
  const errnoAddress = c.__errno_location();

  const errno = (): number => {
    c.memcpy(inner.address, errnoAddress, 4);
    return inner.view.getInt32(0, true);
  };
  const failure = (syscall: string, subject?: string): SystemError => new SystemError(syscall, errno(), subject);

  const interfaceIndex = (name: string): number => {
    const octets = new TextEncoder().encode(name);
    if (octets.length === 0 || octets.length >= INTERFACE_NAME_BYTES || octets.includes(0)) return 0;
    inner.bytes.fill(0, 0, INTERFACE_NAME_BYTES).set(octets);
    return c.if_nametoindex(inner.address);
  };
  const interfaceName = (index: number): string => {
    inner.bytes.fill(0, 0, INTERFACE_NAME_BYTES);
    if (c.if_indextoname(index, inner.address) === 0) return String(index);
    const end = inner.bytes.indexOf(0);
    return new TextDecoder().decode(inner.bytes.subarray(0, end));
  };
  return { ffi, scratch: new Block(ffi, 64), errno, failure, interfaceIndex, interfaceName };
}
