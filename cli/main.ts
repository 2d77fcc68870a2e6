#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The `escapement` command: picks the subcommand, turns errors into a message and an exit status.
 *
 * Exit status: 0 done, 1 it did not work out (no usable answer, a port that is taken, output that cannot be written), 2 wrong
 * usage, 141 the reader of its output has left. Tested in usage.test.ts and command.test.ts.
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { guardOutput } from "./output.ts";
import { UsageError, type Command } from "./usage.ts";

const COMMANDS: Record<string, { summary: string; load: () => Promise<{ run: Command }> }> = {
  query: { summary: "ask servers for the time and judge their answers", load: () => import("./query.ts") },
  serve: { summary: "answer NTP requests in the foreground", load: () => import("./serve.ts") },
  relay: { summary: "carry requests for the time out of WebSockets, for browsers and Workers", load: () => import("./relay.ts") },
  roughtime: { summary: "find the time that Roughtime servers of a list agree on, and who lies", load: () => import("./roughtime.ts") },
  "roughtime-key": { summary: "make the keys of a Roughtime server", load: () => import("./roughtime-key.ts") },
  daemon: { summary: "keep the clock by the sources of a configuration", load: () => import("./daemon.ts") },
  check: { summary: "check a configuration of the daemon", load: () => import("./check.ts") },
  tracking: { summary: "show how the daemon knows the clock", load: () => import("./tracking.ts") },
  sources: { summary: "show whom the daemon follows", load: () => import("./sources.ts") },
  sourcestats: { summary: "show what the samples of each source say", load: () => import("./sourcestats.ts") },
  serverstats: { summary: "show what became of the requests to the daemon's server", load: () => import("./serverstats.ts") },
  clients: { summary: "show who asks the daemon's server", load: () => import("./clients.ts") },
  demo: { summary: "several servers on loopback, one of them lying, and a client that finds the truth", load: () => import("./demo.ts") },
};

const HELP = `usage: escapement COMMAND [OPTION...]
       escapement --version

${Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(13)} ${summary}`).join("\n")}

escapement COMMAND --help tells more.`;

/** Of the package that this file is in. */
async function version(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function main([name, ...args]: string[]): Promise<number> {
  const [subject] = args;
  if (name === "help" && subject !== undefined) return main([subject, "--help"]);
  if (name === "--help" || name === "-h" || name === "help") {
    console.log(HELP);
    return 0;
  }
  if (name === "--version" || name === "-V") {
    console.log(await version());
    return 0;
  }
  const command = name === undefined ? undefined : Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    console.error(`escapement: expected a command, got ${name === undefined ? "none" : `"${name}"`}\n\n${HELP}`);
    return 2;
  }
  const { run } = await command.load();
  return run(args);
}

guardOutput();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`escapement: ${error.message}`);
  process.exitCode = error instanceof UsageError || (error as { code?: unknown }).code === "INVALID_ARGUMENT" ? 2 : 1;
}
