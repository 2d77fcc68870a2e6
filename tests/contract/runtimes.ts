// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The runtimes that the contract suite runs on, each as a command. Those of npm are in tests/runtimes.
 *
 * @module
 */

import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";

/** One way of running the suite. */
export interface RuntimeRun {
  readonly name: string;
  readonly command: string;
  readonly flags: readonly string[];
  /** See main.ts. */
  readonly args: readonly string[];
  /** Set in the environment of the process. */
  readonly environment?: Record<string, string>;
  /** Whether koffi can be found. Default true. */
  readonly koffi?: boolean;
}

const PACKAGES = path.resolve("tests/runtimes/node_modules");
const node = (major: number) => path.join(PACKAGES, `node-${major}/bin/node`);
const deno = path.join(PACKAGES, "@deno/linux-x64-glibc/deno");
const bun = path.join(PACKAGES, "@oven/bun-linux-x64-baseline/bin/bun");
/** Kernel stamps need Linux; elsewhere the portable runs are all there is. */
const native = process.platform === "linux" ? "kernel" : "user";

export const RUNS: readonly RuntimeRun[] = [
  { name: `Node ${process.versions.node} with koffi`, command: process.execPath, flags: [], args: [native] },
  { name: `Node ${process.versions.node} without koffi`, command: process.execPath, flags: [], args: ["user"], koffi: false },
  { name: "Node 22 with koffi", command: node(22), flags: [], args: [native] },
  { name: "Node 24 with koffi", command: node(24), flags: [], args: [native] },
  { name: "Node 26 with koffi", command: node(26), flags: [], args: [native] },
  { name: "Node 26 with node:ffi", command: node(26), flags: ["--experimental-ffi"], args: [native], koffi: false },
  { name: "Deno with FFI", command: deno, flags: ["run", "--allow-all"], args: [native] },
  {
    name: "Deno without FFI, Deno.listenDatagram",
    command: deno,
    flags: ["run", "--unstable-net", "--allow-net", "--allow-read", "--allow-env", "--allow-sys", "--no-prompt"],
    args: ["user", "native", "silent-refusals"],
  },
  {
    name: "Deno without FFI, node:dgram",
    command: deno,
    flags: ["run", "--allow-net", "--allow-read", "--allow-env", "--allow-sys", "--no-prompt"],
    args: ["user", "native", "silent-refusals"],
  },
  { name: "Bun with FFI", command: bun, flags: ["run"], args: [native] },
  { name: "Bun without FFI", command: bun, flags: ["run"], args: ["user", "portable"] },
];

/** Why a run cannot happen here, or undefined. */
export function missing({ command }: RuntimeRun): string | undefined {
  return existsSync(command) ? undefined : `no ${path.relative(".", command)} (npm ships it for Linux on x64)`;
}
