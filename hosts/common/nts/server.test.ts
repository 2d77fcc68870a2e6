// SPDX-License-Identifier: MIT OR Apache-2.0
/** The key establishment server: whole exchanges with our client over real TLS, and its limits against in-memory strangers. */
import { connect as netConnect } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { afterEach, describe, expect, it, vi } from "vitest";
import { testJar } from "../../../tests/support/cookies.ts";
import { issue, makeCa } from "../../../tests/support/pki.ts";
import { PairedStream, streamPair } from "../../../tests/support/tls-pair.ts";
import { lendHost } from "../../node/index.ts";
import { readKeMessage, writeKeMessage } from "../core/cold.ts";
import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { TlsListener, TlsServerOptions, TlsStream } from "../stream.ts";
import { establishKeys } from "./client.ts";
import { keRequest } from "./establish.ts";
import { RECORD, endRecord, numbersOf, numbersRecord } from "./records.ts";
import { serveKe, type KeServer, type KeServerOptions } from "./server.ts";

const ca = makeCa();
const jar = testJar();
const NAME = "localhost";
const pair = issue(ca, { dns: [NAME], ips: ["127.0.0.1", "::1"] });
const node = await lendHost({ native: false });

const servers: KeServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(options: Partial<KeServerOptions> = {}, host: Host = node): Promise<KeServer> {
  const server = await serveKe(host, { certificate: pair.certificate, key: pair.key, jar, listen: ["127.0.0.1"], port: 0, ...options });
  servers.push(server);
  return server;
}

const ask = (server: KeServer, options = {}) => establishKeys(node, { host: "127.0.0.1", kePort: server.addresses[0]!.port, ca: ca.certificate, pq: "off", ...options });
const soon = <T>(check: () => T) => vi.waitFor(check, 60_000);

/** A host whose connections are in memory: `visit` gives the stranger's end. */
function strangers() {
  let options!: TlsServerOptions;
  let accepted!: (stream: TlsStream, from: { address: string; port: number }) => void;
  const listenTls: Host["listenTls"] = async (given, handler) => {
    [options, accepted] = [given, handler];
    return { local: given.endpoint, failed: 0, refused: 0, renew() {}, close: async () => {} } satisfies TlsListener;
  };
  const visit = (address = "192.0.2.1"): PairedStream => {
    const [client, server] = streamPair();
    accepted(server, { address, port: 1 });
    return client;
  };
  return { host: { ...node, listenTls } as Host, visit, options: () => options };
}

/** What the server answers, by types and numbers, until it ends the connection. */
async function answerOf(stream: PairedStream): Promise<unknown> {
  const octets: number[] = [];
  for (let data = await stream.read(); data; data = await stream.read()) octets.push(...data);
  const told = readKeMessage(Uint8Array.from(octets), { octets: 65536, records: 64 });
  return told.verdict === "complete" ? told.records.map(({ type, body }) => [type, ...(body.length <= 4 ? numbersOf(body) : [])]) : told;
}

