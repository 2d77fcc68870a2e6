// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The functions of libc that the server's fast path needs beside those of libc.ts: whole batches in one call.
 * Tested in tests/server/native.test.ts.
 *
 * @module
 */

import type { Signature } from "./ffi.ts";
import { bindLibcWith, type LibcWith } from "./libc.ts";

const SYMBOLS = {
  recvmmsg: ["i32", "i32", "pointer", "u32", "i32", "pointer"],
  sendmmsg: ["i32", "i32", "pointer", "u32", "i32"],
  sendmsg: ["i64", "i32", "pointer", "i32"],
  poll: ["i32", "pointer", "usize", "i32"],
} as const satisfies Record<string, Signature>;

export type ServerLibc = LibcWith<keyof typeof SYMBOLS>;

/** As {@link bindLibc}: undefined where the layouts do not hold. Never throws. */
export const bindServerLibc = bindLibcWith(SYMBOLS);
