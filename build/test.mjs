#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `npm test`: install what is locked (the other runtimes, too), build everything, check the types, run every test.
 *
 * Names each skipped test and why, and ends with `N passed, N failed, N skipped`. With CI set, a skipped test is a failure:
 * there everything must be there. Further arguments go to vitest: `npm test -- hosts/common`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { installLocked, prepare } from "./prepare.mjs";

const REPORT = ".cache/tests.json";

prepare({ types: true });
installLocked("tests/runtimes");
const typesHold = run("node_modules/typescript/bin/tsc", ["--noEmit"]);

mkdirSync(".cache", { recursive: true });
rmSync(REPORT, { force: true });
const ran = run("node_modules/vitest/vitest.mjs", ["run", "--reporter=dot", "--reporter=json", `--outputFile.json=${REPORT}`, ...process.argv.slice(2)]);
const report = JSON.parse(readFileSync(REPORT, "utf8"));
const skipped = skippedTests(report);
for (const name of skipped) console.log(`SKIPPED  ${name}`);
if (skipped.length > 0) console.log("Some programs are missing here; npm run peers installs them (Debian, as root).");
// A test file that does not even load counts as a failed test.
const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")).length;
const failed = report.numFailedTests + broken + (typesHold ? 0 : 1);
if (!typesHold) console.log("FAILED  the types do not hold (npm run check)");
console.log(`${report.numPassedTests} passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = failed > 0 || !ran || (process.env.CI && skipped.length > 0) ? 1 : 0;

function run(script, args) {
  return spawnSync(process.execPath, [script, ...args], { stdio: "inherit" }).status === 0;
}

function skippedTests({ testResults }) {
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === "pending" || status === "skipped" || status === "todo").map(({ fullName }) => fullName),
  );
}
