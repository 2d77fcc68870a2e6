// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Stop being root once the sockets are bound: another user for the whole process, no way back, and of all capabilities at most
 * the one to set the clock.
 *
 * setuid and its kin go through libc, which changes all threads of the process; the bare system call would change one and
 * leave the others root. Capabilities and "no new privileges" are the calling thread's and of those that it starts later:
 * where the clock's capability is kept, only this thread has it, and the others have none.
 *
 *     capset: header (8)                         data, twice (12 each): bits 0..31, then 32..63
 *      0  u32  version 3 (0x20080522)             0  u32  effective
 *      4  i32  thread, 0 for this one             4  u32  permitted
 *                                                 8  u32  inheritable
 *     passwd: 16 u32 user, 20 u32 group
 *
 * Refuses to go on half done: whatever fails, throws, and the caller MUST end the process. Tested in
 * tests/server/privileges.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { CFunction, Ffi, Signature } from "./ffi.ts";
import { bindLibc, type Libc } from "./libc.ts";
import { Block } from "./memory.ts";

const SYMBOLS = {
  getpwnam: ["pointer", "pointer"],
  setgroups: ["i32", "usize", "pointer"],
  setgid: ["i32", "u32"],
  setuid: ["i32", "u32"],
  capset: ["i32", "pointer", "pointer"],
  // Variadic in C; on Linux x64, arm64 and riscv64 whole numbers are passed alike.
  prctl: ["i32", "i32", "u64", "u64", "u64", "u64"],
} as const satisfies Record<string, Signature>;
type Functions = Record<keyof typeof SYMBOLS, CFunction>;

const PR_SET_KEEPCAPS = 8;
const PR_SET_NO_NEW_PRIVS = 38;
const CAPABILITY_VERSION = 0x20080522;
const CAP_SYS_TIME = 25;

export interface PrivilegePlan {
  /** The name of the user to become; its group becomes the only group. */
  readonly user: string;
  /** Keep the right to set the clock, for the calling thread. */
  readonly keepClock?: boolean;
}

/** Become `user`. @throws {NtpError} `UNSUPPORTED`, `INVALID_ARGUMENT`; after anything else the process MUST end */
export function dropPrivileges(ffi: Ffi, { user, keepClock = false }: PrivilegePlan): void {
  const libc = bindLibc(ffi);
  const c = libc && bind(ffi);
  if (!libc || !c) throw new NtpError("UNSUPPORTED", "dropping privileges needs Linux and FFI");
  const { uid, gid } = lookUp(libc, c, user);
  if (uid === 0) throw new NtpError("INVALID_ARGUMENT", `expected a user without privileges, got "${user}", who is root`);
  const must = (call: string, result: number) => {
    if (result !== 0) throw libc.failure(call, `to become ${user}; only root can`);
  };
  const group = new Block(ffi, 8);
  group.view.setUint32(0, gid, true);
  must("setgroups", c.setgroups(1, group.address));
  must("setgid", c.setgid(gid));
  if (keepClock) must("prctl", c.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  must("setuid", c.setuid(uid));
  must("capset", setCapabilities(ffi, c, keepClock ? 2 ** CAP_SYS_TIME : 0));
  must("prctl", c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  // The proof: nobody who could go back may go on.
  if (c.setuid(0) === 0 || c.setgid(0) === 0) throw new NtpError("UNSUPPORTED", "the privileges of root came back after they were dropped");
}

function bind(ffi: Ffi): Functions | undefined {
  try {
    return ffi.open(null, SYMBOLS);
  } catch {
    return undefined;
  }
}

function lookUp(libc: Libc, c: Functions, user: string): { uid: number; gid: number } {
  const name = new TextEncoder().encode(`${user}\0`);
  const block = new Block(libc.ffi, name.length + 8);
  block.bytes.set(name);
  const entry = user === "" || user.includes("\0") ? 0 : c.getpwnam(block.address);
  if (entry === 0) throw new NtpError("INVALID_ARGUMENT", `expected the name of a user of this system, got "${user}"`);
  libc.memcpy(libc.scratch.address, entry + 16, 8);
  return { uid: libc.scratch.view.getUint32(0, true), gid: libc.scratch.view.getUint32(4, true) };
}

function setCapabilities(ffi: Ffi, c: Functions, low: number): number {
  const block = new Block(ffi, 32);
  block.view.setUint32(0, CAPABILITY_VERSION, true);
  block.view.setUint32(8, low, true);
  block.view.setUint32(12, low, true);
  return c.capset(block.address, block.address + 8);
}
