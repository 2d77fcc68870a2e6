// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a page does through a relay that it does not trust, end to end in Chromium: NTS with chronyd, our own TLS 1.3 running in
 * the page; ML-KEM with a server on Node; Roughtime; the relay's own time; and what must fail.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lendHost } from "../../hosts/node/index.ts";
import { startRelay, type Relay } from "../../hosts/common/relay/server.ts";
import { Core } from "../../hosts/common/core/core.ts";
import { faceSession, wholeFace } from "../contract/page-face.ts";
import { pageSessionHash } from "../contract/page-session.ts";
import { RUNS, missing as missingRuntime } from "../contract/runtimes.ts";
import { chronyNtsServer } from "../interop/chrony-nts.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { Peer, untilReady, whySkipped } from "../support/peers.ts";
import { ownServer } from "../support/roughtime.ts";
import { chromiumPath, openBrowser, openPage, openStage, type StagePage } from "./stage.ts";

const missing = chromiumPath() === undefined;
if (missing) console.warn("NOT TESTED: escapement/browser in Chromium; npm run peers installs it");

const { pageSizes } = (await import(/* @vite-ignore */ new URL("../../build/sizes.mjs", import.meta.url).href)) as { pageSizes(): Record<string, { gzip: number }> };
const host = await lendHost();
const pki = new PkiFiles();
const stranger = new PkiFiles();
const ca = readFileSync(pki.ca, "utf8");

async function openRelay(allow: readonly string[]): Promise<{ relay: Relay; url: string }> {
  const relay = await startRelay(host, { listen: { address: "127.0.0.1", port: 0 }, allow, time: { stratum: 3, rootDispersion: 0.01 } });
  return { relay, url: `ws://127.0.0.1:${relay.local.port}/` };
}

