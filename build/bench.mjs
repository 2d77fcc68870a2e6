#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/** `npm run bench [-- NAME… --OPTION=VALUE…]`: bundles bench/NAME.ts from the sources and runs it on this Node. Without a name, all. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { prepare } from "./prepare.mjs";
import { bundle } from "./run-source.mjs";

const BENCHES = ["core", "crypto", "nts-core", "discipline", "latency", "daemon", "ke", "tls", "roughtime", "server"];

prepare();
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
/** `--NAME=VALUE` is for the benches. */
const options = process.argv.slice(2).filter((word) => word.startsWith("--"));
for (const name of wanted.length > 0 ? wanted : BENCHES) {
  const source = `bench/${name}.ts`;
  if (!existsSync(source)) {
    console.error(`bench: expected one of ${BENCHES.join(", ")}, got "${name}"`);
    process.exit(2);
  }
  const outfile = await bundle(source);
  const { status } = spawnSync(process.execPath, [outfile, ...options], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
