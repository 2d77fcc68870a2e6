// SPDX-License-Identifier: MIT OR Apache-2.0
/** What a fresh clone needs before anything runs: the locked packages and a build. Says what it does, on standard error. */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const SOURCES = ["assembly", "hosts", "cli", "daemon", "dashboard", "build", "package.json"];
const PRODUCT = "dist/cli/main.js";
const TYPES = "dist/types/hosts/node/index.d.ts";

process.chdir(new URL("..", import.meta.url).pathname);

/** Install if the lock changed, build if a source is newer than the product. Exits when either fails. */
export function prepare({ types = false } = {}) {
  installLocked(".");
  if (newest(SOURCES) <= modified(types ? TYPES : PRODUCT)) return;
  run("building", process.execPath, ["build/build.mjs", ...(types ? [] : ["--no-types"])]);
}

/** `npm ci` in a folder whose packages are missing or older than its lock. */
export function installLocked(folder) {
  const lock = path.join(folder, "package-lock.json");
  const packages = path.join(folder, "node_modules");
  // Somebody else's, through a link: `npm ci` would empty it under their feet.
  if (existsSync(packages) && lstatSync(packages).isSymbolicLink()) return;
  if (modified(path.join(packages, ".package-lock.json")) >= modified(lock)) return;
  run(`installing the locked packages${folder === "." ? "" : ` of ${folder}`}`, "npm", ["ci", "--no-audit", "--no-fund", "--prefix", folder]);
}

function modified(file) {
  return existsSync(file) ? statSync(file).mtimeMs : 0;
}

function newest(paths) {
  return Math.max(...paths.map((entry) => (existsSync(entry) && statSync(entry).isDirectory() ? newest(readdirSync(entry).map((name) => path.join(entry, name))) : modified(entry))));
}

function run(what, command, args) {
  console.error(`escapement: ${what}…`);
  // The shell finds npm.cmd on Windows; the arguments are ours.
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", shell: process.platform === "win32" });
  if (status === 0) return;
  console.error(`${stdout ?? ""}${stderr ?? ""}escapement: ${what} failed: ${command} ${args.join(" ")}`);
  process.exit(1);
}
