// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The signals of a command that runs in the foreground: what ends it, and SIGHUP, on which it reads its files anew. Tested in
 * command.test.ts and roughtime.test.ts.
 *
 * @module
 */

import process from "node:process";

const ENDING = ["SIGINT", "SIGTERM"] as const;

/** Resolves when the command is to end. MUST be called before it announces itself: who reads that may send the signal at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of ENDING) process.off(signal, stop);
      resolve();
    };
    for (const signal of ENDING) process.on(signal, stop);
  });
}

/** Call `renew` on each SIGHUP, until the returned function is called. */
export function onHangup(renew: () => void): () => void {
  process.on("SIGHUP", renew);
  return () => void process.off("SIGHUP", renew);
}
