// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement check FILE`: is this a configuration that the daemon would take?
 * Tested in daemon/daemon.test.ts and output.test.ts.
 *
 * @module
 */

import { ConfigError, loadConfig, type ConfigProblem } from "../daemon/config.ts";
import { UsageError, command } from "./usage.ts";

const HELP = `usage: escapement check FILE [OPTION...]

Check a configuration of the daemon. Prints "FILE: ok", or every error with its line and column on standard error.
Exit status 0: it is right; 1: it is not, or cannot be read; 2: wrong usage.

  --json  print {"file", "ok", "problems": [{"line", "column", "key", "message"}]} on standard output instead
  --help  this text`;

export const run = command(HELP, { json: { type: "boolean" } } as const, async ({ values, positionals }) => {
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError(`check: expected one FILE, got ${positionals.length}`);
  try {
    await loadConfig(file);
  } catch (error) {
    const message = error instanceof ConfigError ? error.message : `escapement: ${file} could not be read: ${(error as Error).message}`;
    if (values.json) console.log(JSON.stringify({ file, ok: false, problems: problemsOf(error as Error) }));
    else console.error(message);
    return 1;
  }
  console.log(values.json ? JSON.stringify({ file, ok: true, problems: [] }) : `${file}: ok`);
  return 0;
});

/** A file that cannot be read has one problem, and no better place for it than its beginning. */
function problemsOf(error: Error): readonly ConfigProblem[] {
  return error instanceof ConfigError ? error.problems : [{ line: 1, column: 1, key: "", message: `could not be read: ${error.message}` }];
}
