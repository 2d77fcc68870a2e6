// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `escapement check FILE`: is this a configuration that the daemon would take?
 *
 * @module
 */

import { ConfigError, loadConfig } from "../daemon/config.ts";
import { UsageError, parse } from "./usage.ts";

const HELP = `usage: escapement check FILE [OPTION...]

Check a configuration of the daemon. Prints "FILE: ok", or every error with its line and column on standard error.
Exit status 0: it is right; 1: it is not, or cannot be read; 2: wrong usage.

  --json  print {"file", "ok", "problems": [{"line", "column", "key", "message"}]} on standard output instead
  --help  this text`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, { json: { type: "boolean" } } as const);
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new UsageError(`check: expected one FILE, got ${positionals.length}`);
  try {
    await loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw new Error(`${file} could not be read: ${(error as Error).message}`, { cause: error });
    if (values.json) console.log(JSON.stringify({ file, ok: false, problems: error.problems }));
    else console.error(error.message);
    return 1;
  }
  console.log(values.json ? JSON.stringify({ file, ok: true, problems: [] }) : `${file}: ok`);
  return 0;
}
