// SPDX-License-Identifier: MIT OR Apache-2.0
/** The client before a fake WebSocket, whose other end is the test. */

import { describe, expect, it } from "vitest";
import type { Host } from "../host.ts";
import type { WebSocketConstructor, WebSocketLike } from "../websocket.ts";
import { relayHost, type RelayHost, type RelayOptions } from "./client.ts";
import { readFrame, RELAY_ERROR, SUBPROTOCOL, writeFrame, type Frame } from "./protocol.ts";

type Listener = (event: { data?: unknown; code?: number; reason?: string }) => void;

/** A relay that does what the test says. */
class FakeRelay {
  readonly sockets: FakeSocket[] = [];
  /** What is sent, by all sockets. */
  readonly sent: Frame[] = [];
  /** Lets connections come about; false: they stay in the air. */
  opens = true;
  protocol = SUBPROTOCOL;
  onFrame: (frame: Frame) => void = () => {};
  readonly WebSocket: WebSocketConstructor;

  constructor() {
    // A constructor that gives another object than `this`.
    const relay = this;
    this.WebSocket = class {
      constructor() {
        return new FakeSocket(relay);
      }
    } as unknown as WebSocketConstructor;
  }

  tell(frame: Frame): void {
    this.raw(writeFrame(frame).buffer);
  }

  raw(data: unknown): void {
    this.sockets.at(-1)!.emit("message", { data });
  }
}

class FakeSocket implements WebSocketLike {
  binaryType = "blob";
  readonly protocol: string;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #relay: FakeRelay;
  closed = false;

  constructor(relay: FakeRelay) {
    this.#relay = relay;
    this.protocol = relay.protocol;
    relay.sockets.push(this);
    if (relay.opens) queueMicrotask(() => this.emit("open", {}));
  }

  send(data: Uint8Array): void {
    const frame = readFrame(data)!;
    this.#relay.sent.push(frame);
    this.#relay.onFrame(frame);
  }

