// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Where a command's output goes, when it cannot be written: a reader that has left (`| head`) ends the command quietly, a full
 * disk with a message; neither with exit status 0, as what was asked for did not get there. And what is said beside the output.
 * Tested in output.test.ts.
 *
 * @module
 */

import process from "node:process";

/** What a shell reports of a program that SIGPIPE ended; runtimes ignore that signal and get EPIPE instead. */
const READER_LEFT = 141;
const NOT_WRITTEN = 1;

/** Something that whoever runs the command should know, though it goes on. */
export function warn(message: string): void {
  console.error(`escapement: ${message}`);
}

/** Call once, before anything is written. */
export function guardOutput(): void {
  // Messages that nobody reads any more MUST NOT end a daemon.
  process.stderr.on("error", () => {});
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(READER_LEFT);
    console.error(`escapement: expected to write to standard output, got ${error.message}`);
    process.exit(NOT_WRITTEN);
  });
}
