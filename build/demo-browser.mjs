#!/usr/bin/env node
// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `npm run demo:browser [-- --port=N]`: a page with a clock that is right, on loopback: its web server, a relay whose clock is 132 ms
 * ahead of this computer's, and servers behind it with NTS and Roughtime, one of which signs with another key than it should.
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { bundle } from "./run-source.mjs";
import { prepare } from "./prepare.mjs";

// Its test takes what there is: a build then would take the files away from under all other tests.
if (!process.argv.includes("--as-built")) prepare();
const { startDemo } = await import(path.resolve(await bundle("examples/browser/demo/servers.ts")));

/** What the servers' clocks are ahead of this computer's, s: so that there is something to see. */
const AHEAD = 0.132;
const { relay, signers, close } = await startDemo(AHEAD);
const own = (file) => readFileSync(path.join("examples/browser/demo", file));
const FILES = {
  "/": ["text/html; charset=utf-8", () => own("index.html")],
  "/demo.js": ["text/javascript", () => own("demo.js")],
  "/charts.js": ["text/javascript", () => own("charts.js")],
  "/demo.css": ["text/css", () => own("demo.css")],
  "/demo.json": ["application/json", () => JSON.stringify({ relay, signers, ahead: AHEAD })],
  "/uplot.js": ["text/javascript", () => readFileSync("node_modules/uplot/dist/uPlot.esm.js")],
  "/uplot.css": ["text/css", () => readFileSync("node_modules/uplot/dist/uPlot.min.css")],
};
const HEADERS = {
  "content-security-policy": `default-src 'none'; img-src data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${relay}`,
  // Cross-origin isolated: a timer of 5 µs instead of 100.
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const server = createServer(({ url = "/" }, response) => {
  const where = new URL(url, "http://x").pathname;
  const built = path.join("dist/browser", path.basename(where));
  const [type, read] = FILES[where] ?? (existsSync(built) && where !== "/" ? [where.endsWith(".wasm") ? "application/wasm" : "text/javascript", () => readFileSync(built)] : []);
  if (!read) return void response.writeHead(404).end();
  response.writeHead(200, { "content-type": type, ...HEADERS }).end(read());
});
const port = Number(process.argv.find((word) => word.startsWith("--port="))?.slice(7) ?? 8124);
server.listen(port, "127.0.0.1", () => console.log(`escapement: http://127.0.0.1:${server.address().port}/ (Ctrl-C ends it)`));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    server.closeAllConnections();
    server.close();
    await close();
  });
}
