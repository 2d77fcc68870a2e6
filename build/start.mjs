#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/** `npm start`: install what is locked, build what is stale, run the demo with the given arguments. */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { prepare } from "./prepare.mjs";

prepare();
const { status } = spawnSync(process.execPath, ["dist/cli/main.js", "demo", ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = status ?? 1;
