// SPDX-License-Identifier: MIT OR Apache-2.0
/** The table of docs/interop.md: how it is made, and that it names only tests that exist and facts that they record. */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Fact } from "./interop/record.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Report {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[] }[];
}

interface Table {
  proven(facts: readonly Fact[], report: Report): Fact[];
  tableOf(facts: readonly Fact[]): string;
  withTable(text: string, table: string): string;
  rowsIn(text: string): string[][];
}

const { proven, tableOf, withTable, rowsIn } = (await import(join(ROOT, "build/interop-table.mjs"))) as Table;

const FACT: Fact = { peer: "chronyd", version: "4.3", role: "client", what: "follow us", reported: "^* | fine", file: "tests/interop/a.test.ts", test: "chronyd > follows us" };
const DOCUMENT = "# Title\n<!-- interop:begin; written by npm run interop -->\nold\n<!-- interop:end -->\nrest\n";

describe("the table that npm run interop writes", () => {
  it("is the same for the same facts in any order, each once, and numbers are ordered as numbers", () => {
    const facts = [{ ...FACT, version: "4.10" }, FACT, { ...FACT, peer: "ntpd-rs" }, FACT];
    expect(tableOf(facts)).toBe(tableOf([...facts].reverse()));
    const rows = rowsIn(withTable(DOCUMENT, tableOf(facts)));
    expect(rows.map(([program]) => program)).toEqual(["chronyd 4.3", "chronyd 4.10", "ntpd-rs 4.3"]);
    expect(rows[0]).toEqual(["chronyd 4.3", "client", "follow us", "^* | fine", "[a](../tests/interop/a.test.ts)"]);
  });

  it("replaces what stands between its marks and nothing else, and is refused where they are missing", () => {
    const once = withTable(DOCUMENT, "new");
    expect(once).toBe(DOCUMENT.replace("old", "new"));
    expect(withTable(once, "new")).toBe(once);
    expect(() => withTable("# Title\n", "new")).toThrow(/interop:begin/);
  });

  it("leaves out what a test wrote down that then failed or was not run", () => {
    const report = (status: string) => ({ testResults: [{ name: resolve(FACT.file), assertionResults: [{ fullName: "chronyd follows us", status }] }] });
    expect(proven([FACT], report("passed"))).toEqual([FACT]);
    expect(proven([FACT], report("failed"))).toEqual([]);
    expect(proven([{ ...FACT, test: "chronyd > another" }], report("passed"))).toEqual([]);
  });

  it("stands in docs/interop.md and says only what a test there records", () => {
    const rows = rowsIn(readFileSync(join(ROOT, "docs/interop.md"), "utf8"));
    expect(rows.length).toBeGreaterThan(20);
    const unfounded = rows.filter(([, role = "", what = "", , test = ""]) => !recorded(/\]\(\.\.\/(.*)\)/.exec(test)?.[1] ?? "", role, what));
    expect(unfounded).toEqual([]);
  });
});

/** Whether a test in `file` calls record() with this role and these words; those in a template are whatever they are. */
function recorded(file: string, role: string, what: string): boolean {
  const source = readFileSync(join(ROOT, file), "utf8");
  const calls = [...source.matchAll(/\brecord\([^,]+, "([^"]+)", (?:"([^"]*)"|`((?:[^`\\]|\\.)*)`)/g)];
  return calls.some(([, at, plain, template]) => at === role && (plain === what || (template !== undefined && fits(template.replaceAll("\\`", "`"), what))));
}

function fits(template: string, text: string): boolean {
  const literals = template.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^$()|[\]{}\\]/g, "\\$&"));
  return new RegExp(`^${literals.join(".+")}$`).test(text);
}