describe.skipIf(missing)("a page in Chromium, through a relay", () => {
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser()));
  afterAll(() => browser?.close());

  /** A page that may connect to a relay with these targets. */
  async function through<T>(allow: readonly string[], act: (page: StagePage, url: string, sent: ReadonlyMap<string, number>) => Promise<T>): Promise<T> {
    const { relay, url } = await openRelay(allow);
    await using _ = relay;
    await using stage = await openStage({ connect: [url, url.replace("ws", "http")] });
    const page = await openPage(browser, stage);
    const result = await act(page, url, stage.sent);
    expect(page.complaints).toEqual([]);
    return result;
  }

  const chrony = whySkipped(["chronyd", "chronyc"]);
  test.skipIf(chrony)(`has NTS with chronyd, in a page and in a worker${chrony ? `: ${chrony}` : ""}`, async () => {
    await using server = await chronyNtsServer({ pki });
    const allow = [`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`];
    for (const where of ["page", "worker"] as const) {
      await through(allow, async (page, relay) => {
        const source = `nts:${server.address}:${server.kePort}`;
        const told = await page.run("query", { relay, source, nts: { ca } }, where);
        expect(told).toMatchObject({ authenticated: true, problems: 0, stratum: 1 });
        expect(Math.abs(told.offset)).toBeLessThan(told.rootDistance);
        console.log(`NTS in a ${where}: ${told.took.toFixed(0)} ms from nothing, offset ${(told.offset * 1e6).toFixed(0)} µs, delay ${(told.delay * 1e6).toFixed(0)} µs`);
      });
    }
  });

  test.skipIf(chrony)("loads for NTS what the table of sizes says, and nothing else", async () => {
    await using server = await chronyNtsServer({ pki });
    const { relay, url } = await openRelay([`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`]);
    await using _ = relay;
    // A page of its own: that of the other tests loads more at once.
    const files = {
      "/lean": "<!doctype html><link rel=icon href=data:,><script type=module src=/lean.js></script>",
      "/lean.js": 'import { query } from "/index.js"; globalThis.ask = (...all) => query(...all).then(({ authenticated }) => authenticated);',
    };
    await using stage = await openStage({ connect: [url], files });
    const page = await browser.newPage();
    await page.goto(`${stage.url}lean`);
    await page.waitForFunction("globalThis.ask !== undefined");
    const asked = JSON.stringify([`nts:${server.address}:${server.kePort}`, { relay: url, nts: { ca }, timeout: 20 }]);
    expect(await page.evaluate(`ask(...${asked})`)).toBe(true);
    const octets = [...stage.sent].filter(([path]) => !path.startsWith("/lean")).reduce((sum, [, one]) => sum + one, 0);
    expect(octets).toBe(pageSizes()["browser: NTS from nothing"]?.gzip);
  });

  test.skipIf(chrony)("loads the whole core only when it is needed, and goes on with that", async () => {
    await using server = await chronyNtsServer({ pki });
    await using roughtime = await ownServer(host);
    const allow = [`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`, `127.0.0.1:${roughtime.port}`];
    await through(allow, async (page, relay, sent) => {
      const nts = { relay, source: `nts:${server.address}:${server.kePort}`, nts: { ca } };
      const cores = () => [...sent.keys()].filter((path) => path.endsWith(".wasm"));
      expect(await page.run("query", nts)).toMatchObject({ authenticated: true, problems: 0 });
      expect(cores()).toEqual(["/query.wasm"]);
      const source = `roughtime:127.0.0.1:${roughtime.port}#${Buffer.from(roughtime.key.publicKey).toString("base64")}`;
      expect(await page.run("query", { relay, source })).toMatchObject({ authenticated: true });
      expect(await page.run("query", nts)).toMatchObject({ authenticated: true, problems: 0 });
      expect(cores()).toEqual(["/query.wasm", "/core.wasm"]);
    });
  });

  test.skipIf(chrony)("has a clock over NTS, for what the table of sizes says, and right within its bound", { timeout: 90_000 }, async () => {
    await using server = await chronyNtsServer({ pki });
    const allow = [`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`];
    for (const where of ["page", "worker"] as const) {
      await through(allow, async (page, relay, sent) => {
        const sources = [{ source: `nts:${server.address}:${server.kePort}`, nts: { ca } }];
        const { error, uncertainty, told, identifiers, went } = await page.run("followServers", { relay, sources }, where);
        expect(Math.abs(error)).toBeLessThan(uncertainty);
        expect(uncertainty).toBeLessThan(0.5);
        expect(told).toEqual([{ authentication: "nts", used: 4, selection: "survivor" }]);
        // Its own identifier, of ten bits, and the server's.
        expect(identifiers).toBeGreaterThan(10);
        expect(went).toBe(true);
        expect([...sent.keys()].filter((path) => path.endsWith(".wasm"))).toEqual(["/follow.wasm"]);
        console.log(`a clock over NTS in a ${where}: off by ${(error * 1e6).toFixed(0)} µs, bound ${(uncertainty * 1e6).toFixed(0)} µs`);
        const octets = [...sent].reduce((sum, [, one]) => sum + one, 0);
        if (where === "page") expect(octets).toBe(pageSizes()["browser: clock over NTS from nothing"]?.gzip);
      });
    }
  });

  test.skipIf(chrony)("has a clock that loads the whole core when a source needs it", { timeout: 90_000 }, async () => {
    await using server = await chronyNtsServer({ pki });
    await through([`udp:${server.address}:${server.port}`], async (page, relay, sent) => {
      const source = `ntp:${server.address}:${server.port}`;
      const cores = () => [...sent.keys()].filter((path) => path.endsWith(".wasm"));
      const plain = await page.run("followServers", { relay, sources: [source] });
      expect(Math.abs(plain.error)).toBeLessThan(plain.uncertainty);
      expect((await page.run("watched", { relay, sources: [source] })).at(-1)).toBe("synchronised");
      expect(cores()).toEqual(["/follow.wasm"]);
      const interleaved = await page.run("followServers", { relay, sources: [{ source, interleaved: true }] });
      expect(Math.abs(interleaved.error)).toBeLessThan(interleaved.uncertainty);
      expect(cores()).toEqual(["/follow.wasm", "/core.wasm"]);
    });
  });

  test.skipIf(chrony)("loads X25519 where the browser has none", async () => {
    await using server = await chronyNtsServer({ pki });
    await through([`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`], async (page, relay, sent) => {
      const asked = { relay, source: `nts:${server.address}:${server.kePort}`, nts: { ca } };
      const loaded = () => [...sent.keys()].some((path) => path.startsWith("/x25519-"));
      expect(await page.run("query", asked)).toMatchObject({ authenticated: true });
      expect(loaded()).toBe(false);
      expect(await page.run("queryWithout", { ...asked, algorithm: "X25519" })).toMatchObject({ authenticated: true, problems: 0 });
      expect(loaded()).toBe(true);
    });
  });

  test.skipIf(chrony)("does not believe a stranger's certificate, nor trust anybody by itself", async () => {
    await using server = await chronyNtsServer({ pki });
    await through([`tcp:${server.address}:${server.kePort}`, `udp:${server.address}:${server.port}`], async (page, relay) => {
      const source = `nts:${server.address}:${server.kePort}`;
      expect(await page.run("failure", { relay, source, nts: { ca: readFileSync(stranger.ca, "utf8") } })).toMatch(/^TLS:/);
      expect(await page.run("failure", { relay, source })).toMatch(/^UNSUPPORTED: .*root certificates.*"ca"/);
    });
  });

  const node24 = RUNS.find(({ name }) => /^Node 24/.test(name));
  const why = node24 ? missingRuntime(node24) : "no Node 24 among the runtimes";
  test.skipIf(why)(`agrees on keys by X25519MLKEM768 with a server on Node 24, and with nobody who has it not${why ? `: ${why}` : ""}`, async () => {
    const { certificate, key } = pki.issue("127.0.0.1");
    const child = await keServerCode();
    const served = async (command: string) => {
      const peer = new Peer(command, [child, "server", certificate, key]);
      try {
        const kePort = await untilReady("a key establishment server", () => (peer.stdout.includes("\n") ? (JSON.parse(peer.stdout) as { port: number }).port : undefined), peer);
        return await through([`tcp:127.0.0.1:${kePort}`], (page, relay) => page.run("failure", { relay, source: `nts:127.0.0.1:${kePort}`, nts: { ca, pq: "require" } }));
      } finally {
        await peer.stop();
      }
    };
    // Keys were had, and then there is no NTP server at 123 that the relay may ask.
    expect(await served(node24!.command)).toMatch(/127\.0\.0\.1:123/);
    // Node 20's OpenSSL has no ML-KEM.
    if (process.versions.node.startsWith("20.")) expect(await served(process.execPath)).toMatch(/^TLS:/);
  });

  test("has Roughtime, and no answer that another key signed", async () => {
    await using server = await ownServer(host);
    await using other = await ownServer(host);
    const text = (publicKey: Uint8Array) => Buffer.from(publicKey).toString("base64");
    await through([`127.0.0.1:${server.port}`], async (page, relay) => {
      const told = await page.run("query", { relay, source: `roughtime:127.0.0.1:${server.port}#${text(server.key.publicKey)}` });
      expect(told).toMatchObject({ authenticated: true });
      expect(Math.abs(told.offset)).toBeLessThan(told.rootDistance);
      expect(await page.run("failure", { relay, source: `roughtime:127.0.0.1:${server.port}#${text(other.key.publicKey)}` })).toMatch(/^TIMEOUT:/);
    });
  });

  test("asks the relay itself by WebSocket and by HTTP, and is told what is none of its targets", async () => {
    await through(["127.0.0.1:9"], async (page, relay) => {
      const told = await page.run("measure", { sources: [relay, relay.replace("ws", "http")] });
      expect(Math.abs(told.offset)).toBeLessThan(told.bound);
      const byHttp = await page.run("measure", { sources: [relay.replace("ws", "http")] });
      expect(Math.abs(byHttp.offset)).toBeLessThan(byHttp.bound);
      expect(await page.run("failure", { relay, source: "127.0.0.1:10" })).toMatch(/127\.0\.0\.1/);
    });
  });

  test("has small cores that say the same of the same packets", async () => {
    await using stage = await openStage();
    const [clock, asking] = [(await faceSession(wholeFace(new Core()))).hash, await pageSessionHash(new Core())];
    expect(await (await openPage(browser, stage)).run("smallCores", null)).toEqual({ clocks: [clock, clock], asking: [asking, asking] });
  });
});

/** tests/interop/nts-ke-child.ts for Node. */
async function keServerCode(): Promise<string> {
  const outfile = path.resolve(".cache/browser-ke-child.mjs");
  await build({
    entryPoints: ["tests/interop/nts-ke-child.ts"], outfile, bundle: true, format: "esm", platform: "neutral", target: "es2022",
    external: ["node:*", "bun:*", "koffi", "ws", "@noble/*"],
    alias: { "#host": "./hosts/node/index.ts", "#wasm": "./dist/wasm/base64.js", "#as-bind": "./dist/wasm/as-bind.js" },
  });
  return outfile;
}
