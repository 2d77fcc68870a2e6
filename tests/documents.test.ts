// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What users read: each snippet of README and docs type-checked, those marked `js run` run against a real server of ours on
 * loopback, for which names under .example and example.org stand in them; links that lead somewhere, figures that are not stale.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve, type Server } from "../hosts/node/index.ts";
import { built, ROOT, run } from "./support/example.ts";

/** Inside the package, where `escapement` means itself. */
const SNIPPETS = path.join(ROOT, ".cache/snippets");

/** One for each name in a snippet: one server under several names has one vote. */
let servers: Server[] = [];
beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 6 }, () => serve({ port: 0, stratum: 1, refid: "PPS" })));
});
afterAll(() => Promise.all(servers.map((one) => one.close())));

const DOCUMENTS = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
  ...readdirSync(path.join(ROOT, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];

function text(document: string): string {
  return readFileSync(path.join(ROOT, document), "utf8");
}

interface Snippet {
  readonly title: string;
  readonly code: string;
  readonly runs: boolean;
  readonly file: string;
}

/** What snippets for Deno use of it, whose types are no dependency of ours. */
const DENO = "declare const Deno: { serve(handler: (request: Request, info: { remoteAddr: { hostname: string } }) => Promise<Response>): unknown };";
/** Fenced `js` and `ts` blocks. */
const FENCED = /^```(?:js|ts)( run)?\n([^]*?)^```$/gm;
const snippets = DOCUMENTS.flatMap((document) =>
  [...text(document).matchAll(FENCED)].map(({ 1: runs, 2: code = "", index }): Snippet => {
    const line = text(document).slice(0, index).split("\n").length;
    const file = path.join(SNIPPETS, `${document.replace(/\W/g, "-")}-${line}`);
    return { title: `${document}:${line}`, code, runs: runs !== undefined, file };
  }),
);

describe("snippets", () => {
  beforeAll(() => {
    rmSync(SNIPPETS, { recursive: true, force: true });
    mkdirSync(SNIPPETS, { recursive: true });
  });

  it("have the right types", () => {
    const files = snippets.map(({ file, code }) => {
      writeFileSync(`${file}.ts`, `${code}\n${code.includes("Deno.") ? DENO : ""}\nexport {};\n`);
      return `${file}.ts`;
    });
    const { config } = ts.readConfigFile(path.join(ROOT, "tsconfig.json"), ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
    const program = ts.createProgram(files, { ...options, noEmit: true, noUnusedLocals: false });
    const complaints = ts.getPreEmitDiagnostics(program).flatMap(({ file, messageText }) => {
      if (!file || !files.includes(path.resolve(file.fileName))) return [];
      return [`${path.basename(file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`];
    });
    expect(complaints).toEqual([]);
  });

  describe.skipIf(!built).concurrent("that run", () => {
    it.each(snippets.filter(({ runs }) => runs))("$title ends well", async ({ code, file }) => {
      const names = new Map<string, string>();
      const addressOf = (name: string) => names.get(name) ?? names.set(name, `127.0.0.1:${servers[names.size]!.addresses[0]!.port}`).get(name)!;
      const here = code.replace(/\b[\w.]*\bexample(?:\.org)?\b(?=")/g, addressOf);
      // Node 20 does not know `await using`.
      const { code: lowered } = await transform(here, { loader: "ts", target: "es2022", format: "esm" });
      writeFileSync(`${file}.mjs`, lowered);
      const { status, stdout, stderr } = await run(`${file}.mjs`);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).not.toBe("");
    });
  });
});

describe("documents", () => {
  /** As GitHub makes them. */
  function anchors(document: string): string[] {
    const headings = [...text(document).replace(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm)];
    const plain = headings.map(([, heading = ""]) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, ""));
    return plain.map((heading) => heading.replaceAll(" ", "-"));
  }

  it.each(DOCUMENTS)("%s has links that lead somewhere", (document) => {
    for (const [, link = ""] of text(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [target = "", anchor] = link.split("#");
      const file = target === "" ? document : path.join(path.dirname(document), target);
      expect(existsSync(path.join(ROOT, file)), `${link} in ${document}`).toBe(true);
      if (anchor !== undefined) expect(anchors(file), `${link} in ${document}`).toContain(anchor);
    }
  });

  it.each(DOCUMENTS)("%s names files that exist", (document) => {
    const FILE = /`((?:assembly|hosts|daemon|build|cli|tests|bench|examples|docs)\/[\w./-]+\.(?:ts|mjs|md|sh|json))`/g;
    const named = [...text(document).matchAll(FILE)].map(([, file = ""]) => file);
    expect(named.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
  });

  it("errors.md has every code, and no other", () => {
    const declared = [...text("hosts/common/errors.ts").matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);
    const described = [...text("docs/errors.md").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(described.toSorted()).toEqual(declared.toSorted());
  });

  it("vocabulary.md has every packet test, and no other", () => {
    const source = text("hosts/common/client/problems.ts");
    const declared = [...source.matchAll(/^ {2}\["(test\w)"/gm)].map(([, name]) => name);
    const described = [...text("docs/vocabulary.md").matchAll(/^\| (test\w) \|/gm)].map(([, name]) => name);
    expect(described).toEqual(declared);
  });

  it("dependencies.md has every package at its version", () => {
    const manifest = JSON.parse(text("package.json")) as Record<string, Record<string, string>>;
    const kinds = [manifest["dependencies"], manifest["devDependencies"], manifest["optionalDependencies"]];
    for (const [name, version] of kinds.flatMap((kind) => Object.entries(kind ?? {}))) {
      expect(text("docs/dependencies.md")).toContain(`| ${name} ${version} `);
    }
  });

  it.skipIf(!built)("README's size of the core is right within 5 %", () => {
    const wasm = readFileSync(path.join(ROOT, "dist/core.wasm"));
    const stated = /\((\d+) kB, (\d+) kB gzipped/.exec(text("README.md").replace(/\s+/g, " ")) ?? [];
    const [, plain = 0, gzipped = 0] = stated.map(Number);
    expect(Math.abs(plain * 1000 - wasm.length) / wasm.length).toBeLessThan(0.05);
    const packed = gzipSync(wasm, { level: 9 }).length;
    expect(Math.abs(gzipped * 1000 - packed) / packed).toBeLessThan(0.05);
  });

  it("README states no number of tests, which would be stale tomorrow", () => {
    expect(text("README.md")).not.toMatch(/\d+ tests\b/);
  });

  it("have lines of at most 120 columns, tables aside", () => {
    for (const document of DOCUMENTS) {
      const long = text(document).split("\n").filter((line) => [...line].length > 120 && !line.startsWith("|"));
      expect(long, document).toEqual([]);
    }
  });
});
