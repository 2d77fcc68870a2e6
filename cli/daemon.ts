// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement daemon --config FILE`: keeps the clock, in the foreground, until a signal. Tested in daemon/daemon.test.ts.
 *
 * @module
 */

import process from "node:process";
import { ConfigError, loadConfig } from "../daemon/config.ts";
import { runDaemon } from "../daemon/daemon.ts";
import { UsageError, command } from "./usage.ts";

const HELP = `usage: escapement daemon --config FILE [OPTION...]

Follow the sources of a configuration and steer the clock by them, in the foreground, until SIGTERM, SIGINT or SIGHUP. The
log goes to standard error. "escapement tracking", "sources" and "sourcestats" show what it knows.

  --config FILE  the configuration (docs/daemon.md); "escapement check FILE" validates it
  --help         this text`;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What we make is for owner and group; files for others say so themselves. */
const UMASK = 0o027;

export const run = command(HELP, { config: { type: "string" } } as const, async ({ values, positionals }) => {
  if (values.config === undefined || positionals.length > 0) {
    throw new UsageError(`daemon: expected --config FILE and nothing else, got ${positionals[0] === undefined ? "no --config" : `"${positionals[0]}"`}`);
  }
  const config = await loadConfig(values.config).catch((error: unknown) => {
    if (error instanceof ConfigError) throw new Error(`expected a configuration without errors, got\n${error.message}`, { cause: error });
    throw new Error(`${values.config} could not be read: ${(error as Error).message}`, { cause: error });
  });
  process.umask(UMASK);
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    await runDaemon(config, stopping.signal);
    return 0;
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
});
