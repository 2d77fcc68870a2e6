// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A serial line made ready for the runtime's own stream: by termios through FFI, else by the command `stty`.
 *
 * Tested by tests/native/serial.test.ts.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { NtpError } from "../common/errors.ts";
import type { Device, SerialOptions } from "../common/refclock/devices.ts";
import { bindDevices, kernelLayer } from "./device.ts";
import type { Ffi } from "./ffi.ts";
import { configureLine } from "./termios.ts";

/** Make the line raw and set its speed. @throws the system's error, or what `stty` said. */
export async function prepareLine(ffi: Ffi | undefined, { path, baud }: SerialOptions): Promise<Device> {
  const libc = ffi && bindDevices(ffi);
  if (libc) return configureLine(kernelLayer(libc), path, baud);
  await stty(path, baud);
  return { close() {} };
}

/** POSIX's command, with GNU's -F or BSD's -f. It refuses speeds that have no code of their own. */
function stty(path: string, baud: number | undefined): Promise<void> {
  const file = process.platform === "linux" ? "-F" : "-f";
  const settings = ["raw", "-echo", "cs8", "-parenb", "-cstopb", "clocal", "cread", ...(baud === undefined ? [] : [String(baud)])];
  return new Promise((resolve, reject) => {
    execFile("stty", [file, path, ...settings], { timeout: 5000 }, (error, _stdout, stderr) => {
      if (!error) return resolve();
      const said = stderr.trim() || error.message;
      reject(new NtpError("SOCKET", `expected stty to set up ${path}, got: ${said}; install koffi for speeds that it does not know`, { cause: error }));
    });
  });
}
