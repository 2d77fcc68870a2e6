// SPDX-License-Identifier: MIT OR Apache-2.0
/** Bundles one TypeScript program of this repository from its sources, to run on plain Node. */
import path from "node:path";
import { build } from "esbuild";

/** Returns the path of the bundle, under .cache/run. */
export async function bundle(source) {
  const outfile = path.join(".cache/run", source.replaceAll("/", "-").replace(/\.ts$/, ".mjs"));
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: ["node:*", "bun:*", "koffi", "ws"],
    alias: { "#wasm": "./dist/wasm/base64.js", "#as-bind": "./dist/wasm/as-bind.js", "#host": "./hosts/node/index.ts" },
    logLevel: "warning",
  });
  return outfile;
}