  close(): void {
    this.closed = true;
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  emit(type: string, event: Parameters<Listener>[0]): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}

/** A host whose clock the test turns. */
function made(options: Partial<RelayOptions> = {}): { relay: FakeRelay; host: RelayHost; clock: { ns: bigint } } {
  const relay = new FakeRelay();
  const clock = { ns: 1_000n };
  const base = { runtime: "browser", version: "1", clock: { now: () => clock.ns, monotonic: () => clock.ns, precision: 1e-3, description: "" }, random: (bytes: Uint8Array) => bytes } as unknown as Host;
  return { relay, clock, host: relayHost(base, { url: "ws://relay.example/", WebSocket: relay.WebSocket, timeout: 0.05, linger: 0.02, ...options }) };
}

const to = { address: "time.example.org", port: 123 };
const times = { t2: 5n, t3: 2n ** 63n, out: 0xffff_ffff, back: 1 };

async function udp(host: Host) {
  const came: { data: Uint8Array; receivedNs: bigint; address: string }[] = [];
  const errors: Error[] = [];
  const socket = await host.openUdp!({ family: 4, connect: to }, {
    onDatagram: ({ data, receivedNs, from }) => came.push({ data: data.slice(), receivedNs, address: from.address }),
    onError: (error) => errors.push(error),
  });
  return { socket, came, errors };
}

describe("datagrams by a relay", () => {
  it("are stamped by this host alone, whatever the relay says of its times", async () => {
    const reports: unknown[] = [];
    const { relay, host, clock } = made({ onReply: (report) => reports.push(report) });
    const { socket, came } = await udp(host);
    clock.ns = 2_000n;
    relay.onFrame = () => (clock.ns = 2_500n);
    expect(await socket.send(Uint8Array.of(9))).toEqual({ sentNs: 2_000n, stamp: "user" });
    clock.ns = 7_000n;
    relay.tell({ type: "reply", id: relay.sent[0]!.id, times, payload: Uint8Array.of(8) });
    expect(came).toEqual([{ data: Uint8Array.of(8), receivedNs: 7_000n, address: "time.example.org" }]);
    expect(reports).toEqual([{ target: to, roundTripNs: 5_000n, times }]);
    host.close();
  });

  it("get one reply each, and none for ids that nobody asked with", async () => {
    const { relay, host } = made();
    const { socket, came } = await udp(host);
    await socket.send(Uint8Array.of(9));
    const { id } = relay.sent[0]!;
    for (const wrong of [id + 1, 0, 0xffff_ffff]) relay.tell({ type: "reply", id: wrong, times, payload: Uint8Array.of(1) });
    // Of another kind than what was asked: the relay's own word is no reply of the target.
    relay.tell({ type: "timed", id, payload: Uint8Array.of(1) });
    relay.tell({ type: "data", id, payload: Uint8Array.of(1) });
    expect(came).toEqual([]);
    for (let twice = 0; twice < 2; twice++) relay.tell({ type: "reply", id, times, payload: Uint8Array.of(2) });
    expect(came.map(({ data }) => data)).toEqual([Uint8Array.of(2)]);
    host.close();
  });

  it("are unharmed by what is no frame", async () => {
    const { relay, host } = made();
    const { socket, came, errors } = await udp(host);
    await socket.send(Uint8Array.of(9));
    for (const odd of ["text", undefined, new ArrayBuffer(0), new ArrayBuffer(7), new ArrayBuffer(100_000), {}, new Uint8Array(12).fill(255)]) relay.raw(odd);
    expect([came, errors]).toEqual([[], []]);
    host.close();
  });

  it("fail with the relay's reason, once", async () => {
    const { relay, host } = made();
    const { socket, errors } = await udp(host);
    await socket.send(Uint8Array.of(9));
    for (let twice = 0; twice < 2; twice++) relay.tell({ type: "error", id: relay.sent[0]!.id, code: RELAY_ERROR.dns, text: "no such name" });
    expect(errors).toMatchObject([{ code: "DNS", message: expect.stringContaining("no such name") as string }]);
    host.close();
  });

  it("fail when the connection is lost, and the next makes a new one", async () => {
    const { relay, host } = made();
    const { socket, errors } = await udp(host);
    await socket.send(Uint8Array.of(9));
    relay.sockets[0]!.emit("close", { code: 1006, reason: "" });
    await expect.poll(() => errors).toMatchObject([{ code: "UNREACHABLE" }]);
    await socket.send(Uint8Array.of(9));
    expect(relay.sockets).toHaveLength(2);
    host.close();
  });

  it("bind nothing and reach no group", async () => {
    const { host } = made();
    const handlers = { onDatagram: () => {}, onError: () => {} };
    await expect(host.openUdp!({ family: 4, port: 123 }, handlers)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(host.openUdp!({ family: 4, broadcast: true }, handlers)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("the connection", () => {
  it("that does not come about is a timeout, for everybody who waits", async () => {
    const { relay, host } = made();
    relay.opens = false;
    const both = await Promise.allSettled([udp(host), host.connectTcp!(to, new AbortController().signal)]);
    expect(both).toMatchObject([{ status: "rejected", reason: { code: "TIMEOUT" } }, { status: "rejected", reason: { code: "TIMEOUT" } }]);
    expect(relay.sockets).toMatchObject([{ closed: true }]);
  });

  it("to something that does not speak these frames is refused", async () => {
    const { relay, host } = made();
    relay.protocol = "";
    await expect(udp(host)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it("ends a while after the last socket, and not before", async () => {
    const { relay, host } = made();
    const [one, other] = [await udp(host), await udp(host)];
    one.socket.close();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(relay.sockets).toMatchObject([{ closed: false }]);
    other.socket.close();
    await expect.poll(() => relay.sockets[0]!.closed).toBe(true);
  });

  it("is not made any more once closed", async () => {
    const { relay, host } = made();
    host.close();
    await expect(udp(host)).rejects.toMatchObject({ code: "ABORTED" });
    expect(relay.sockets).toHaveLength(0);
  });
});

describe("streams by a relay", () => {
  async function stream(host: Host, relay: FakeRelay) {
    relay.onFrame = (frame) => (frame.type === "open" ? queueMicrotask(() => relay.tell({ type: "opened", id: frame.id })) : undefined);
    return host.connectTcp!({ address: "time.example.org", port: 4460 }, new AbortController().signal);
  }

  it("come in order, whatever their pieces, and end with the relay's close", async () => {
    const { relay, host } = made();
    const tcp = await stream(host, relay);
    const { id } = relay.sent[0]!;
    for (const octet of [1, 2, 3]) relay.tell({ type: "data", id, payload: Uint8Array.of(octet) });
    relay.tell({ type: "close", id });
    const came = [];
    for (let data = await tcp.read(); data; data = await tcp.read()) came.push(...data);
    expect(came).toEqual([1, 2, 3]);
    host.close();
  });

  it("are written in frames that a relay takes", async () => {
    const { relay, host } = made();
    const tcp = await stream(host, relay);
    await tcp.write(new Uint8Array(40_000));
    const pieces = relay.sent.flatMap((frame) => (frame.type === "data" ? [frame.payload.length] : []));
    expect(pieces).toEqual([16_384, 16_384, 7_232]);
    tcp.close();
    await expect.poll(() => relay.sent.at(-1)?.type).toBe("close");
    host.close();
  });

  it("end when the relay sends more than anybody reads", async () => {
    const { relay, host } = made();
    const tcp = await stream(host, relay);
    const { id } = relay.sent[0]!;
    for (let count = 0; count < 20; count++) relay.tell({ type: "data", id, payload: new Uint8Array(16_384) });
    expect(await tcp.read()).toBeUndefined();
    host.close();
  });

  it("end when the signal fires while the relay says nothing", async () => {
    const { host } = made();
    const giveUp = new AbortController();
    const waiting = host.connectTcp!(to, giveUp.signal);
    giveUp.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
    host.close();
  });
});

describe("what a relay is given as", () => {
  it.each(["relay.example", "ftp://relay.example", "ws://user:secret@relay.example/", "ws://relay.example/#part", ""])("is not %j", (url) => {
    const error = (() => {
      try {
        return void made({ url });
      } catch (caught) {
        return caught as Error;
      }
    })();
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(error!.message).not.toContain("secret");
  });

  it("may be an http URL, which means the same place", () => {
    expect(() => made({ url: new URL("https://relay.example/x") })).not.toThrow();
  });
});
