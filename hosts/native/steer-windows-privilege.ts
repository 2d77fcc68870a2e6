// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Switch on a privilege that this process's token holds; Windows leaves most of them off until asked.
 *
 *     LUID             u32 low, i32 high
 *     TOKEN_PRIVILEGES u32 count, then for each: LUID, u32 attributes      16 octets for one
 *     PRIVILEGE_SET    u32 count, u32 control, then the same for each      20 octets for one
 *
 * Tested by tests/native/steering-windows.test.ts.
 *
 * @module
 */

import type { Ffi, Signature } from "./ffi.ts";
import { Block } from "./memory.ts";

const SYMBOLS = {
  OpenProcessToken: ["i32", "i64", "u32", "pointer"],
  LookupPrivilegeValueW: ["i32", "pointer", "pointer", "pointer"],
  AdjustTokenPrivileges: ["i32", "i64", "i32", "pointer", "u32", "pointer", "pointer"],
  PrivilegeCheck: ["i32", "i64", "pointer", "pointer"],
} as const satisfies Record<string, Signature>;

/** What GetCurrentProcess() returns; as a signed number it survives the way through a Number. */
const CURRENT_PROCESS = -1;
const TOKEN_QUERY = 0x0008;
const TOKEN_ADJUST_PRIVILEGES = 0x0020;
const SE_PRIVILEGE_ENABLED = 2;
const PRIVILEGE_SET_ALL_NECESSARY = 1;

/** Whether the privilege is on now. Throws only where the functions are missing. */
export function enablePrivilege(ffi: Ffi, name: string): boolean {
  const { OpenProcessToken, LookupPrivilegeValueW, ...token } = ffi.open("advapi32.dll", SYMBOLS);
  const { CloseHandle } = ffi.open("kernel32.dll", { CloseHandle: ["i32", "i64"] });

  const wide = new Block(ffi, (name.length + 1) * 2);
  for (let i = 0; i < name.length; i++) wide.view.setUint16(i * 2, name.charCodeAt(i), true);
  const luid = new Block(ffi, 8);
  if (LookupPrivilegeValueW(0, wide.address, luid.address) === 0) return false;

  const handle = new Block(ffi, 8);
  if (OpenProcessToken(CURRENT_PROCESS, TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, handle.address) === 0) return false;
  const open = Number(handle.view.getBigInt64(0, true));
  try {
    const wanted = new Block(ffi, 16);
    wanted.view.setUint32(0, 1, true);
    wanted.bytes.set(luid.bytes, 4);
    wanted.view.setUint32(12, SE_PRIVILEGE_ENABLED, true);
    // It succeeds also when the token does not hold the privilege, and tells so only by GetLastError, which the runtime
    // may have overwritten by the time it is asked. So the token is asked.
    if (token.AdjustTokenPrivileges(open, 0, wanted.address, 0, 0, 0) === 0) return false;
    return isEnabled(ffi, token.PrivilegeCheck, { open, luid });
  } finally {
    CloseHandle(open);
  }
}

function isEnabled(
  ffi: Ffi,
  privilegeCheck: (...args: number[]) => number,
  { open, luid }: { open: number; luid: Block },
): boolean {
  const set = new Block(ffi, 20);
  set.view.setUint32(0, 1, true);
  set.view.setUint32(4, PRIVILEGE_SET_ALL_NECESSARY, true);
  set.bytes.set(luid.bytes, 8);
  set.view.setUint32(16, SE_PRIVILEGE_ENABLED, true);
  const result = new Block(ffi, 4);
  return privilegeCheck(open, set.address, result.address) !== 0 && result.view.getInt32(0, true) !== 0;
}
