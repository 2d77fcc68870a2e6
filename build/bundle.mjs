// SPDX-License-Identifier: MIT OR Apache-2.0
/** Bundles the hosts, the core's typed face and the command (esbuild), and emits their types (tsc). */
import { build } from "esbuild";
import { execFile } from "node:child_process";
import { chmod, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

/** What a package user imports: output name → source. */
const ENTRIES = {
  "node/index": "hosts/node/index.ts",
  "deno/index": "hosts/deno/index.ts",
  "bun/index": "hosts/bun/index.ts",
  "node/server-thread": "hosts/node/server-thread.ts",
  "deno/server-thread": "hosts/deno/server-thread.ts",
  "bun/server-thread": "hosts/bun/server-thread.ts",
  "core/index": "hosts/common/core/index.ts",
  "roughtime/index": "hosts/common/roughtime/index.ts",
  "refclock/index": "hosts/common/refclock/index.ts",
  "edge/index": "hosts/edge/index.ts",
  "relay/index": "hosts/common/relay/index.ts",
  "cli/main": "cli/main.ts",
};

/** Modules of a runtime, and what package.json maps by condition: resolved where the code runs. */
const EXTERNAL = ["node:*", "bun:*", "koffi", "smol-toml", "ws", "@noble/*", "#wasm", "#host", "#as-bind"];

export async function buildBundles() {
  await build({
    entryPoints: ENTRIES,
    outdir: "dist",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    external: EXTERNAL,
    chunkNames: "chunks/[name]-[hash]",
    legalComments: "none",
    logLevel: "warning",
  });
  await chmod("dist/cli/main.js", 0o755);
}

/** For pages: files to be served as they are, in one folder with the builds of the core, which they fetch. */
const PAGE_ENTRIES = {
  index: "hosts/browser/index.ts",
  roughtime: "hosts/common/roughtime/index.ts",
};

/** Files that are loaded when needed, and what a page loads in their place: hosts/browser/groups says why. */
const GROUPS = {
  questions: /\/(full|query|nts\/client|certtime|tls\/connect)\.ts$/,
  survey: /\/survey\.ts$/,
  following: /\/follow\.ts$/,
  everything: /\/start\.ts$/,
  roughtime: /\/(roughtime\/(sample|bootstrap)|quorumtime)\.ts$/,
};

const inGroups = {
  name: "in groups",
  setup: (own) => {
    for (const [group, files] of Object.entries(GROUPS)) {
      own.onResolve({ filter: files }, ({ kind }) => (kind === "dynamic-import" ? { path: path.resolve(`hosts/browser/groups/${group}.ts`) } : undefined));
    }
  },
};

/** The error class, which must be one, is in index.js, that every page loads first: it needs no file of its own. */
const ERRORS = /\/errors\.ts$/;
const INDEX = { path: "./index.js", external: true, sideEffects: false };

const errorsInIndex = {
  name: "errors in index",
  setup: (own) => void own.onResolve({ filter: ERRORS, namespace: "file" }, ({ importer }) => (/\/browser\/index\.ts$/.test(importer) ? undefined : INDEX)),
};

/**
 * Files that have copies of all that they need: what a page loads for one thing is then one file, and what two of these have in
 * common is no third. Each is small, and names index.js, where the error class is, but once.
 */
const APART = ["pageclock", "now"];

const apart = {
  name: "apart",
  setup: (own) => {
    for (const name of APART) {
      const namespace = `apart-${name}`;
      const resolved = ({ path: imported, resolveDir }) => path.resolve(resolveDir, imported);
      own.onResolve({ filter: new RegExp(`/${name}\\.ts$`) }, (one) => (one.kind === "dynamic-import" ? { path: resolved(one), namespace } : undefined));
      // What it loads only when needed is everybody's.
      own.onResolve({ filter: /^\./, namespace }, (one) => {
        if (one.path === INDEX.path) return INDEX;
        return one.kind === "dynamic-import" ? { path: resolved(one) } : { path: resolved(one), namespace };
      });
      own.onLoad({ filter: ERRORS, namespace }, () => ({ contents: `export { NtpError } from "${INDEX.path}";` }));
      own.onLoad({ filter: /./, namespace }, async ({ path: file }) => ({ contents: await readFile(file), loader: "ts", resolveDir: path.dirname(file) }));
    }
  },
};

/**
 * The clock that hosts/browser/follow.ts imports at once: copies of these files, in which hosts/browser/absent.ts stands in the
 * place of what such a clock never makes. The rest it has in common with everybody.
 */
const OVER_SERVERS = /\/(start|engine|following|steerer|followed|states|discipline)\.ts$/;
const NEVER_MADE = /\/((broadcast|manycast|peer|refclock)-runner|(broadcast|manycast|symmetric|refclock)-core|peering|refclock\/open)\.ts$/;

const overServers = {
  name: "over servers",
  setup: (own) => {
    const namespace = "over-servers";
    const at = (one) => path.resolve(one.resolveDir, one.path);
    own.onResolve({ filter: /\/start\.ts$/ }, (one) => (one.kind === "import-statement" && /\/browser\/follow\.ts$/.test(one.importer) ? { path: at(one), namespace } : undefined));
    own.onResolve({ filter: /^\./, namespace }, (one) => {
      if (ERRORS.test(one.path)) return INDEX;
      if (OVER_SERVERS.test(one.path)) return { path: at(one), namespace };
      return { path: NEVER_MADE.test(one.path) ? path.resolve("hosts/browser/absent.ts") : at(one) };
    });
    own.onLoad({ filter: /./, namespace }, async ({ path: file }) => ({ contents: await readFile(file), loader: "ts", resolveDir: path.dirname(file) }));
  },
};

/** What all files for pages have in common: everything inside, minified, as no bundler stands between them and a script tag. */
const FOR_PAGES = { outdir: "dist/browser", bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", logLevel: "warning" };

export async function buildPageBundles() {
  await writeFile("dist/wasm/none.js", 'export default "";\n');
  await build({
    ...FOR_PAGES,
    entryPoints: PAGE_ENTRIES,
    splitting: true,
    alias: { "#wasm": "./dist/wasm/none.js", "#as-bind": "./hosts/browser/binding.ts" },
    chunkNames: "[name]-[hash]",
    plugins: [inGroups, errorsInIndex, overServers, apart],
    legalComments: "linked",
  });
  // One file, for a script that wants the time and nothing else; HTTP time stays beside it.
  await build({
    ...FOR_PAGES,
    entryPoints: { now: "hosts/browser/now.ts", httptime: "hosts/browser/httptime.ts" },
    plugins: [{ name: "beside", setup: (own) => void own.onResolve({ filter: /\/httptime\.ts$/ }, ({ kind }) => (kind === "dynamic-import" ? { path: "./httptime.js", external: true } : undefined)) }],
  });
}

export async function buildTypes() {
  const run = promisify(execFile);
  try {
    await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "build/tsconfig.types.json"]);
  } catch (error) {
    throw new Error(`the types do not compile:\n${error.stdout}`);
  }
}
