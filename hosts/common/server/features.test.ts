// SPDX-License-Identifier: MIT OR Apache-2.0
/** What serve() does for and against its clients, on real loopback sockets: access, limits, interleaved mode, log, control, reload. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openUdp } from "../../node/udp.ts";
import { runtimeClock } from "../../node/clock.ts";
import type { Host, UdpSocket } from "../host.ts";
import { query } from "../client/query.ts";
import { serve, type ServeOptions, type Server } from "./serve.ts";
import type { Reconfiguration } from "./features.ts";

const LOOPBACK = "127.0.0.1";
/** Only a failure takes this long. */
const PATIENCE_MS = 60_000;
const clock = runtimeClock();
const host: Host = {
  runtime: "node", version: "", clock,
  random: (bytes) => crypto.getRandomValues(bytes),
  openUdp: (options, handlers) => openUdp(clock, options, handlers),
};

let server: Server;
let socket: UdpSocket;
let replies: Uint8Array[];
afterEach(async () => {
  socket?.close();
  await server?.close();
});
beforeEach(() => (replies = []));

async function start(options: ServeOptions = {}): Promise<void> {
  server = await serve(host, { listen: [LOOPBACK], port: 0, stratum: 2, ...options });
  socket = await openUdp(clock, { family: 4, address: LOOPBACK }, { onDatagram: ({ data }) => void replies.push(Uint8Array.from(data)), onError: () => {} });
}

const to = () => ({ address: LOOPBACK, port: server.addresses[0]!.port });
const query1 = (options = {}) => query(host, `${LOOPBACK}:${to().port}`, { timeout: 20, ...options });

/** Send, and wait until the server has dealt with it. */
async function send(octets: Uint8Array = request()): Promise<void> {
  const before = server.counters.received;
  await socket.send(octets, to());
  await vi.waitFor(() => expect(server.counters.received).toBe(before + 1), PATIENCE_MS);
}

function request(): Uint8Array {
  const octets = new Uint8Array(48);
  octets[0] = 0x23;
  return octets.fill(0x5a, 40);
}

const answers = async (count: number) => vi.waitFor(() => expect(replies.length).toBe(count), PATIENCE_MS);

describe("access", () => {
  it("by prefix decides who is answered, and can be changed at work", async () => {
    await start({ access: ["deny 127.0.0.0/8", "allow ::/0"] });
    await send();
    expect(server.counters).toMatchObject({ received: 1, denied: 1, answered: 0 });
    server.configure({ access: [] });
    expect((await query1()).usable).toBe(true);
    server.configure({ access: ["deny all", "allow 127.0.0.1"] });
    expect((await query1()).usable).toBe(true);
  });

  it("refused by a wrong rule stays as it was", async () => {
    await start();
    expect(() => server.configure({ access: ["deny all", "deny everybody"] })).toThrow(/expected "all", an address/);
    expect((await query1()).usable).toBe(true);
  });
});

describe("the rate limit", () => {
  it("answers a burst, then kisses once, then keeps silent; clients() and counters say so", async () => {
    await start({ rateLimit: { interval: 1000, burst: 2, leak: 0 } });
    for (let i = 0; i < 5; i++) await send();
    await answers(3);
    expect(replies.map((reply) => reply[1])).toEqual([2, 2, 0]);
    expect(String.fromCharCode(...replies[2]!.subarray(12, 16))).toBe("RATE");
    expect(server.counters).toMatchObject({ received: 5, answered: 3, limited: 2, kissesRate: 1 });
    expect(await server.clients()).toMatchObject([{ address: LOOPBACK, requests: 5, dropped: 3 }]);
    server.configure({ rateLimit: false });
    await send();
    await answers(4);
  });
});

describe("the client log", () => {
  it("is empty unless asked for", async () => {
    await start();
    await send();
    expect(await server.clients()).toEqual([]);
    server.configure({ clientLog: true });
    await send();
    expect(await server.clients()).toMatchObject([{ address: LOOPBACK, requests: 1 }]);
  });
});

/** Three exchanges, 2 s apart. */
const INTERLEAVED = { interleaved: true, timeout: 20 };

