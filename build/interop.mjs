#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `npm run interop`: runs tests/interop, where every program must be there (npm run peers, root), and writes what the
 * programs reported into docs/interop.md. With arguments for vitest (`npm run interop -- tests/interop/wire.test.ts`) it
 * runs only those tests and prints their part of the table. Nothing is written when a test fails.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { proven, tableOf, withTable } from "./interop-table.mjs";
import { prepare } from "./prepare.mjs";

const REPORT = ".cache/interop.json";
const FACTS = ".cache/interop-facts.jsonl";
const DOCUMENT = "docs/interop.md";

prepare();
mkdirSync(".cache", { recursive: true });
for (const file of [REPORT, FACTS]) rmSync(file, { force: true });
const chosen = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "--reporter=dot", "--reporter=json", `--outputFile.json=${REPORT}`, ...(chosen.length > 0 ? chosen : ["tests/interop"])],
  { stdio: "inherit", env: { ...process.env, REQUIRE_PEERS: "1", INTEROP_FACTS: FACTS } },
);
const facts = existsSync(FACTS) ? readFileSync(FACTS, "utf8").trim().split("\n").map((line) => JSON.parse(line)) : [];
const report = existsSync(REPORT) ? JSON.parse(readFileSync(REPORT, "utf8")) : { testResults: [] };
const table = tableOf(proven(facts, report));
if (status !== 0) {
  console.error(`escapement: a test failed; ${DOCUMENT} is left as it is`);
  process.exitCode = 1;
} else if (chosen.length > 0) console.log(table);
else writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, "utf8"), table));
