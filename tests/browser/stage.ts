// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A stage for pages: Chromium, a web server for dist/browser and some pages, and what is around them.
 *
 * The server gzips and counts what it sends, so that a test can say what a page really loads. Its policy is strict:
 * scripts of its own, WebAssembly by `'wasm-unsafe-eval'` alone, connections where the test says.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium, type Browser } from "playwright-core";
import type { tasks } from "./page.ts";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Chromium's path, or undefined. */
export const chromiumPath = (): string | undefined => PROGRAMS.find((program) => existsSync(program));

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

export const openBrowser = (): Promise<Browser> => chromium.launch({ executablePath: chromiumPath()!, headless: true, args: FLAGS });

const TYPES: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html", ".json": "application/json", ".css": "text/css", ".txt": "text/plain" };

export interface StageOptions {
  /** Where its pages may connect to, beside itself. */
  readonly connect?: readonly string[];
  /** Cross-origin isolated: a timer of 5 µs. */
  readonly isolated?: boolean;
  /** Files beside those of dist/browser: path → content. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** In place of the strict policy; "" for none. */
  readonly policy?: string;
}

export interface Stage extends AsyncDisposable {
  readonly url: string;
  /** Octets sent, gzipped, by path. */
  readonly sent: Map<string, number>;
}

const FOLDER = path.resolve("dist/browser");
/** The page's own code: not counted. */
const PAGE = "/page.js";
const OWN: Record<string, string> = { [PAGE]: "tests/browser/page.ts", "/contract.js": "tests/contract/page-main.ts" };
const SERVED: Record<string, string> = { "escapement/browser": "/index.js", "escapement/roughtime": "/roughtime.js" };
/** What a bundler puts into the page's own code. */
const INSIDE: Record<string, string> = { "escapement/core": path.resolve("hosts/common/core/index.ts") };
const bundled = new Map<string, Promise<string>>();

/** Of {@link OWN}; bundled once. */
function ownCode(where: string): Promise<string> {
  const known = bundled.get(where) ?? pageCode(OWN[where]!);
  bundled.set(where, known);
  return known;
}

async function pageCode(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    alias: { "#wasm": "./dist/wasm/none.js", "#as-bind": "./dist/wasm/as-bind.js" },
    // As it is shipped, from the server.
    plugins: [{ name: "served", setup: (own) => void own.onResolve({ filter: /^escapement\// }, ({ path: name }) => (name in INSIDE ? { path: INSIDE[name]! } : { path: SERVED[name]!, external: true })) }],
    tsconfigRaw: "{}",
  });
  return outputFiles[0]!.text;
}

export async function openStage({ connect = [], isolated = false, files = {}, policy }: StageOptions = {}): Promise<Stage> {
  const sent = new Map<string, number>();
  const strict = `default-src 'none'; img-src data:; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${connect.join(" ")}`;
  const server = createServer(async (request, response) => {
    const where = new URL(request.url ?? "/", "http://x").pathname;
    const content = files[where] ?? (where === "/" ? HTML : where in OWN ? await ownCode(where) : fileOf(where));
    if (content === undefined) return void response.writeHead(404).end();
    const body = gzipSync(content, { level: 9 });
    if (where !== "/" && !(where in OWN) && where !== "/favicon.ico") sent.set(where, (sent.get(where) ?? 0) + body.length);
    response.writeHead(200, {
      "content-type": TYPES[path.extname(where)] ?? "text/html",
      "content-encoding": "gzip",
      "cache-control": "no-store",
      ...((policy ?? strict) ? { "content-security-policy": policy ?? strict } : {}),
      ...(isolated ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" } : {}),
    });
    response.end(body);
  });
  await ownCode(PAGE);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sent,
    [Symbol.asyncDispose]: () => closed(server),
  };
}

function fileOf(where: string): Buffer | undefined {
  const file = path.join(FOLDER, where);
  return file.startsWith(FOLDER + path.sep) && existsSync(file) ? readFileSync(file) : undefined;
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

const HTML = `<!doctype html><meta charset=utf-8><title>stage</title><link rel=icon href=data:,><script type=module src=${PAGE}></script>`;

type Tasks = typeof tasks;

export interface StagePage {
  /** Run a task of page.ts, in the page or in a worker of its. */
  run<K extends keyof Tasks>(name: K, argument: Parameters<Tasks[K]>[0], where?: "page" | "worker"): Promise<Awaited<ReturnType<Tasks[K]>>>;
  /** Freeze it as browsers do with pages in the background, or bring it back to life. */
  lifecycle(state: "frozen" | "active"): Promise<void>;
  /** Errors on its console, refusals of its policy among them. */
  readonly complaints: readonly string[];
}

export async function openPage(browser: Browser, stage: Stage): Promise<StagePage> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(stage.url);
  const devtools = await page.context().newCDPSession(page);
  return {
    complaints,
    lifecycle: async (state) => void (await devtools.send("Page.setWebLifecycleState", { state })),
    run: (name, argument, where = "page") => page.evaluate(`runTask(${JSON.stringify([name, argument, where])})`) as Promise<never>,
  };
}
