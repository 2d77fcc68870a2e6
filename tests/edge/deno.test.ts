// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * examples/deno-deploy on Deno with what an edge platform lends: the network's TCP and nothing else, no UDP, no FFI, no files. It
 * asks chronyd by NTS through a relay of ours, and tells the time by HTTP and WebSocket.
 */

import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startRelay, type Relay } from "../../hosts/common/relay/index.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { RUNS, missing } from "../contract/runtimes.ts";
import { chronyNtsServer, type NtsChronyd } from "../interop/chrony-nts.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { Peer, eventually, freeTcpPort, freshDirectory, titled, untilReady, whySkipped } from "../support/peers.ts";

const deno = RUNS.find(({ name }) => name.startsWith("Deno"))!;
const absent = missing(deno);
const skipped = absent ? `skipped: ${absent}` : whySkipped(["chronyd", "chronyc"]);
const pki = new PkiFiles();

describe.skipIf(skipped)(titled("Deno at the edge", skipped), () => {
  let server: NtsChronyd;
  let relay: Relay;
  let peer: Peer;
  let url: string;
  const directory = freshDirectory();
  beforeAll(async () => {
    server = await chronyNtsServer({ pki });
    relay = await startRelay(await lendHost(), { listen: { address: "127.0.0.1", port: 0 }, allow: [`udp:${server.address}:${server.port}`, `tcp:${server.address}:${server.kePort}`] });
    const file = path.join(directory, "main.js");
    await build({
      entryPoints: ["examples/deno-deploy/main.mjs"], outfile: file, bundle: true, format: "esm", platform: "neutral", target: "es2022",
      alias: { "escapement/edge": path.resolve("hosts/edge/index.ts") }, mainFields: ["module", "main"], tsconfigRaw: "{}",
    });
    const port = await freeTcpPort("0.0.0.0");
    const environment = { PORT: String(port), RELAY: `ws://127.0.0.1:${relay.local.port}/`, SOURCE: `nts:${server.address}:${server.kePort}`, CA: readFileSync(pki.ca, "utf8") };
    const names = Object.keys(environment);
    peer = new Peer("env", [...names.map((name) => `${name}=${environment[name as keyof typeof environment]}`), deno.command, "run", "--no-prompt", "--allow-net", `--allow-env=${names.join()}`, file]);
    url = `http://127.0.0.1:${port}/`;
    await untilReady("Deno to serve", async () => ((await fetch(`${url}nowhere`).catch(() => undefined)) ? true : undefined), peer);
  });
  afterAll(async () => {
    await Promise.all([peer?.stop(), relay?.close(), server?.[Symbol.asyncDispose]()]);
    rmSync(directory, { recursive: true, force: true });
  });

  it("asks by NTS, all of it through a relay", async () => {
    const told = (await (await fetch(`${url}ask`)).json()) as { offset: number; rootDistance: number };
    expect(told).toMatchObject({ authenticated: true });
    expect(Math.abs(told.offset)).toBeLessThan(told.rootDistance);
    expect(relay.stats).toMatchObject({ replies: 1, streams: 1 });
  });

  it("tells the time by HTTP and by WebSocket, with its bound", async () => {
    const asked = Date.now() / 1000;
    const { id, st, bound } = (await (await fetch(`${url}?12.5`)).json()) as { id: string; st: number; bound: number };
    expect(id).toBe("deno.example.org");
    expect(Math.abs(st - asked)).toBeLessThan(bound + Date.now() / 1000 - asked);
    expect(bound).toBeGreaterThanOrEqual(0.05);
    const socket = new WebSocket(url.replace("http:", "ws:"));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const next = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    socket.send("12.5");
    expect(JSON.parse(String(await next))).toMatchObject({ id, it: 12.5 });
    socket.close();
  });

  it("counts limits by the address that the platform tells, not by what a client writes", async () => {
    let asked = 0;
    const ask = async () => (await fetch(url, { headers: { "cf-connecting-ip": `192.0.2.${asked++ % 250}` } })).status;
    // Many at once, as a busy machine may answer no faster than it allows.
    await eventually("the limit", async () => ((await Promise.all(Array.from({ length: 80 }, ask))).includes(429) ? true : undefined));
  });
});
