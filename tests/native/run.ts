// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Run the native contract on whatever runtime this is, with every FFI that loads there.
 *
 *     node run.mjs              (bundled by esbuild; koffi, and with --experimental-ffi also node:ffi)
 *     deno run --allow-ffi --allow-read tests/native/run.ts
 *     bun tests/native/run.ts
 *
 * An argument names an FFI that must be among them. The exit status is 1 when a check failed or that FFI is missing.
 *
 * @module
 */

import type { Ffi } from "../../hosts/native/ffi.ts";
import { nativeContract } from "./contract.ts";

const globals = globalThis as { Deno?: unknown; Bun?: unknown };

/** Every FFI of this runtime. The imports are dynamic: a runtime reads only what is its own. */
async function loadAll(): Promise<Ffi[]> {
  if (globals.Deno !== undefined) return present((await import("../../hosts/native/ffi-deno.ts")).load());
  if (globals.Bun !== undefined) return present(await (await import("../../hosts/native/ffi-bun.ts")).load());
  const koffi = await (await import("../../hosts/native/ffi-koffi.ts")).load();
  const node = await (await import("../../hosts/native/ffi-node.ts")).load();
  return [...present(koffi), ...present(node)];
}

function present(ffi: Ffi | undefined): Ffi[] {
  return ffi === undefined ? [] : [ffi];
}

const required = process.argv[2];
const backends = await loadAll();
let failed = required !== undefined && !backends.some(({ name }) => name === required);
if (failed) console.log(`FAIL ${required} did not load`);
if (backends.length === 0) console.log("no FFI loads here");
for (const ffi of backends) {
  for (const { name, ok, detail } of await nativeContract(ffi)) {
    failed ||= !ok;
    console.log(`${ok ? "ok  " : "FAIL"} [${ffi.name}] ${name}${detail === undefined ? "" : ` (${detail})`}`);
  }
}
process.exitCode = failed ? 1 : 0;
