// SPDX-License-Identifier: MIT OR Apache-2.0
/** The page over HTTP: who is answered, with what, and what it costs the sampling thread. Files are those of the last build. @module */

import http from "node:http";
import net from "node:net";
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lendHost } from "../hosts/node/index.ts";
import type { HttpListener } from "../hosts/common/host.ts";
import { isOwnName, startDashboard, type DashboardMeans, type DashboardState } from "./dashboard.ts";
import { Newest } from "./newest.ts";
import type { Snapshot } from "./report.ts";

const built = existsSync(new URL("../dist/dashboard/dashboard.js", import.meta.url));
if (!built) console.warn('SKIPPED: the page needs a build; run "node build/build.mjs --no-types"');

const NOW = 1_800_000_000_123_456_789n;
const SNAPSHOT = { tracking: { offset: -12e-6, uncertainty: 34e-5, frequencyPpm: 1.5, skewPpm: 0.01 }, sources: [{ source: "192.0.2.1" }], sourcestats: [] } as unknown as Snapshot;
const SERVED = { stats: { received: 9, answered: 7, dropped: 2, failed: 0 }, counters: { received: 9 } };
const CLIENTS = Array.from({ length: 40 }, (_, index) => ({ address: `192.0.2.${index}`, requests: 1, dropped: 0, authenticated: 0, interleaved: 0, last: index }));

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

let listener: HttpListener | undefined;
let asked: number;
let clientsAsked: number;
let answering: boolean;

/** A sampling thread that answers at once, as long as it is not busy. */
function meansOf(host: DashboardMeans["host"], more: Partial<DashboardMeans> = {}): DashboardMeans {
  const newest = new Newest(() => {
    asked += 1;
    if (answering) newest.take(SNAPSHOT);
  });
  const report = (topic: "serverstats" | "clients") => {
    if (topic === "serverstats") return SERVED;
    clientsAsked += 1;
    return Promise.resolve(CLIENTS);
  };
  return { host, newest, now: () => NOW, report, ...more };
}

async function open(more: Partial<DashboardMeans> = {}): Promise<void> {
  listener = await startDashboard({ address: "127.0.0.1", port: 0 }, meansOf(await lendHost(), more));
}

function get(path: string, { method = "GET", host }: { method?: string; host?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = listener!.local;
    const request = http.request({ host: "127.0.0.1", port, path, method, headers: host === undefined ? {} : { host } }, (response) => {
      let body = "";
      response.on("data", (data: Buffer) => (body += String(data)));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    request.on("error", reject).end();
  });
}

beforeEach(() => {
  asked = 0;
  clientsAsked = 0;
  answering = true;
});
afterEach(async () => {
  vi.useRealTimers();
  await listener?.close();
  listener = undefined;
});

describe.skipIf(!built)("the page over HTTP", () => {
  it.each([
    ["/", "text/html; charset=utf-8", "<title>escapement</title>"],
    ["/?x=1", "text/html; charset=utf-8", "<title>escapement</title>"],
    ["/dashboard.js", "text/javascript; charset=utf-8", "uPlot, Copyright (c) Leon Sorokin, MIT"],
    ["/dashboard.js.LEGAL.txt", "text/plain; charset=utf-8", "Permission is hereby granted, free of charge"],
    ["/dashboard.css", "text/css; charset=utf-8", "prefers-color-scheme:dark"],
    ["/icon.svg", "image/svg+xml", "<svg"],
  ])("has %s", async (path, type, text) => {
    await open();
    const { status, headers, body } = await get(path);
    expect([status, headers["content-type"]]).toEqual([200, type]);
    expect(body).toContain(text);
  });

  it("has no code or style in its markup, which its policy would refuse, and nothing from elsewhere", async () => {
    await open();
    const { body } = await get("/");
    expect(body).not.toMatch(/\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)|https?:/);
  });

  it("has a script that makes no markup of text, nor code", async () => {
    await open();
    expect((await get("/dashboard.js")).body).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment/);
  });

  it("tells what is known now, with the daemon's time as it is at the answer", async () => {
    await open();
    const { status, headers, body } = await get("/state.json");
    expect([status, headers["content-type"]]).toEqual([200, "application/json"]);
    const state = JSON.parse(body) as DashboardState;
    expect(state).toMatchObject({ ...SNAPSHOT, time: String(NOW), serverstats: SERVED });
    expect(Object.keys(state).sort()).toEqual(["age", "clients", "host", "serverstats", "sources", "sourcestats", "time", "tracking"]);
    expect(state.clients).toEqual(CLIENTS.slice(0, 12));
  });

  it("says that nobody is served", async () => {
    await open({ report: () => null });
    expect(JSON.parse((await get("/state.json")).body)).toMatchObject({ serverstats: null, clients: [] });
  });

  it("says that it knows nothing yet, rather than something else, and goes on", async () => {
    answering = false;
    await open();
    const { status, body } = await get("/state.json");
    expect([status, JSON.parse(body)]).toEqual([503, { error: expect.stringContaining("ask again") }]);
    answering = true;
    await expect.poll(async () => (await get("/state.json")).status).toBe(200);
  });

  it("keeps a point every ten seconds, and none while the sampling thread is too busy to tell", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    await open();
    const past = async () => JSON.parse((await get("/history.json")).body) as { time: number[]; offset: number[]; answered: number[] };
    await expect.poll(async () => (await past()).time.length).toBe(1);
    vi.advanceTimersByTime(10_000);
    await expect.poll(async () => (await past()).time.length).toBe(2);
    answering = false;
    vi.advanceTimersByTime(30_000);
    // Longer than a snapshot is awaited.
    await new Promise((resolve) => setTimeout(resolve, 2200));
    expect(await past()).toMatchObject({ time: [Number(NOW) / 1e9, Number(NOW) / 1e9], offset: [-12e-6, -12e-6], answered: [7, 7] });
  });

  it("costs the sampling thread one snapshot a second however many ask, the server one look at its clients", async () => {
    await open();
    const started = performance.now();
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 10 }, () => get("/state.json")));
    expect(asked).toBeLessThanOrEqual(2 + Math.floor((performance.now() - started) / 1000));
    expect(clientsAsked).toBeLessThanOrEqual(1 + Math.floor((performance.now() - started) / 10_000));
  });

  it("closes every connection once it is answered, and in the end those on which nothing is asked", async () => {
    await open();
    expect((await get("/")).headers.connection).toBe("close");
    const silent = net.connect(listener!.local.port, "127.0.0.1");
    await new Promise((resolve) => silent.on("close", resolve).on("error", () => {}));
  });

  it("answers sixteen at a time, turns away who is one too many, and takes the next when one has gone", async () => {
    await open();
    const held = await Promise.all(Array.from({ length: 16 }, () => new Promise<net.Socket>((resolve) => {
      const socket = net.connect(listener!.local.port, "127.0.0.1", () => resolve(socket));
      socket.on("error", () => {});
    })));
    await expect(get("/state.json")).rejects.toThrow();
    held[0]!.destroy();
    await expect.poll(() => get("/state.json").then(({ status }) => status, () => 0)).toBe(200);
    for (const socket of held) socket.destroy();
  });

  it("says why it cannot be where it is told to be", async () => {
    await open();
    const second = startDashboard(listener!.local, meansOf(await lendHost()));
    await expect(second).rejects.toThrow(`expected to serve the page on 127.0.0.1 port ${listener!.local.port}, got listen EADDRINUSE`);
    await expect(startDashboard(listener!.local, meansOf({ runtime: "browser" }))).rejects.toThrow("listen for HTTP");
  });

  it("is gone once it is closed", async () => {
    await open();
    await listener!.close();
    await expect(get("/")).rejects.toThrow("ECONNREFUSED");
  });
});

