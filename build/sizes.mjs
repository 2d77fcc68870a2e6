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

/**
 * What a page loads, gzipped octets at most; a test holds them (tests/browser/sizes.test.ts), docs/browser.md tells them. 1 KB
 * is 1024 octets here.
 */
export const PAGE_BUDGETS = {
  "browser: now()": 2048,
  "browser: startClock(), scripts": 4_620,
  "browser: startClock(), its core": 7_640,
  "browser: startClock()": 12 * 1024,
  "browser: NTS beside index.js": 45 * 1024,
  "browser: NTS from nothing": 49_000,
  "browser: clock over NTS beside NTS": 33 * 1024,
  "browser: clock over NTS from nothing": 67 * 1024,
  "browser: clock over NTS, its core": 20 * 1024,
};

/** An entry and the chunks that it imports at once; what it imports when needed is not of them. */
function statically(entries, seen = new Set()) {
  for (const entry of entries) {
    if (seen.has(entry)) continue;
    seen.add(entry);
    const source = readFileSync(entry, "utf8");
    const targets = [...source.matchAll(/(?:from|import)\s*"(\.[^"]+\.js)"/g)].map(([, target]) => path.join(path.dirname(entry), target));
    statically(targets, seen);
  }
  return seen;
}

/** Each file is compressed by itself, as it travels. */
function travelling(files) {
  const all = [...files].map((file) => measure([file]));
  return { octets: all.reduce((sum, { octets }) => sum + octets, 0), gzip: all.reduce((sum, { gzip }) => sum + gzip, 0) };
}

/**
 * What a page loads for each rung. "NTS beside index.js" is what comes over the network when a page first asks by NTS, its
 * WebAssembly with it; Ed25519, ChaCha20-Poly1305, and X25519 where WebCrypto has none, are loaded when they are met.
 */
export function pageSizes() {
  const folder = "dist/browser";
  const file = (name) => path.join(folder, name);
  const chunk = (name) => file(readdirSync(folder).find((one) => one.startsWith(`${name}-`) && one.endsWith(".js")) ?? `${name}: missing`);
  const index = statically([file("index.js")]);
  const clock = statically([file("index.js"), chunk("pageclock")]);
  const nts = [...statically([file("index.js"), chunk("questions")]), file("query.wasm")];
  const followed = [...statically([file("index.js"), chunk("following"), chunk("questions")]), file("follow.wasm")];
  return {
    "browser: now()": travelling([file("now.js")]),
    "browser: startClock(), scripts": travelling(clock),
    "browser: startClock(), its core": travelling([file("page.wasm")]),
    "browser: startClock()": travelling([...clock, file("page.wasm")]),
    "browser: NTS beside index.js": travelling(nts.filter((one) => !index.has(one))),
    "browser: NTS from nothing": travelling(nts),
    "browser: NTS, its core": travelling([file("query.wasm")]),
    "browser: clock over NTS beside NTS": travelling(followed.filter((one) => !nts.includes(one))),
    "browser: clock over NTS from nothing": travelling(followed),
    "browser: clock over NTS, its core": travelling([file("follow.wasm")]),
    "browser: whole core": travelling([file("core.wasm")]),
  };
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
  for (const [name, { octets, gzip }] of Object.entries({ ...sizes(), ...pageSizes() })) {
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
