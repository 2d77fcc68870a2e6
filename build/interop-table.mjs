// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The table of docs/interop.md, made of facts (tests/interop/record.ts) and of vitest's report on the tests that told them.
 * Its test is tests/interop-table.test.ts.
 */
import path from "node:path";

const BEGIN = "<!-- interop:begin; written by npm run interop -->";
const END = "<!-- interop:end -->";

/** The facts of tests that passed: what a failed test wrote down before it failed proves nothing. */
export function proven(facts, { testResults }) {
  const tests = testResults.flatMap(({ name, assertionResults }) => assertionResults.map((test) => ({ ...test, file: path.relative(process.cwd(), name) })));
  const passed = new Set(tests.filter(({ status }) => status === "passed").map(({ file, fullName }) => `${file} ${fullName}`));
  return facts.filter(({ file, test }) => passed.has(`${file} ${test.replaceAll(" > ", " ")}`));
}

/** The table, the same for the same facts in any order. */
export function tableOf(facts) {
  const link = (file) => `[${path.basename(file, ".test.ts")}](../${file})`;
  const rows = facts.map(({ peer, version, role, what, reported, file }) => [`${peer} ${version}`, role, what, reported, link(file)].map(cell));
  const lines = [...new Set(rows.map((row) => `| ${row.join(" | ")} |`))].sort(byNumbersToo);
  return ["| program | it was our | what was tried | what it reported | test |", "|---|---|---|---|---|", ...lines].join("\n");
}

/** `text` with the table between its two marks. */
export function withTable(text, table) {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`expected ${BEGIN} and ${END} in docs/interop.md`);
  return `${before}${BEGIN}\n${table}\n${END}${after}`;
}

/** The rows of the table in `text`, cell by cell. */
export function rowsIn(text) {
  const table = text.split(BEGIN)[1]?.split(END)[0] ?? "";
  return table.trim().split("\n").slice(2).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((one) => one.trim().replaceAll("\\|", "|")));
}

const byNumbersToo = (a, b) => a.localeCompare(b, "en", { numeric: true }) || (a < b ? -1 : a > b ? 1 : 0);
const cell = (text) => text.replace(/\s+/g, " ").trim().replaceAll("|", "\\|");
