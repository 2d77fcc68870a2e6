// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The functions of libc that the server's fast path needs beside those of libc.ts: whole batches in one call.
 *
 * @module
 */

import type { CFunction, Ffi, Signature } from "./ffi.ts";
import { bindLibc, type Libc } from "./libc.ts";

const SYMBOLS = {
  recvmmsg: ["i32", "i32", "pointer", "u32", "i32", "pointer"],
  sendmmsg: ["i32", "i32", "pointer", "u32", "i32"],
  sendmsg: ["i64", "i32", "pointer", "i32"],
  poll: ["i32", "pointer", "usize", "i32"],
} as const satisfies Record<string, Signature>;

export interface ServerLibc extends Libc, Readonly<Record<keyof typeof SYMBOLS, CFunction>> {}

/** As {@link bindLibc}: undefined where the layouts do not hold. Never throws. */
export function bindServerLibc(ffi: Ffi): ServerLibc | undefined {
  const libc = bindLibc(ffi);
  if (!libc) return undefined;
  try {
    return { ...libc, ...ffi.open(null, SYMBOLS) };
  } catch {
    return undefined;
  }
}
