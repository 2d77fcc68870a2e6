// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * examples/worker in workerd itself, bundled as a deployment would: the core is a module that is imported, key establishment goes
 * by the Worker's own TCP, datagrams by a relay of ours, both to chronyd; and the Worker tells the time.
 */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startRelay, type Relay } from "../../hosts/common/relay/index.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { chronyNtsServer, type NtsChronyd } from "../interop/chrony-nts.ts";
import { numberIn } from "../interop/chrony.ts";
import { titled, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { missingWorkerd, startWorkerd, type Workerd } from "./workerd.ts";

const skipped = missingWorkerd() ?? whySkipped(["chronyd", "chronyc"]);
if (skipped) console.warn(`tests/edge: ${skipped}`);
const pki = new PkiFiles();

describe.skipIf(skipped)(titled("a Worker in workerd", skipped), () => {
  let server: NtsChronyd;
  let relay: Relay;
  let worker: Workerd;
  let url: string;
  beforeAll(async () => {
    server = await chronyNtsServer({ pki });
    relay = await startRelay(await lendHost(), { listen: { address: "127.0.0.1", port: 0 }, allow: [`udp:${server.address}:${server.port}`] });
    const bindings = { RELAY: `ws://127.0.0.1:${relay.local.port}/`, SOURCE: `nts:${server.address}:${server.kePort}`, CA: readFileSync(pki.ca, "utf8") };
    worker = await startWorkerd("examples/worker/worker.mjs", bindings);
    ({ url } = worker);
  });
  afterAll(async () => {
    await Promise.all([worker?.[Symbol.asyncDispose](), relay?.close(), server?.[Symbol.asyncDispose]()]);
  });

  it("asks by NTS: keys by its own TCP, datagrams by a relay that may carry nothing else", async () => {
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
