// SPDX-License-Identifier: MIT OR Apache-2.0
/** The floors of docs/architecture.md: an import never runs upward, and what is neutral imports no runtime. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** From the ground up; what stands side by side has equal numbers and does not import each other, but for the hosts. */
const FLOORS: readonly (readonly [folder: string, floor: number])[] = [
  ["assembly", 0],
  ["hosts/common", 1],
  ["hosts/native", 2],
  ["hosts/", 3],
  ["daemon", 4],
  ["cli", 5],
  ["dashboard", 5],
];

interface Import {
  readonly from: string;
  readonly to: string;
}

const roomOf = (file: string) => FLOORS.find(([folder]) => file.startsWith(folder));
const files = ["hosts", "daemon", "cli", "dashboard"].flatMap((folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath ?? entry.path, entry.name))),
);
const imports: readonly Import[] = files.flatMap((from) =>
  [...readFileSync(path.join(ROOT, from), "utf8").matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, to = ""]) => ({ from, to: to.startsWith(".") ? path.normalize(path.join(path.dirname(from), to)) : to })),
);

it("an import never runs upward, nor from the command to the page or back", () => {
  expect(imports.length).toBeGreaterThan(800);
  const wrong = imports.filter(({ from, to }) => {
    const [here, there] = [roomOf(from), roomOf(to)];
    return here && there && (there[1] > here[1] || (there[1] === here[1] && there[0] !== here[0]));
  });
  expect(wrong).toEqual([]);
});

it("the page imports of a runtime nothing, and of the daemon types and what imports nothing itself", () => {
  const plain = (file: string) => !imports.some(({ from }) => from === file);
  const values = files.filter((file) => file.startsWith("dashboard")).flatMap((file) => [...readFileSync(path.join(ROOT, file), "utf8").matchAll(/^import (?!type)[^"]*"([^"]+)"/gm)].map(([, to = ""]) => to));
  expect(values.filter((to) => !to.startsWith("./") && to !== "uplot" && !(to.startsWith("../daemon/") && plain(to.slice(3))))).toEqual([]);
});
