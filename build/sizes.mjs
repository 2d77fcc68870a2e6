// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The golden size report: what a user downloads, in octets plain and gzipped, against build/sizes.json.
 *
 * A file that grew or shrank by more than the tolerance fails a test until somebody has looked at it and accepted the new
 * size with `node build/build.mjs --golden`.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

const GOLDEN = "build/sizes.json";
/** Compilers of equal version give equal bytes; this only leaves room for small daily changes. */
const TOLERANCE = 0.02;

/** An entry and all the chunks that it imports, statically or not. */
function closure(entry, seen = new Set()) {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const source = readFileSync(entry, "utf8");
  for (const [, target] of source.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.js)"/g)) {
    closure(path.join(path.dirname(entry), target), seen);
  }
  return seen;
}

function measure(files) {
  const bytes = Buffer.concat(files.map((file) => readFileSync(file)));
  return { octets: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
}

/** Sizes by name. */
export function sizes() {
  const report = { "core.wasm": measure(["dist/core.wasm"]), "wasm/base64.js": measure(["dist/wasm/base64.js"]) };
  for (const name of ["node/index", "deno/index", "bun/index", "core/index", "cli/main"]) {
    report[`${name}.js with its chunks`] = measure([...closure(`dist/${name}.js`)]);
  }
  report["dist in all"] = { octets: total("dist") };
  return report;
}

function total(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".js"))
    .reduce((sum, entry) => sum + readFileSync(path.join(entry.parentPath ?? entry.path, entry.name)).length, 0);
}

export function printSizes() {
  for (const [name, { octets, gzip }] of Object.entries(sizes())) {
    console.log(`${name.padEnd(36)} ${String(octets).padStart(8)} octets${gzip ? `  ${String(gzip).padStart(7)} gzipped` : ""}`);
  }
}

/** Make today's sizes the golden ones. */
export function acceptSizes() {
  writeFileSync(GOLDEN, `${JSON.stringify(sizes(), null, 2)}\n`);
}

/** What differs from the golden sizes by more than the tolerance, a line each. */
export function changedSizes() {
  const golden = JSON.parse(readFileSync(GOLDEN, "utf8"));
  const now = sizes();
  return Object.keys({ ...golden, ...now })
    .filter((name) => {
      const [was, is] = [golden[name]?.octets, now[name]?.octets];
      return was === undefined || is === undefined || Math.abs(is - was) > was * TOLERANCE;
    })
    .map((name) => `${name}: ${golden[name]?.octets} → ${now[name]?.octets} octets`);
}
