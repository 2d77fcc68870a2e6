// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Serial lines on Bun. Its node:tty streams end with EAGAIN on a line without data (1.3); its own do not.
 * Tested in tests/native/serial.test.ts.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";
import type { OpenSerial } from "../common/refclock/devices.ts";
import type { Ffi } from "../native/ffi.ts";
import { streamedLines } from "../native/streamed-line.ts";

interface BunFiles {
  file(path: string): { stream(): ReadableStream<Uint8Array> };
}

/** Serial lines whose octets are stamped by `clock`. */
export function serialLines(clock: HostClock, ffi: Ffi | undefined): OpenSerial {
  const { Bun: bun } = globalThis as unknown as { Bun: BunFiles };
  return streamedLines(clock, ffi, (path) => Promise.resolve(bun.file(path).stream()));
}
