// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Serial lines on Deno. Tested in tests/native/serial.test.ts.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";
import type { OpenSerial } from "../common/refclock/devices.ts";
import type { Ffi } from "../native/ffi.ts";
import { streamedLines } from "../native/streamed-line.ts";

interface DenoFiles {
  open(path: string, options: { read: boolean }): Promise<{ readonly readable: ReadableStream<Uint8Array> }>;
}

/** Serial lines whose octets are stamped by `clock`. */
export function serialLines(clock: HostClock, ffi: Ffi | undefined): OpenSerial {
  const { Deno: deno } = globalThis as unknown as { Deno: DenoFiles };
  return streamedLines(clock, ffi, async (path) => (await deno.open(path, { read: true })).readable);
}
