// SPDX-License-Identifier: MIT OR Apache-2.0
/** Builds the daemon's page (dashboard/) into dist/dashboard: script, style and markup, uPlot inside with its licence beside it. */
import { build } from "esbuild";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const FROM = "dashboard";
const TO = "dist/dashboard";
const LICENCE = "dashboard.js.LEGAL.txt";
/** What a page loads, by name. */
export const DASHBOARD_FILES = ["index.html", "dashboard.css", "dashboard.js", "icon.svg"];

export async function buildDashboard() {
  const common = { outdir: TO, bundle: true, minify: true, target: "es2022", logLevel: "warning" };
  await build({
    ...common,
    entryPoints: { dashboard: `${FROM}/page.ts` },
    format: "esm",
    platform: "browser",
    // Its notice has no mark of its own by which a bundler would keep it.
    banner: { js: `/*! with uPlot, Copyright (c) Leon Sorokin, MIT: see ${LICENCE} */` },
  });
  await build({ ...common, entryPoints: { dashboard: `${FROM}/dashboard.css` } });
  await writeFile(`${TO}/${LICENCE}`, `uPlot, bundled into dashboard.js and dashboard.css:\n\n${await readFile("node_modules/uplot/LICENSE", "utf8")}`);
  for (const name of ["index.html", "icon.svg"]) await copyFile(`${FROM}/${name}`, `${TO}/${name}`);
}

/** Octets of all that the page loads, each file gzipped by itself. */
export async function dashboardSize() {
  const files = await Promise.all(DASHBOARD_FILES.map((name) => readFile(`${TO}/${name}`)));
  return files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
}