describe.skipIf(!built)("who may not", () => {
  it.each([["POST"], ["PUT"], ["DELETE"], ["OPTIONS"], ["PATCH"]])("%s: nothing can be changed", async (method) => {
    await open();
    for (const path of ["/", "/state.json", "/history.json"]) {
      const { status, headers } = await get(path, { method });
      expect([status, headers.allow]).toEqual([405, "GET, HEAD"]);
    }
    expect((await get("/state.json", { method: "HEAD" })).body).toBe("");
  });

  it.each([["/nothing"], ["//"], ["/index.html/"], ["/../package.json"], ["/%2e%2e/package.json"], ["/__proto__"], ["/dashboard.js.map"], ["http://127.0.0.1/state.json"]])("%s is nowhere", async (path) => {
    await open();
    expect((await get(path)).status).toBe(404);
  });

  it("a stranger's name that leads here (DNS rebinding) is told nothing, on no path", async () => {
    await open();
    for (const path of ["/", "/state.json", "/history.json", "/dashboard.js"]) {
      const { status, body } = await get(path, { host: `evil.example:${listener!.local.port}` });
      expect([status, body]).toEqual([421, expect.stringContaining('expected the host localhost or an IP address, got "evil.example')]);
      expect(body).not.toContain("192.0.2.1");
    }
    expect(asked).toBeLessThanOrEqual(1);
    expect((await get("/state.json", { host: `localhost:${listener!.local.port}` })).status).toBe(200);
  });

  it.each([["/"], ["/state.json"], ["/history.json"], ["/nothing"]])("pages of others: %s is not for them, and loads nothing from elsewhere", async (path) => {
    await open();
    const { headers } = await get(path);
    expect(headers).toMatchObject({
      "cross-origin-resource-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
    });
    const policy = headers["content-security-policy"] as string;
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) expect(policy.split("; ")).toContain(part);
    expect(policy).not.toMatch(/unsafe|\*|http/);
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("a name of ours", () => {
  it.each([["localhost"], ["localhost:8123"], ["LOCALHOST:1"], ["127.0.0.1"], ["127.0.0.1:8123"], ["192.0.2.7:80"], ["[::1]:8123"], ["[2001:db8::1]"]])("is %s", (host) => expect(isOwnName(host)).toBe(true));

  it.each([[undefined], [""], ["evil.example"], ["localhost.evil.example"], ["evil.localhost"], ["127.0.0.1.evil.example:80"], ["127.1"], ["2130706433"], ["0x7f000001"], ["::1"], ["[evil]"], ["[127.0.0.1]"], ["localhost:x"], ["localhost:"], ["@localhost"], ["localhost, evil"], ["127.0.0.1:80:80"], [" localhost"]])("is not %j", (host) =>
    expect(isOwnName(host)).toBe(false));
});
