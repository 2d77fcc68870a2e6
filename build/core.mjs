// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Compiles assembly/ to dist/core.wasm, and writes its twins: base64 for hosts that cannot import wasm, a static import
 * for workerd, and as-bind's runtime for the cold surface.
 */
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import asc from "assemblyscript/asc";
import binaryen from "assemblyscript/binaryen";
import { asBindRuntime } from "./as-bind/runtime.mjs";

/** 64 KiB pages. Fixed for life, so that views never detach and native addresses stay valid. */
const MEMORY_PAGES = "192";

const FLAGS = [
  "assembly/index.ts",
  "--outFile", "dist/core.wasm",
  "--optimizeLevel", "3",
  "--converge",
  "--noAssert",
  // The last import gone: the module instantiates with {} on every engine.
  "--use", "abort=",
  // as-bind needs a collector (without one, strings leak) and its exports.
  "--runtime", "incremental",
  "--exportRuntime",
  "--enable", "simd",
  "--initialMemory", MEMORY_PAGES,
  "--maximumMemory", MEMORY_PAGES,
  "--transform", "./build/as-bind/transform.mjs",
];

/** The cores for pages: the same sources, for size; PAGE and PLAIN are what they ask `isDefined` of. */
const SMALL = [
  "--optimizeLevel", "3",
  "--shrinkLevel", "2",
  "--converge",
  "--noAssert",
  "--use", "abort=",
  "--use", "PAGE=ASC_TARGET",
  "--runtime", "stub",
  "--enable", "simd",
  "--initialMemory", MEMORY_PAGES,
  "--maximumMemory", MEMORY_PAGES,
];

/** For builds whose texts cross by hosts/browser/binding.ts. */
const TEXTS = ["--exportRuntime", "--transform", "./build/as-bind/transform.mjs"];

const PAGE_CORES = {
  // A clock over plain sources.
  page: ["--use", "PLAIN=ASC_TARGET"],
  // Single questions, by NTS too.
  query: TEXTS,
  // A clock over NTP and NTS; and single questions.
  follow: TEXTS,
};

/** Build the cores for pages, beside a copy of the whole one, where the browser's files look for them. */
export async function buildPageCores() {
  await mkdir("dist/browser", { recursive: true });
  for (const [name, flags] of Object.entries(PAGE_CORES)) {
    const file = `dist/browser/${name}.wasm`;
    const { error, stderr } = await asc.main([`assembly/${name}.ts`, "--outFile", file, ...SMALL, ...flags]);
    if (error) throw new Error(`the core for pages, ${name}, does not compile: ${error.message}\n${stderr}`);
  }
  // Afterwards, as the compiler and this share one optimiser and its settings.
  for (const name of Object.keys(PAGE_CORES)) {
    const file = `dist/browser/${name}.wasm`;
    await writeFile(file, shrunk(await readFile(file)));
    await importsNothing(file);
  }
  await copyFile("dist/core.wasm", "dist/browser/core.wasm");
}

const ROUNDS = 4;
/** Functions of more octets are not copied into their only caller: what is alike then stays alike, and compresses better. */
const ONE_CALLER = 250;
/** What is shorter than a call is no longer where it is copied to. */
const ALWAYS = 4;

/** The same wasm after a few more rounds of the optimiser, which may rely on it that the core never traps. */
function shrunk(wasm) {
  const module = binaryen.readBinary(new Uint8Array(wasm));
  const { MutableGlobals, NontrappingFPToInt, SignExt, BulkMemory, BulkMemoryOpt, SIMD128 } = binaryen.Features;
  module.setFeatures(MutableGlobals | NontrappingFPToInt | SignExt | BulkMemory | BulkMemoryOpt | SIMD128);
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(2);
  binaryen.setTrapsNeverHappen(true);
  binaryen.setOneCallerInlineMaxSize(ONE_CALLER);
  binaryen.setAlwaysInlineMaxSize(ALWAYS);
  for (let round = 0; round < ROUNDS; round++) module.optimize();
  const octets = module.emitBinary();
  module.dispose();
  return octets;
}
async function importsNothing(file) {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(await readFile(file)));
  if (imports.length > 0) throw new Error(`${file} must import nothing, but imports ${JSON.stringify(imports)}`);
}

/** Build the core. Returns the SHA-256 of the wasm, in hex. */
export async function buildCore() {
  await mkdir("dist/wasm", { recursive: true });
  const { error, stderr } = await asc.main(FLAGS);
  if (error) throw new Error(`the core does not compile: ${error.message}\n${stderr}`);
  await importsNothing("dist/core.wasm");
  const wasm = await readFile("dist/core.wasm");
  const banner = "// Generated from assembly/ by build/core.mjs.\n";
  await writeFile("dist/wasm/base64.js", `${banner}export default "${wasm.toString("base64")}";\n`);
  await writeFile("dist/wasm/base64.d.ts", `${banner}/** The core's wasm in base64, or a module where the runtime can import one. */\ndeclare const wasm: string | WebAssembly.Module;\nexport default wasm;\n`);
  await writeFile("dist/wasm/workerd.js", `${banner}export { default } from "../core.wasm";\n`);
  await writeFile("dist/core.wasm.d.ts", `${banner}declare const core: WebAssembly.Module;\nexport default core;\n`);
  const { source, license } = await asBindRuntime();
  const origin = "as-bind 0.8.2, patched by build/as-bind/runtime.mjs for AssemblyScript 0.28. Its licence:";
  await writeFile("dist/wasm/as-bind.js", `${banner}/*!\n${origin}\n\n${license}*/\n${source}`);
  await writeFile("dist/wasm/as-bind.d.ts", `${banner}export function instantiateSync(wasm: WebAssembly.Module, imports?: object): { exports: Record<string, (...args: unknown[]) => unknown> };\n`);
  return createHash("sha256").update(wasm).digest("hex");
}
