// SPDX-License-Identifier: MIT OR Apache-2.0
/** The heads of all files of code: the licence, and what the file is for; the tests that they name are there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const files = ["assembly", "hosts", "daemon", "cli", "build", "bench", "tests", "examples"].flatMap((folder) =>
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

it("name tests that exist, beside the file or by their path", () => {
  const missing = files.flatMap((file) =>
    [...headOf(file).matchAll(/(?<![\w/.-])[\w/.-]+\.test\.ts\b/g)]
      .filter(([test]) => ![path.dirname(file), "."].some((folder) => existsSync(path.join(ROOT, folder, test))))
      .map(([test]) => `${file}: ${test}`),
  );
  expect(missing).toEqual([]);
});
