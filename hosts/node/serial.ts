// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Serial lines on Node: its own terminal stream, which the event loop wakes as octets come.
 * Tested in tests/native/serial.test.ts.
 *
 * @module
 */

import { close, constants, open } from "node:fs";
import { ReadStream, isatty } from "node:tty";
import { promisify } from "node:util";
import type { HostClock } from "../common/host.ts";
import type { OpenSerial } from "../common/refclock/devices.ts";
import { NtpError } from "../common/errors.ts";
import type { Ffi } from "../native/ffi.ts";
import { prepareLine } from "../native/line.ts";

/** Serial lines whose octets are stamped by `clock`. */
export function serialLines(clock: HostClock, ffi: Ffi | undefined): OpenSerial {
  return async (options, { onData, onEnd }) => {
    // Not to wait for a carrier, and not to become our terminal.
    const fd = await promisify(open)(options.path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
    if (!isatty(fd)) {
      await promisify(close)(fd);
      throw new NtpError("SOCKET", `expected a serial line, got ${options.path}, which is none`);
    }
    const line = await prepareLine(ffi, options).catch(async (error: unknown) => {
      await promisify(close)(fd);
      throw error;
    });
    const stream = new ReadStream(fd);
    let over = false;
    const end = (error?: Error) => {
      if (over) return;
      over = true;
      stream.destroy();
      line.close();
      onEnd(error);
    };
    stream.on("data", (data: Uint8Array) => {
      if (!over) onData(data, clock.now());
    });
    stream.on("error", end);
    stream.on("close", () => end());
    return {
      close() {
        over = true;
        stream.destroy();
        line.close();
      },
    };
  };
}