describe("interleaved mode", () => {
  it("is what query() finds when both sides are asked to", async () => {
    await start({ interleaved: true });
    expect(await query1(INTERLEAVED)).toMatchObject({ interleaved: true, usable: true });
    expect(server.counters.interleaved).toBeGreaterThan(0);
    await vi.waitFor(() => expect(server.counters.stamps).toBeGreaterThan(0), PATIENCE_MS);
  });

  it("is not offered by default, and does no harm with a clock of the caller's own", async () => {
    await start();
    expect((await query1(INTERLEAVED)).interleaved).toBe(false);
    await server.close();
    await start({ interleaved: true, clock: () => clock.now() + 3_600_000_000_000n });
    const sample = await query1(INTERLEAVED);
    expect(sample.interleaved).toBe(true);
    expect(Math.abs(sample.offset - 3600)).toBeLessThan(1);
    expect(server.counters.stamps).toBe(0);
  });
});

describe("control messages", () => {
  const readVariables = Uint8Array.of(0x16, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0);

  it("from loopback are answered where asked for, and counted", async () => {
    await start({ control: true });
    await send(readVariables);
    await answers(1);
    expect(new TextDecoder().decode(replies[0]!.subarray(12))).toContain("stratum=2");
    expect(server.counters).toMatchObject({ control: 1, answered: 0 });
    expect(server.stats).toMatchObject({ answered: 1, dropped: 0 });
  });

  it("are not, by default, nor from elsewhere than allowed", async () => {
    await start();
    await send(readVariables);
    await server.close();
    socket.close();
    await start({ control: { allow: ["192.0.2.0/24"] } });
    await send(readVariables);
    expect(server.counters).toMatchObject({ unanswerable: 1, control: 0 });
    expect(replies).toEqual([]);
  });
});

describe("a clock that nobody corrects any more", () => {
  it("is told to be worse and worse, and then not synchronised", async () => {
    let ahead = 0n;
    await start({ clock: () => clock.now() + ahead });
    server.update({ stratum: 2, rootDispersion: 0.5, referenceNs: clock.now() });
    const dispersion = async () => (await query1()).rootDispersion;
    expect(await dispersion()).toBeCloseTo(0.5, 3);
    ahead = 20_000_000_000_000n;
    expect(await dispersion()).toBeCloseTo(0.8, 2);
    ahead = 200_000_000_000_000n;
    expect(await query1()).toMatchObject({ leap: 3, stratum: 0, usable: false });
  });
});

describe("leap seconds", () => {
  const leapAtNs = 1_798_761_600_000_000_000n; // 2027-01-01

  it("are announced on the day before, by the clock that is served", async () => {
    let now = leapAtNs - 2n * 86_400_000_000_000n;
    await start({ clock: () => now, leap: 1, leapAtNs });
    expect((await query1()).leap).toBe(0);
    now = leapAtNs - 3_600_000_000_000n;
    expect((await query1()).leap).toBe(1);
  });

  it("are smeared from noon to noon instead", async () => {
    let now = leapAtNs - 6n * 3_600_000_000_000n;
    await start({ clock: () => now, leap: 1, leapAtNs, smear: { shape: "linear" } });
    const sample = await query1();
    expect(sample).toMatchObject({ leap: 0, refid: "127.127.1.255" });
    expect(Number(sample.t3 - now) / 1e9).toBeCloseTo(-0.25, 3);
    now = leapAtNs + 13n * 3_600_000_000_000n;
    expect(await query1()).toMatchObject({ leap: 0, refid: "127.127.1.1" });
  });
});

describe("a wrong option", () => {
  it.each<[ServeOptions, RegExp]>([
    [{ access: ["deny 1.2.3"] }, /an address or a prefix/], [{ rateLimit: { burst: 0 } }, /rateLimit\.burst/], [{ control: { allow: ["localhost"] } }, /an address or a prefix/],
    [{ smear: { seconds: 1 } }, /smear\.seconds/],
  ])("%j is refused before a socket is opened", async (options, reason) => {
    const refusing: Host = { ...host, openUdp: () => Promise.reject(new Error("a socket was opened")) };
    await expect(serve(refusing, options)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(reason) });
  });

  it("of update() changes nothing", async () => {
    await start();
    for (const update of [{ dispersionRate: 1 }, { maxDistance: 0 }]) expect(() => server.update(update)).toThrow(/expected a/);
    const wrong = { rateLimit: { interval: 0 } } satisfies Reconfiguration;
    expect(() => server.configure(wrong)).toThrow(/rateLimit\.interval/);
    expect((await query1()).usable).toBe(true);
  });
});
