#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The one build command: the core, its twins, the bundles, the types, and the report of their sizes.
 *
 *   node build/build.mjs              everything
 *   node build/build.mjs --core       only the core and its twins
 *   node build/build.mjs --no-types   without the types, for a quick start
 *   node build/build.mjs --golden     everything, and accept today's sizes as the golden ones
 *
 * tests/build.test.ts compares the sizes with the golden ones.
 */
import process from "node:process";
import { rm } from "node:fs/promises";
import { buildCore, buildPageCores } from "./core.mjs";
import { buildBundles, buildPageBundles, buildTypes } from "./bundle.mjs";
import { buildDashboard } from "./dashboard.mjs";
import { acceptSizes, printSizes } from "./sizes.mjs";

process.chdir(new URL("..", import.meta.url).pathname);
const flags = new Set(process.argv.slice(2));

try {
  if (!flags.has("--core")) await rm("dist", { recursive: true, force: true });
  console.log(`core.wasm sha256 ${await buildCore()}`);
  await buildPageCores();
  if (!flags.has("--core")) {
    await buildBundles();
    await buildPageBundles();
    await buildDashboard();
    if (!flags.has("--no-types")) await buildTypes();
    printSizes();
    if (flags.has("--golden")) acceptSizes();
  }
} catch (error) {
  console.error(`build: ${error.message}`);
  process.exitCode = 1;
}
