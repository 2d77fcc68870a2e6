// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Makes as-bind's published runtime understand AssemblyScript 0.28.
 *
 * as-bind 0.8.2 bundles the loader of AssemblyScript 0.19. Since then the run-time ids of String and ArrayBuffer moved
 * up by one and an RTTI entry shrank from eight octets to four. Each difference is one place in the bundle; a place that
 * is not found exactly as often as expected stops the build. Its code is read from node_modules and never committed.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

const PATCHES = [
  // String: class id 1 → 2, on the way in and on the way out.
  { from: "c(r<<1,1)", to: "c(r<<1,2)", times: 1 },
  { from: "if(1!==new Uint32Array(r)[t+-8>>>2])", to: "if(2!==new Uint32Array(r)[t+-8>>>2])", times: 1 },
  // ArrayBuffer: class id 0 → 1, by itself and behind an array.
  { from: "c(r.length,0)", to: "c(r.length,1)", times: 1 },
  { from: "c(o<<n,4&e?t:0)", to: "c(o<<n,4&e?t:1)", times: 1 },
  // An RTTI entry: eight octets (flags, base) → four (flags).
  { from: "(p+4>>>2)+2*t]", to: "(p+4>>>2)+t]", times: 1 },
  // One compiled module serves many instances, so a ready Module must be accepted too.
  {
    from: "this.module=new WebAssembly.Module(t)",
    to: "this.module=t instanceof WebAssembly.Module?t:new WebAssembly.Module(t)",
    times: 1,
  },
];

/** The patched source of as-bind's ES module, and its licence, which goes where the code goes. */
export async function asBindRuntime() {
  const entry = createRequire(import.meta.url).resolve("as-bind");
  let source = await readFile(path.join(path.dirname(entry), "as-bind.esm.js"), "utf8");
  const license = await readFile(path.join(path.dirname(entry), "../LICENSE"), "utf8");
  for (const { from, to, times } of PATCHES) {
    const found = source.split(from).length - 1;
    if (found !== times) throw new Error(`as-bind: expected "${from}" ${times} time(s), found ${found}: has its version changed?`);
    source = source.replaceAll(from, to);
  }
  return { source, license };
}
