// SPDX-License-Identifier: MIT OR Apache-2.0
/** A relay on Node with real sockets: each limit, and its twin within the limit. */

import { readFileSync } from "node:fs";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { lendHost } from "../../node/index.ts";
import type { Host } from "../host.ts";
import { LONGEST_FRAME, readFrame, RELAY_ERROR, SUBPROTOCOL, writeFrame, type Frame } from "./protocol.ts";
import { startRelay, type Relay, type RelayServerOptions } from "./server.ts";

const host: Host = await lendHost({ native: false });
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** An NTP server of its own kind: `answer` makes datagrams of each request. */
async function target(answer: (request: Buffer, from: RemoteInfo, socket: Socket) => readonly Uint8Array[]): Promise<{ port: number; requests: Buffer[] }> {
  const socket = createSocket("udp4");
  const requests: Buffer[] = [];
  socket.on("message", (request, from) => {
    requests.push(request);
    for (const reply of answer(request, from, socket)) socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  open.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { port: socket.address().port, requests };
}

/** A TCP server that sends back what it gets. */
async function echo(): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => void sockets.add(socket.on("error", () => {}).pipe(socket)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as net.AddressInfo).port;
}

async function relayTo(options: Partial<RelayServerOptions> = {}): Promise<Relay> {
  const relay = await startRelay(host, { listen: { address: "127.0.0.1", port: 0 }, allow: [], ...options });
  open.push(() => relay.close());
  return relay;
}

/** A client that speaks frames, octet by octet. */
class Client {
  readonly socket: WebSocket;
  readonly #frames: (Frame | string | Uint8Array)[] = [];
  #wake = () => {};
  readonly closed: Promise<number>;

  constructor({ local }: Relay, { protocol = SUBPROTOCOL as string | undefined, origin = undefined as string | undefined } = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${local.port}/`, protocol ? [protocol] : [], { ...(origin ? { origin } : {}) });
    this.socket.on("error", () => {});
    this.socket.on("message", (data: Buffer, isBinary) => {
      this.#frames.push(isBinary ? (protocol ? readFrame(new Uint8Array(data))! : new Uint8Array(data)) : data.toString());
      this.#wake();
    });
    this.closed = new Promise((resolve) => this.socket.once("close", resolve));
    open.push(() => this.socket.terminate());
  }

  async stands(): Promise<this> {
    await new Promise<void>((resolve, reject) => this.socket.once("open", () => resolve()).once("unexpected-response", (_, { statusCode }) => reject(new Error(String(statusCode)))));
    return this;
  }

  send(frame: Frame): void {
    this.socket.send(writeFrame(frame));
  }

  async next(): Promise<Frame | string | Uint8Array> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#frames.shift()!;
  }

  async asks(frame: Frame): Promise<Frame> {
    this.send(frame);
    return (await this.next()) as Frame;
  }
}

const connected = (relay: Relay, options = {}) => new Client(relay, options).stands();

function request(seed = 1, length = 48): Uint8Array {
  const packet = new Uint8Array(length);
  packet[0] = 0x23;
  packet.fill(seed, 40, 48);
  return packet;
}

/** A reply that a relay takes for one. */
function replyTo(asked: Uint8Array, length = asked.length): Uint8Array {
  const packet = new Uint8Array(length);
  packet[0] = 0x24;
  packet[1] = 1;
  packet.set(asked.subarray(40, 48), 24);
  return packet;
}

const datagram = (port: number, payload: Uint8Array, id = 1): Frame => ({ type: "datagram", id, host: "127.0.0.1", port, payload });

describe("datagrams", () => {
  it("go to a target, and one reply comes back with the relay's times", async () => {
    const { port } = await target((asked) => [replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`] });
    const client = await connected(relay);
    const before = host.clock.now();
    const answer = await client.asks(datagram(port, request()));
    expect(answer).toMatchObject({ type: "reply", id: 1, payload: replyTo(request()) });
    if (answer.type !== "reply") return;
    const { t2, t3, out, back } = answer.times;
    expect(t2 >= before && t3 >= t2 && t3 <= host.clock.now()).toBe(true);
    expect(BigInt(out + back)).toBeLessThanOrEqual(t3 - t2);
  });

  it("bring at most one reply, whatever the target sends", async () => {
    const { port } = await target((asked) => [replyTo(asked), replyTo(asked), replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`] });
    const client = await connected(relay);
    expect(await client.asks(datagram(port, request(), 1))).toMatchObject({ type: "reply", id: 1 });
    expect(await client.asks(datagram(port, request(), 2))).toMatchObject({ type: "reply", id: 2 });
    expect(relay.stats.replies).toBe(2);
  });

  it.each<[string, (asked: Buffer) => Uint8Array]>([
    ["longer than the request: nothing is amplified", (asked) => replyTo(asked, 52)],
    ["to another request", () => replyTo(request(9))],
    ["in another mode", (asked) => Uint8Array.of(0x23, ...replyTo(asked).subarray(1))],
    ["of another version", (asked) => Uint8Array.of(0x1c, ...replyTo(asked).subarray(1))],
  ])("do not bring a reply %s", async (_, forged) => {
    const { port } = await target((asked) => [forged(asked), replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`] });
    const client = await connected(relay);
    // It is passed over, and the true one is still waited for.
    expect(await client.asks(datagram(port, request()))).toMatchObject({ type: "reply", payload: replyTo(request()) });
    expect(relay.stats.passedOver).toBe(1);
  });

  it("do not bring what comes from another port than the target's", async () => {
    const stranger = createSocket("udp4");
    open.push(() => stranger.close());
    const { port } = await target((asked, from) => {
      stranger.send(replyTo(asked), from.port, from.address);
      return [];
    });
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`], limits: { replyTime: 0.2 } });
    expect(await (await connected(relay)).asks(datagram(port, request()))).toMatchObject({ type: "error", code: RELAY_ERROR.timeout });
  });

  it.each<[string, Uint8Array]>([
    ["a control message (mode 6)", Uint8Array.of(0x16, ...request().subarray(1))],
    ["a private message (mode 7)", Uint8Array.of(0x17, ...request().subarray(1))],
    ["a reply", replyTo(request())],
    ["a symmetric packet", Uint8Array.of(0x21, ...request().subarray(1))],
    ["something short", request().subarray(0, 44)],
    ["a short Roughtime request", new TextEncoder().encode("ROUGHTIM".padEnd(200))],
    ["a DNS query", new TextEncoder().encode("\u0001\u0002 some query of another protocol, and more of it ........")],
  ])("do not carry %s", async (_, payload) => {
    const { port, requests } = await target((asked) => [replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`] });
    const client = await connected(relay);
    expect(await client.asks(datagram(port, payload))).toMatchObject({ type: "error", code: RELAY_ERROR.payload });
    // The twin: a request of the same client is carried.
    expect(await client.asks(datagram(port, request()))).toMatchObject({ type: "reply" });
    expect(requests).toHaveLength(1);
  });

  it("do not go where the operator has not allowed", async () => {
    const { port, requests } = await target((asked) => [replyTo(asked)]);
    const relay = await relayTo({ allow: [`tcp:127.0.0.1:${port}`, `127.0.0.2:${port}`, `127.0.0.1:${port === 1 ? 2 : 1}`] });
    expect(await (await connected(relay)).asks(datagram(port, request()))).toMatchObject({ type: "error", code: RELAY_ERROR.forbidden });
    expect(requests).toHaveLength(0);
  });

  it("do not go to an address of this network by way of a name", async () => {
    const { port, requests } = await target((asked) => [replyTo(asked)]);
    const lying = { ...host, resolve: async () => [{ address: "127.0.0.1", family: 4 as const }] };
    const relay = await startRelay(lying, { listen: { address: "127.0.0.1", port: 0 }, allow: [`time.example.org:${port}`] });
    open.push(() => relay.close());
    const client = await connected(relay);
    expect(await client.asks({ type: "datagram", id: 1, host: "time.example.org", port, payload: request() })).toMatchObject({ type: "error", code: RELAY_ERROR.dns });
    expect(requests).toHaveLength(0);
  });

  it("end without an answer when time is up", async () => {
    const { port } = await target(() => []);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`], limits: { replyTime: 0.1 } });
    expect(await (await connected(relay)).asks(datagram(port, request()))).toMatchObject({ type: "error", code: RELAY_ERROR.timeout, id: 1 });
    expect(relay.stats.timeouts).toBe(1);
  });

  it("are not more at a time than allowed; those within go on", async () => {
    const { port, requests } = await target(() => []);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`], limits: { datagrams: 2 } });
    const client = await connected(relay);
    client.send(datagram(port, request(), 1));
    client.send(datagram(port, request(), 2));
    expect(await client.asks(datagram(port, request(), 3))).toMatchObject({ type: "error", id: 3, code: RELAY_ERROR.limit });
    await expect.poll(() => requests.length).toBe(2);
  });

  it("are not more from one address than its tokens, on any number of connections", async () => {
    const { port } = await target((asked) => [replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`], limits: { burst: 5, rate: 0.001 } });
    // Two of the five are the connections themselves.
    const [one, other] = [await connected(relay), await connected(relay)];
    const answers = [];
    for (const [client, id] of [[one, 1], [other, 2], [one, 3], [other, 4]] as const) answers.push((await client.asks(datagram(port, request(), id))).type);
    expect(answers).toEqual(["reply", "reply", "reply", "error"]);
    expect(relay.stats.limited).toBe(1);
  });
});

describe("streams", () => {
  const opening = (port: number, id = 7): Frame => ({ type: "open", id, host: "127.0.0.1", port });

  it("carry octets both ways, and end with either side", async () => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`] }));
    expect(await client.asks(opening(port))).toEqual({ type: "opened", id: 7 });
    expect(await client.asks({ type: "data", id: 7, payload: Uint8Array.of(1, 2, 3) })).toMatchObject({ type: "data", payload: Uint8Array.of(1, 2, 3) });
    expect(await client.asks({ type: "close", id: 7 })).toEqual({ type: "close", id: 7 });
  });

  it("do not go where only datagrams may", async () => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`udp:127.0.0.1:${port}`] }));
    expect(await client.asks(opening(port))).toMatchObject({ type: "error", code: RELAY_ERROR.forbidden });
  });

  it("are not more at a time than allowed", async () => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`], limits: { streams: 1 } }));
    expect(await client.asks(opening(port, 1))).toMatchObject({ type: "opened" });
    expect(await client.asks(opening(port, 2))).toMatchObject({ type: "error", code: RELAY_ERROR.limit });
    await client.asks({ type: "close", id: 1 });
    expect(await client.asks(opening(port, 3))).toMatchObject({ type: "opened" });
  });

  it("carry no more octets than allowed", async () => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`], limits: { streamOctets: 100 } }));
    await client.asks(opening(port));
    expect(await client.asks({ type: "data", id: 7, payload: new Uint8Array(100) })).toMatchObject({ type: "data" });
    expect(await client.asks({ type: "data", id: 7, payload: new Uint8Array(1) })).toMatchObject({ type: "error" });
  });

  it.each([["stand", { streamTime: 0.6 }], ["are silent", { streamIdle: 0.6 }]])("do not %s longer than allowed", async (_, limits) => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`], limits }));
    expect(await client.asks(opening(port))).toMatchObject({ type: "opened" });
    expect(await client.next()).toMatchObject({ type: "error", code: RELAY_ERROR.timeout });
  });

  it("say when nobody listens", async () => {
    const port = await echo();
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`] }));
    await open.splice(0, 1)[0]!();
    expect(await client.asks(opening(port))).toMatchObject({ type: "error", code: RELAY_ERROR.unreachable });
  });
});

