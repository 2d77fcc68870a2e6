// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A serial line that the runtime reads as a web stream (Deno, Bun). Tested in tests/native/serial.test.ts.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";
import type { Device, OpenSerial } from "../common/refclock/devices.ts";
import type { Ffi } from "./ffi.ts";
import { prepareLine } from "./line.ts";

/** How the runtime opens a line: a stream of its octets. */
export type StreamOf = (path: string) => Promise<ReadableStream<Uint8Array>>;

export function streamedLines(clock: HostClock, ffi: Ffi | undefined, streamOf: StreamOf): OpenSerial {
  return async (options, { onData, onEnd }): Promise<Device> => {
    const line = await prepareLine(ffi, options);
    let over = false;
    const finish = (error?: Error) => {
      if (over) return;
      over = true;
      line.close();
      onEnd(error);
    };
    try {
      const reader = (await streamOf(options.path)).getReader();
      const read = async () => {
        for (let piece = await reader.read(); !piece.done && !over; piece = await reader.read()) onData(piece.value, clock.now());
      };
      read().then(() => finish(), finish);
      return {
        close() {
          if (over) return;
          over = true;
          line.close();
          // A stream that fails while it is cancelled was on its way out.
          reader.cancel().catch(() => {});
        },
      };
    } catch (error) {
      over = true;
      line.close();
      throw error;
    }
  };
}
