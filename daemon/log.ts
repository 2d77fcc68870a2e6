// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon's log: lines on standard error, for journald with its priorities, for others with the time.
 *
 * What the network can bring about without limit MUST be logged as "debug". Tested in daemon.test.ts.
 *
 * @module
 */

import process from "node:process";
import type { LogLevel } from "./config.ts";

/** Least important last; the number is syslog's. */
const PRIORITY: Record<LogLevel, number> = { error: 3, warning: 4, info: 6, debug: 7 };

export type Log = (level: LogLevel, message: string) => void;

/** A log of what is at least as important as `least`. */
export function openLog(least: LogLevel, write: (line: string) => void = (line) => void process.stderr.write(line)): Log {
  // systemd sets it for services whose standard error is the journal, which has the time by itself.
  const journal = process.env["JOURNAL_STREAM"] !== undefined;
  return (level, message) => {
    if (PRIORITY[level] > PRIORITY[least]) return;
    write(journal ? `<${PRIORITY[level]}>${message}\n` : `${new Date().toISOString()} ${level}: ${message}\n`);
  };
}
