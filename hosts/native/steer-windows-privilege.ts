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

/**
 * Where things are in one block. One, and used to the end, because a block of which only the address is left in use
 * may be collected before C reads it.
 */
const AT = { name: 0, luid: 64, token: 72, wanted: 80, set: 96, result: 116 } as const;
const LUID_BYTES = 8;

/** Whether the privilege is on now. Throws only where the functions are missing. */
export function enablePrivilege(ffi: Ffi, name: string): boolean {
  const c = ffi.open("advapi32.dll", SYMBOLS);
  const { CloseHandle } = ffi.open("kernel32.dll", { CloseHandle: ["i32", "i64"] });
  const { address, bytes, view } = new Block(ffi, 120);
  for (let i = 0; i < name.length; i++) view.setUint16(AT.name + i * 2, name.charCodeAt(i), true);
  if (c.LookupPrivilegeValueW(0, address + AT.name, address + AT.luid) === 0) return false;
  if (c.OpenProcessToken(CURRENT_PROCESS, TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, address + AT.token) === 0) return false;
  const token = Number(view.getBigInt64(AT.token, true));

  view.setUint32(AT.wanted, 1, true);
  bytes.copyWithin(AT.wanted + 4, AT.luid, AT.luid + LUID_BYTES);
  view.setUint32(AT.wanted + 12, SE_PRIVILEGE_ENABLED, true);
  view.setUint32(AT.set, 1, true);
  view.setUint32(AT.set + 4, PRIVILEGE_SET_ALL_NECESSARY, true);
  bytes.copyWithin(AT.set + 8, AT.luid, AT.luid + LUID_BYTES);
  view.setUint32(AT.set + 16, SE_PRIVILEGE_ENABLED, true);

  // Adjusting succeeds also when the token does not hold the privilege, and tells so only by GetLastError, which the
  // runtime may have overwritten by the time it is asked. So the token is asked.
  const asked =
    c.AdjustTokenPrivileges(token, 0, address + AT.wanted, 0, 0, 0) !== 0 &&
    c.PrivilegeCheck(token, address + AT.set, address + AT.result) !== 0;
  CloseHandle(token);
  return asked && view.getInt32(AT.result, true) !== 0;
}