describe("key establishment over TLS", () => {
  it("gives our client eight cookies with its own keys in them", async () => {
    const server = await serve();
    const { cookies, c2s, s2c, aead, host, port } = await ask(server);
    expect({ aead, host, port }).toEqual({ aead: 30, host: "127.0.0.1", port: 123 });
    expect(cookies.length).toBe(8);
    for (const cookie of cookies) expect(jar.open(cookie)).toEqual({ aead, c2s, s2c });
    expect(server.stats).toMatchObject({ accepted: 1, served: 1, late: 0, gone: 0, handshakesFailed: 0 });
  });

  it("goes on under both certificates while one is renewed, and drops nobody", async () => {
    const server = await serve();
    const asking = Array.from({ length: 4 }, () => ask(server));
    const next = issue(ca, { dns: [NAME], ips: ["127.0.0.1"] });
    server.renew(next.certificate, next.key);
    await Promise.all(asking);
    await ask(server, { pins: [next.pin] });
    expect(() => server.renew(next.certificate, pair.key)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    await ask(server, { pins: [next.pin] });
    expect(server.stats.served).toBe(6);
  });

  it("answers on several addresses at one port", async () => {
    const server = await serve({ listen: ["127.0.0.1", "127.0.0.2"] });
    expect(new Set(server.addresses.map(({ port }) => port)).size).toBe(1);
    await ask(server, { host: "127.0.0.1" });
  });

  it("turns away an address that comes too often, before its handshake; others not", async () => {
    const server = await serve({ limits: { rate: { rate: 0, burst: 2, entries: 10 } }, listen: ["127.0.0.1"] });
    await ask(server);
    await ask(server);
    await expect(ask(server)).rejects.toMatchObject({ code: "TLS" });
    expect(server.stats).toMatchObject({ served: 2, refused: 1, handshakesFailed: 0 });
    const socket = netConnect({ host: "127.0.0.1", port: server.addresses[0]!.port, localAddress: "127.0.0.9" });
    const other = tlsConnect({ socket, ca: ca.certificate, servername: NAME, ALPNProtocols: ["ntske/1"] });
    await new Promise<void>((resolve, reject) => other.on("secureConnect", resolve).on("error", reject));
    other.destroy();
  });

  it("ends all connections when it closes", async () => {
    const server = await serve();
    const { port: kePort } = server.addresses[0]!;
    const socket = tlsConnect({ host: "127.0.0.1", port: kePort, ca: ca.certificate, servername: NAME, ALPNProtocols: ["ntske/1"] });
    await new Promise<void>((resolve, reject) => socket.on("secureConnect", resolve).on("error", reject));
    const closed = new Promise((resolve) => socket.on("close", resolve).on("error", () => {}));
    await server.close();
    await closed;
    await expect(establishKeys(node, { host: "127.0.0.1", kePort, pq: "off" })).rejects.toMatchObject({ code: "UNREACHABLE" });
  });
});

describe("a stranger", () => {
  it("that says nothing is let go in time, and so is one that never ends its request", async () => {
    const { host, visit } = strangers();
    const server = await serve({ limits: { timeout: 0.05 } }, host);
    const silent = visit();
    const slow = visit();
    await slow.write(Uint8Array.of(0x80, 1, 0, 2));
    await Promise.all([silent, slow].map((stream) => answerOf(stream)));
    await soon(() => expect(server.stats).toMatchObject({ accepted: 2, late: 2, gone: 0 }));
  });

  it("that leaves is forgotten", async () => {
    const { host, visit } = strangers();
    const server = await serve({}, host);
    const leaving = visit();
    await leaving.write(Uint8Array.of(0x80, 1));
    leaving.close();
    await soon(() => expect(server.stats).toMatchObject({ gone: 1, late: 0 }));
  });

  it("cannot hold more connections than its share, nor others' shares; IPv6 counts by /64", async () => {
    const { host, visit } = strangers();
    const server = await serve({ limits: { connectionsOfAddress: 2 } }, host);
    const held = [visit("2001:db8::1"), visit("2001:db8::2")];
    expect(await visit("2001:db8::3").read()).toBeUndefined();
    expect(server.stats).toMatchObject({ accepted: 2, refused: 1 });
    const other = visit("2001:db8:0:1::1");
    await other.write(writeKeMessage(keRequest({ aeads: [15] })));
    expect(await answerOf(other)).toContainEqual([RECORD.aead, 15]);
    held[0]!.close();
    await soon(() => expect(server.stats.gone).toBe(1));
    expect(await Promise.race([visit("2001:db8::4").read(), new Promise((resolve) => setTimeout(resolve, 20, "held"))])).toBe("held");
  });

  it("that floods is refused at the limit", async () => {
    const { host, visit } = strangers();
    const server = await serve({}, host);
    const flood = visit();
    await flood.write(new Uint8Array(1_000_000).fill(0x41));
    expect(await answerOf(flood)).toEqual([[RECORD.error, 1], [RECORD.end]]);
    expect(server.stats).toMatchObject({ badRequest: 1 });
  });

  it("is answered by RFC 8915's errors, and nothing in common by an empty list", async () => {
    const { host, visit } = strangers();
    const server = await serve({}, host);
    const answers = async (...records: Parameters<typeof writeKeMessage>[0]) => {
      const stream = visit();
      await stream.write(writeKeMessage([...records, endRecord]));
      return answerOf(stream);
    };
    expect(await answers({ type: 0x2000, critical: true, body: new Uint8Array(0) })).toEqual([[2, 0], [0]]);
    expect(await answers(numbersRecord(4, true, [15]))).toEqual([[2, 1], [0]]);
    expect(await answers(numbersRecord(1, true, [9]), numbersRecord(4, true, [15]))).toEqual([[1], [0]]);
    expect(await answers(numbersRecord(1, true, [0]), numbersRecord(4, true, [9]))).toEqual([[1, 0], [4], [0]]);
    expect(server.stats).toMatchObject({ unknownCritical: 1, badRequest: 1, nothingInCommon: 2, served: 0 });
  });

  it("that does not read its answer is let go in time", async () => {
    const { host, visit } = strangers();
    const server = await serve({ limits: { timeout: 0.05 } }, host);
    const stream = visit();
    stream.other.write = () => new Promise((_, reject) => {
      const { close } = stream.other;
      stream.other.close = () => { close.call(stream.other); reject(new Error("closed")); };
    });
    await stream.write(writeKeMessage(keRequest({})));
    await soon(() => expect(server.stats).toMatchObject({ late: 1, served: 0 }));
  });
});

describe("a server cannot be had", () => {
  it("on Deno, and the error says why", async () => {
    const { listenTls: _, ...without } = node;
    await expect(serve({}, { ...without, runtime: "deno" } as Host)).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("exporter") });
    await expect(serve({}, { ...without, runtime: "edge" } as Host)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("with options that have no meaning", async () => {
    for (const options of [{ aeads: [1] }, { servers: [] }, { listen: [] }, { certificate: "x" }]) await expect(serve(options)).rejects.toBeInstanceOf(NtpError);
  });

  it("on a port that is taken; nothing stays open", async () => {
    const { addresses: [{ port }] } = (await serve()) as { addresses: [{ port: number }] } & KeServer;
    await expect(serve({ listen: ["127.0.0.2", "127.0.0.1"], port })).rejects.toMatchObject({ code: "SOCKET" });
    await serve({ listen: ["127.0.0.2"], port });
  });
});
