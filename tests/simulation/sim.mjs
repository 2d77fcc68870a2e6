// `npm run sim`: bundles report.ts and runs it; arguments are passed on. Needs dist/core.wasm (npm run build).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = mkdtempSync(join(tmpdir(), "escapement-sim-"));
const outfile = join(folder, "report.mjs");
process.env["ESCAPEMENT_CORE"] ??= fileURLToPath(new URL("../../dist/core.wasm", import.meta.url));
try {
  const entry = fileURLToPath(new URL("report.ts", import.meta.url));
  await build({ entryPoints: [entry], bundle: true, platform: "node", format: "esm", outfile, logLevel: "warning" });
  await import(pathToFileURL(outfile).href);
} finally {
  rmSync(folder, { recursive: true });
}