describe("connections", () => {
  it("are closed by what is no frame, and others are not", async () => {
    const relay = await relayTo();
    const [bad, good] = [await connected(relay), await connected(relay)];
    bad.socket.send(Uint8Array.of(1, 2, 3));
    expect(await bad.next()).toMatchObject({ type: "error", code: RELAY_ERROR.malformed });
    expect(await bad.closed).toBe(1002);
    expect(good.socket.readyState).toBe(WebSocket.OPEN);
    expect(relay.stats).toMatchObject({ malformed: 1, openConnections: 1 });
  });

  it("are closed by a message that is too long", async () => {
    const client = await connected(await relayTo());
    client.socket.send(new Uint8Array(LONGEST_FRAME + 1));
    expect(await client.closed).toBe(1009);
  });

  it("that say an id twice are closed", async () => {
    const { port } = await target(() => []);
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`] }));
    client.send(datagram(port, request(), 5));
    client.send(datagram(port, request(), 5));
    expect(await client.closed).toBe(1002);
  });

  it.each([["nothing is asked", { connectionIdle: 0.15 }], ["time is up", { connectionTime: 0.15 }]])("are closed when %s", async (_, limits) => {
    const client = await connected(await relayTo({ limits }));
    expect(await client.closed).toBe(1001);
  });

  it.each<[string, RelayServerOptions["limits"]]>([["in all", { connections: 1 }], ["from one address", { connectionsPerAddress: 1 }]])("are not more %s than allowed; after one ends there is room", async (_, limits = {}) => {
    const relay = await relayTo({ limits });
    const first = await connected(relay);
    await expect(connected(relay)).rejects.toThrow("429");
    first.socket.close();
    await first.closed;
    await expect.poll(() => relay.stats.openConnections).toBe(0);
    await connected(relay);
  });

  it("from an origin that is not listed are refused", async () => {
    const relay = await relayTo({ origins: ["https://good.example"] });
    await expect(connected(relay, { origin: "https://evil.example" })).rejects.toThrow("403");
    await expect(connected(relay, { origin: "https://good.example.evil.example" })).rejects.toThrow("403");
    await connected(relay, { origin: "https://good.example" });
    expect(relay.stats.refusedConnections).toBe(2);
  });

  it("leave nothing behind", async () => {
    const { port } = await target(() => []);
    const tcp = await echo();
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`, `127.0.0.1:${tcp}`] });
    const client = await connected(relay);
    client.send(datagram(port, request(), 1));
    await client.asks({ type: "open", id: 2, host: "127.0.0.1", port: tcp });
    client.socket.terminate();
    await expect.poll(() => relay.stats).toMatchObject({ openConnections: 0, openStreams: 0 });
  });
});

