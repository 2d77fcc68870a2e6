// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * examples/worker in workerd itself, bundled as a deployment would: the core is a module that is imported, key establishment goes
 * by the Worker's own TCP, datagrams by a relay of ours, both to chronyd; and the Worker tells the time.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startRelay, type Relay } from "../../hosts/common/relay/index.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { chronyNtsServer, type NtsChronyd } from "../interop/chrony-nts.ts";
import { numberIn } from "../interop/chrony.ts";
import { Peer, freeTcpPort, freshDirectory, titled, untilReady, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";

const WORKERD = path.resolve("tests/runtimes/node_modules/@cloudflare/workerd-linux-64/bin/workerd");
const CORE = path.resolve("dist/core.wasm");
const missing = [WORKERD, CORE].filter((file) => !existsSync(file)).map((file) => path.relative(".", file));
const skipped = missing.length > 0 ? `skipped: no ${missing.join(", no ")}` : whySkipped(["chronyd", "chronyc"]);
if (skipped) console.warn(`tests/edge: ${skipped}`);
const pki = new PkiFiles();

/** The example and all of escapement in one module, the core beside it. */
async function bundled(directory: string): Promise<void> {
  const core = { name: "core", setup: ({ onResolve }: { onResolve(filter: object, act: () => object): void }) => onResolve({ filter: /core\.wasm$/ }, () => ({ path: "./core.wasm", external: true })) };
  await build({
    entryPoints: ["examples/worker/worker.mjs"],
    outfile: path.join(directory, "worker.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    conditions: ["workerd"],
    external: ["cloudflare:*"],
    alias: { "escapement/edge": path.resolve("hosts/edge/index.ts") },
    plugins: [core as never],
    mainFields: ["module", "main"],
    tsconfigRaw: "{}",
    logLevel: "warning",
  });
}

/** workerd's configuration; all network is allowed, since everything here is on loopback. */
function configuration(port: number, bindings: Record<string, string>): string {
  const texts = Object.entries(bindings).map(([name, text]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "core.wasm", wasm = embed "core.wasm"),
  ],
  bindings = [${texts.join(", ")}],
  compatibilityDate = "2026-01-01",
);
`;
}

describe.skipIf(skipped)(titled("a Worker in workerd", skipped), () => {
  let server: NtsChronyd;
  let relay: Relay;
  let worker: Peer;
  let url: string;
  const directory = freshDirectory();
  beforeAll(async () => {
    server = await chronyNtsServer({ pki });
    relay = await startRelay(await lendHost(), { listen: { address: "127.0.0.1", port: 0 }, allow: [`udp:${server.address}:${server.port}`] });
    await bundled(directory);
    writeFileSync(path.join(directory, "core.wasm"), readFileSync(CORE));
    const port = await freeTcpPort("127.0.0.1");
    const bindings = { RELAY: `ws://127.0.0.1:${relay.local.port}/`, SOURCE: `nts:${server.address}:${server.kePort}`, CA: readFileSync(pki.ca, "utf8") };
    const file = path.join(directory, "config.capnp");
    writeFileSync(file, configuration(port, bindings));
    url = `http://127.0.0.1:${port}/`;
    worker = new Peer(WORKERD, ["serve", "--experimental", file]);
    await untilReady("a Worker that answers", async () => ((await fetch(`${url}nowhere`)).status === 404 ? true : undefined), worker);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([worker?.stop(), relay?.close(), server?.[Symbol.asyncDispose]()]);
    rmSync(directory, { recursive: true, force: true });
  });

  it("asks by NTS: keys by its own TCP, datagrams by a relay that may carry nothing else", { timeout: 30_000 }, async () => {
    const before = numberIn(await server.report("serverstats"), "Authenticated NTP packets");
    const told = (await (await fetch(`${url}ask`)).json()) as { offset: number; rootDistance: number; authenticated: boolean };
    expect(told).toMatchObject({ authenticated: true });
    expect(Math.abs(told.offset)).toBeLessThan(told.rootDistance);
    expect(numberIn(await server.report("serverstats"), "Authenticated NTP packets") - before).toBe(1);
    expect(relay.stats).toMatchObject({ replies: 1, streams: 0 });
  });

  it("tells the time by HTTP, with its bound and for pages of any origin", async () => {
    const asked = Date.now() / 1000;
    const response = await fetch(`${url}?1700000000.125`, { headers: { origin: "https://page.example" } });
    const { it: question, st, bound, id } = (await response.json()) as { it: number; st: number; bound: number; id: string };
    expect({ question, id, cors: response.headers.get("access-control-allow-origin") }).toEqual({ question: 1700000000.125, id: "worker.example.org", cors: "*" });
    // Its clock and ours are one.
    expect(st).toBeGreaterThan(asked - bound);
    expect(st).toBeLessThan(Date.now() / 1000 + bound);
    expect(bound).toBeGreaterThanOrEqual(0.051);
  });

  it("tells the time by WebSocket: JSON and NTP packets", async () => {
    const socket = new WebSocket(url.replace("http:", "ws:"));
    const next = () => new Promise<Buffer>((resolve, reject) => socket.once("message", resolve).once("error", reject));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const json = next();
    socket.send("12.5");
    expect(JSON.parse(String(await json))).toMatchObject({ it: 12.5, leap: 36 });
    const packet = next();
    socket.send(Uint8Array.of(0x23, ...new Uint8Array(39), 1, 2, 3, 4, 5, 6, 7, 8));
    const reply = await packet;
    expect([reply[0], reply[1], reply.length]).toEqual([0x24, 3, 48]);
    expect([...reply.subarray(24, 32)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.send(Uint8Array.of(1));
    // What cannot be read ends the connection.
    expect(await closed).toBe(1002);
  });
});
