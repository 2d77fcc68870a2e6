// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A receiver on a serial line: a pair of pseudo-terminals, and sentences written to one of them as seconds begin.
 *
 * @module
 */

import { closeSync, constants, existsSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { burst } from "./nmea.ts";
import { Peer, eventually, freshDirectory } from "./peers.ts";

export interface Line extends AsyncDisposable {
  /** The end to read from. */
  readonly path: string;
  /** Write to the other end. */
  write(text: string | Uint8Array): void;
  /** Take the receiver away. */
  unplug(): Promise<void>;
}

/** A line by socat. `directory`: where its ends are linked. */
export async function openLine(directory: string = freshDirectory(), name = "gps"): Promise<Line> {
  const [path, far] = [join(directory, name), join(directory, `${name}.far`)];
  const socat = new Peer("socat", [`pty,raw,echo=0,link=${path}`, `pty,raw,echo=0,link=${far}`]);
  await eventually("socat to make the line", () => existsSync(path) && existsSync(far) ? true : undefined, socat);
  const fd = openSync(far, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  let open = true;
  const unplug = async () => {
    if (open) closeSync(fd);
    open = false;
    await socat.stop();
  };
  return {
    path,
    write(text) {
      if (!open) return;
      try {
        writeSync(fd, typeof text === "string" ? Buffer.from(text) : text);
      } catch {
        // Nobody reads: a receiver does not care.
      }
    },
    unplug,
    [Symbol.asyncDispose]: unplug,
  };
}

/** Call `act` in every second, `late` s after it began, with its beginning in ms. */
export function everySecond(late: number, act: (ms: number) => void): Disposable {
  let timer: ReturnType<typeof setTimeout>;
  const schedule = () => {
    const next = Math.floor((Date.now() - late * 1000) / 1000) * 1000 + 1000;
    timer = setTimeout(() => {
      act(next);
      schedule();
    }, Math.max(0, next + late * 1000 - Date.now()));
  };
  schedule();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** A receiver that tells each second `late` s after it began. `shift`: what it is wrong by, ms. */
export function receiver(lines: readonly Line[], late = 0.1, shift: () => number = () => 0): Disposable {
  return everySecond(late, (ms) => {
    for (const line of lines) line.write(burst(ms + shift(), ["RMC", "GGA", "GSA"]));
  });
}