describe("the time itself", () => {
  const time = { stratum: 2, rootDispersion: 0.25 };

  it("is told in NTP packets, in and out of frames, and in JSON", async () => {
    const relay = await relayTo({ time, id: "here" });
    const framed = await (await connected(relay)).asks({ type: "time", id: 3, payload: request() });
    expect(framed).toMatchObject({ type: "timed", id: 3 });
    const plain = await connected(relay, { protocol: "" });
    plain.socket.send(request());
    const packet = (await plain.next()) as Uint8Array;
    expect([packet.length, packet[0], packet[1]]).toEqual([48, 0x24, 2]);
    plain.socket.send("1700000000.5");
    expect(JSON.parse((await plain.next()) as string)).toMatchObject({ id: "here", it: 1700000000.5, leap: 36, next: 1483228800, step: 1 });
  });

  it("is not told when nobody vouches for it", async () => {
    const relay = await relayTo();
    const framed = await (await connected(relay)).asks({ type: "time", id: 3, payload: request() });
    // Leap 3: not synchronised.
    expect(framed.type === "timed" && framed.payload[0]! >> 6).toBe(3);
    const response = await fetch(`http://127.0.0.1:${relay.local.port}/`);
    expect(response.status).toBe(503);
    expect(await response.json()).not.toHaveProperty("st");
  });

  it("is no way to send to others without the subprotocol", async () => {
    const { port, requests } = await target((asked) => [replyTo(asked)]);
    const client = await connected(await relayTo({ allow: [`127.0.0.1:${port}`], time }), { protocol: "" });
    client.socket.send(writeFrame(datagram(port, request())));
    expect(await client.closed).toBe(1002);
    expect(requests).toHaveLength(0);
  });

  it("by HTTP is limited, too", async () => {
    const relay = await relayTo({ time, limits: { burst: 2, rate: 0.001 } });
    const statuses = [];
    for (let count = 0; count < 3; count++) statuses.push((await fetch(`http://127.0.0.1:${relay.local.port}/`)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});

describe("metrics", () => {
  const told = async ({ metrics }: Relay) => (await fetch(`http://127.0.0.1:${metrics!.port}/metrics`)).text();

  it("tell each counter, in another place than the relay, and end with it", async () => {
    const { port } = await target((asked) => [replyTo(asked)]);
    const relay = await relayTo({ allow: [`127.0.0.1:${port}`], metrics: { port: 0 } });
    const client = await connected(relay);
    await client.asks(datagram(port, request()));
    await client.asks(datagram(port === 1 ? 2 : 1, request(), 2));
    const text = await told(relay);
    for (const line of ["# TYPE escapement_relay_open_connections gauge", "escapement_relay_open_connections 1", "escapement_relay_replies_total 1", "escapement_relay_forbidden_total 1"]) expect(text.split("\n")).toContain(line);
    expect(text.endsWith("# EOF\n")).toBe(true);
    // What is counted is explained, here and in the documentation.
    expect(text).not.toContain("Counter ");
    const documentation = readFileSync("docs/relay.md", "utf8");
    for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) expect(documentation, name).toContain(`\`${name!.replace("escapement_relay_", "")}\``);
    expect((await fetch(`http://127.0.0.1:${relay.local.port}/metrics`)).status).toBe(404);
    await relay.close();
    await expect(told(relay)).rejects.toThrow();
  });

  it("leave no listener behind when the relay's port cannot be had", async () => {
    const first = await relayTo({ metrics: { port: 0 } });
    const place = first.metrics!;
    await first.close();
    const taken = await relayTo();
    await expect(relayTo({ listen: taken.local, metrics: { port: place.port } })).rejects.toMatchObject({ code: "SOCKET" });
    await (await relayTo({ metrics: { port: place.port } })).close();
  });
});
