#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/** `npm run sim`: bundles the simulator and runs its report; arguments go to it (see tests/simulation/report.ts). */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { bundle } from "./run-source.mjs";
import { prepare } from "./prepare.mjs";

prepare();
const outfile = await bundle("tests/simulation/report.ts");
const { status } = spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = status ?? 1;
