// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The real clock through every FFI of this runtime: read, nudged by 1 ppm and restored; with `measure`, whether
 * that acts.
 *
 *     node run.mjs [measure]     (bundled by esbuild; koffi, and with --experimental-ffi also node:ffi)
 *     deno run --allow-all tests/native/steering-run.ts [measure]
 *     bun run tests/native/steering-run.ts [measure]
 *
 * @module
 */

import type { Ffi } from "../../hosts/native/ffi.ts";
import { isActuator, openSystemClock } from "../../hosts/native/steer.ts";
import { measure, nudge, readKernel, settings } from "./steering-real.ts";

const MEASURE_MS = 4000;
const globals = globalThis as { Deno?: unknown; Bun?: unknown };

async function loadAll(): Promise<(Ffi | undefined)[]> {
  if (globals.Deno !== undefined) return [(await import("../../hosts/native/ffi-deno.ts")).load()];
  if (globals.Bun !== undefined) return [await (await import("../../hosts/native/ffi-bun.ts")).load()];
  const koffi = await (await import("../../hosts/native/ffi-koffi.ts")).load();
  return [koffi, await (await import("../../hosts/native/ffi-node.ts")).load()];
}

async function show(ffi: Ffi): Promise<boolean> {
  const before = settings(readKernel(ffi));
  const clock = openSystemClock(ffi);
  console.log(`[${ffi.name}] kernel ${JSON.stringify(before)}`);
  if (!isActuator(clock)) {
    console.log(`[${ffi.name}] refused: ${clock.reason}`);
    return JSON.stringify(settings(readKernel(ffi))) === JSON.stringify(before);
  }
  const { during, asked, told } = nudge(ffi, clock);
  console.log(`[${ffi.name}] ${clock.description}: asked ${asked}, in force ${told} (freq ${during.freq} tick ${during.tick})`);
  if (process.argv.includes("measure")) {
    const [off, on, offAgain] = await measure(ffi, clock, MEASURE_MS);
    console.log(`[${ffi.name}] against the raw clock: ${off.toFixed(4)}, ${on.toFixed(4)}, ${offAgain.toFixed(4)} ppm`);
  }
  const restored = JSON.stringify(settings(readKernel(ffi))) === JSON.stringify(before);
  console.log(`[${ffi.name}] ${restored ? "restored" : "NOT RESTORED"}`);
  return restored && Math.abs(told - asked) < 8e-12;
}

let failed = false;
for (const ffi of await loadAll()) if (ffi !== undefined && !(await show(ffi))) failed = true;
process.exitCode = failed ? 1 : 0;
