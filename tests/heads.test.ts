// SPDX-License-Identifier: MIT OR Apache-2.0
/** The heads of all files of code: the licence, and what the file is for; the tests that they name are there, and one is named. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const files = ["assembly", "hosts", "daemon", "dashboard", "cli", "build", "bench", "tests", "examples"].flatMap((folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /(?<!\.d)\.(ts|mjs|js)$/.test(entry.name))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => !file.includes("node_modules")),
);

/** What stands before the first code. */
function headOf(file: string): string {
  const text = readFileSync(path.join(ROOT, file), "utf8");
  return /^(?:#!.*\n)?(?:\s*\/\/.*\n|\s*\/\*[^]*?\*\/)+/.exec(text)?.[0] ?? "";
}

it("begin with the licence", () => {
  expect(files.length).toBeGreaterThan(500);
  expect(files.filter((file) => !/^(?:#!.*\n)?\/\/ SPDX-License-Identifier: MIT OR Apache-2\.0\n/.test(headOf(file)))).toEqual([]);
});

/** The tests that a head names, by their path, and whether each is there: beside the file, or from the root. */
function named(file: string): { readonly test: string; readonly exists: boolean }[] {
  return [...headOf(file).matchAll(/(?<![\w/.-])[\w/.-]+\.test\.ts\b/g)].map(([test]) => ({
    test,
    exists: [path.dirname(file), "."].some((folder) => existsSync(path.join(ROOT, folder, test))),
  }));
}

it("name tests that exist, beside the file or by their path", () => {
  const missing = files.flatMap((file) => named(file).filter(({ exists }) => !exists).map(({ test }) => `${file}: ${test}`));
  expect(missing).toEqual([]);
});

it("say where each file of what is shipped is tested, unless its test stands beside it under its name", () => {
  const shipped = files.filter((file) => /^(assembly|hosts|daemon|cli)\//.test(file) && !file.endsWith(".test.ts"));
  expect(shipped.length).toBeGreaterThan(400);
  const silent = shipped.filter((file) => named(file).length === 0 && !existsSync(path.join(ROOT, file.replace(/\.ts$/, ".test.ts"))));
  expect(silent).toEqual([]);
});
