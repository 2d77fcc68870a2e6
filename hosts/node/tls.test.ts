// SPDX-License-Identifier: MIT OR Apache-2.0
/** TLS 1.3 on node:tls, both ends live on loopback: agreed protocol, equal keys, and everything that must not connect. */
import { createConnection, createServer } from "node:net";
import tls from "node:tls";
import { afterEach, describe, expect, it, vi } from "vitest";
import { issue, makeCa } from "../../tests/support/pki.ts";
import type { TlsClientOptions, TlsListener, TlsServerOptions, TlsStream } from "../common/stream.ts";
import { rootCertificates } from "./roots.ts";
import { connectTls, listenTls } from "./tls.ts";

const NAME = "ke.example";
const ca = makeCa();
const { certificate, key, pin } = issue(ca, { dns: [NAME], ips: ["127.0.0.1"] });
/** Whether this Node's OpenSSL has the group with ML-KEM. */
const hybrid = (() => {
  try {
    return tls.createSecureContext({ ecdhCurve: "X25519MLKEM768" }) !== undefined;
  } catch {
    return false;
  }
})();

const open: TlsListener[] = [];
afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())));

async function listen(options: Partial<TlsServerOptions> = {}) {
  const streams: TlsStream[] = [];
  const listener = await listenTls({ endpoint: { address: "127.0.0.1", port: 0 }, certificate, key, alpn: ["ntske/1"], maxConnections: 10, ...options }, (stream) => streams.push(stream));
  open.push(listener);
  return { listener, streams };
}

function connect(listener: TlsListener, options: Partial<TlsClientOptions> = {}): Promise<TlsStream> {
  return connectTls({ endpoint: listener.local, serverName: NAME, alpn: ["ntske/1"], ca: ca.certificate, pq: "off", signal: new AbortController().signal, ...options });
}

const soon = <T>(check: () => T) => vi.waitFor(check, 60_000);
const context = Uint8Array.of(0, 0, 0, 15, 0);

describe("two ends", () => {
  it("agree on TLS 1.3, the protocol, and the same exported keys", async () => {
    const { listener, streams } = await listen();
    const client = await connect(listener);
    const server = await soon(() => streams[0] ?? expect.unreachable());
    expect([client.alpn, server.alpn]).toEqual(["ntske/1", "ntske/1"]);
    expect(client.group).toBe("X25519");
    expect(client.cipher).toMatch(/^TLS_/);
    const [a, b] = await Promise.all([client, server].map((end) => end.exportKey("EXPORTER-network-time-security", context, 32)));
    expect(a).toEqual(b);
    expect(a!.length).toBe(32);
    expect(await client.exportKey("EXPORTER-network-time-security", Uint8Array.of(0, 0, 0, 15, 1), 32)).not.toEqual(a);
    client.close();
    server.close();
  });

  it("carry octets both ways, as a stream, to its end", async () => {
    const { listener, streams } = await listen();
    const client = await connect(listener);
    const server = await soon(() => streams[0] ?? expect.unreachable());
    const sent = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    const writing = client.write(sent);
    let came = Buffer.alloc(0);
    while (came.length < sent.length) came = Buffer.concat([came, (await server.read()) ?? new Uint8Array(1)]);
    await writing;
    expect(Buffer.compare(came, sent)).toBe(0);
    await server.write(Uint8Array.of(1, 2, 3));
    server.close();
    expect(await client.read()).toEqual(Uint8Array.of(1, 2, 3));
    expect(await client.read()).toBeUndefined();
    expect(await client.read()).toBeUndefined();
    await expect(server.write(Uint8Array.of(1))).rejects.toThrow("closed");
    client.close();
    client.close();
  });

  it("end a pending read when they are closed", async () => {
    const { listener } = await listen();
    const client = await connect(listener);
    const reading = client.read();
    client.close();
    expect(await reading).toBeUndefined();
  });

  it("tell an address for its name in the certificate", async () => {
    const { listener } = await listen();
    (await connect(listener, { serverName: "127.0.0.1" })).close();
  });

  it("give their key log lines to who asks", async () => {
    const lines: string[] = [];
    const { listener } = await listen();
    (await connect(listener, { keyLog: (line) => lines.push(line) })).close();
    expect(lines.some((line) => /^EXPORTER_SECRET [0-9a-f]{64} [0-9a-f]+$/.test(line))).toBe(true);
  });
});

describe("a client refuses", () => {
  const refusal = async (options: Partial<TlsClientOptions>, server: Partial<TlsServerOptions> = {}) => {
    const { listener } = await listen(server);
    return connect(listener, options).then((stream) => { stream.close(); throw new Error("connected"); }, (error: { code: string; message: string }) => error);
  };

  it("a root that is not trusted", async () => {
    expect(await refusal({ ca: makeCa().certificate })).toMatchObject({ code: "TLS" });
  });

  it("a root that is not given, with its own ones", async () => {
    expect(await refusal({ ca: undefined })).toMatchObject({ code: "TLS" });
  });

  it("another name", async () => {
    expect(await refusal({ serverName: "other.example" })).toMatchObject({ code: "TLS", message: expect.stringContaining("other.example") });
    expect(await refusal({ serverName: "127.0.0.2" })).toMatchObject({ code: "TLS" });
  });

  it("a certificate that has expired, or is not valid yet", async () => {
    for (const validity of [{ notAfter: Date.now() - 1000 }, { notBefore: Date.now() + 86_400_000 }]) {
      expect(await refusal({}, issue(ca, { dns: [NAME], ...validity }))).toMatchObject({ code: "TLS" });
    }
  });

  it("a chain without a pinned key; not one with it, be it the leaf's or the root's", async () => {
    expect(await refusal({ pins: [issue(ca).pin] })).toMatchObject({ code: "TLS", message: expect.stringContaining("pin") });
    const { listener } = await listen();
    for (const pins of [[pin], [ca.pin], [issue(ca).pin, pin]]) (await connect(listener, { pins })).close();
  });

  it("a pinned key whose chain is not trusted", async () => {
    expect(await refusal({ pins: [pin], ca: makeCa().certificate })).toMatchObject({ code: "TLS" });
  });

  it("another protocol, and a server that does not care", async () => {
    expect(await refusal({ alpn: ["h2"] })).toMatchObject({ code: "TLS" });
    const careless = tls.createServer({ cert: certificate, key, minVersion: "TLSv1.3" });
    await new Promise<void>((resolve) => careless.listen(0, "127.0.0.1", resolve));
    const endpoint = { address: "127.0.0.1", port: (careless.address() as { port: number }).port };
    await expect(connect({ local: endpoint } as TlsListener)).rejects.toMatchObject({ code: "TLS", message: expect.stringContaining("ntske/1") });
    careless.close();
  });

  it("TLS 1.2", async () => {
    const old = tls.createServer({ cert: certificate, key, maxVersion: "TLSv1.2", ALPNProtocols: ["ntske/1"] });
    await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
    await expect(connect({ local: { address: "127.0.0.1", port: (old.address() as { port: number }).port } } as TlsListener)).rejects.toMatchObject({ code: "TLS" });
    old.close();
  });

  it("to guess what it cannot do: a given time, and ML-KEM without OpenSSL 3.5", async () => {
    expect(await refusal({ time: Date.now() })).toMatchObject({ code: "UNSUPPORTED" });
    expect(await refusal({ time: "any" })).toMatchObject({ code: "UNSUPPORTED" });
    if (!hybrid) for (const pq of ["prefer", "require"] as const) expect(await refusal({ pq })).toMatchObject({ code: "UNSUPPORTED" });
  });

  // On others tests/interop/nts-ke.test.ts asks Node 24.
  if (hybrid) {
    it("a group without ML-KEM when it is required", async () => {
      const { listener } = await listen();
      expect((await connect(listener, { pq: "require" })).group).toBe("X25519MLKEM768");
      expect((await connect(listener, { pq: "prefer" })).group).toBe("X25519MLKEM768");
    });
  }

  it("to wait for ever: its signal ends a handshake that does not come", async () => {
    const silent = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const endpoint = { address: "127.0.0.1", port: (silent.address() as { port: number }).port };
    const controller = new AbortController();
    silent.once("connection", () => controller.abort("enough"));
    await expect(connect({ local: endpoint } as TlsListener, { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED", cause: "enough" });
    await expect(connect({ local: endpoint } as TlsListener, { signal: controller.signal })).rejects.toMatchObject({ code: "ABORTED" });
    await new Promise((resolve) => silent.close(resolve));
  });

  it("nobody: a closed port is unreachable", async () => {
    const { listener } = await listen();
    await listener.close();
    await expect(connect(listener)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });
});

describe("a server", () => {
  const raw = (listener: TlsListener, options: tls.ConnectionOptions = {}) =>
    new Promise<string>((resolve) => {
      const socket = tls.connect({ host: "127.0.0.1", port: listener.local.port, ca: ca.certificate, servername: NAME, ALPNProtocols: ["ntske/1"], ...options });
      socket.on("error", (error) => resolve(error.message));
      socket.on("secureConnect", () => resolve("secure"));
    });

  it("ends handshakes of another protocol and of TLS 1.2, and counts them", async () => {
    const { listener, streams } = await listen();
    expect(await raw(listener, { ALPNProtocols: ["h2"] })).toContain("alert");
    expect(await raw(listener, { maxVersion: "TLSv1.2" })).toContain("alert");
    await soon(() => expect(listener.failed).toBe(2));
    expect(streams).toEqual([]);
  });

  it("ends connections of clients that ask for no protocol", async () => {
    const { listener, streams } = await listen();
    const socket = tls.connect({ host: "127.0.0.1", port: listener.local.port, ca: ca.certificate, servername: NAME });
    await new Promise((resolve) => socket.on("close", resolve).on("error", () => {}));
    expect([listener.failed, streams.length]).toEqual([1, 0]);
  });

  it("ends connections that are not TLS, and those that say nothing, in time", async () => {
    const { listener } = await listen({ handshakeTimeout: 100 });
    for (const says of ["GET / HTTP/1.1\r\n\r\n", ""]) {
      const socket = createConnection(listener.local.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      socket.write(says);
      await new Promise((resolve) => socket.on("close", resolve));
    }
    expect(listener.failed).toBe(2);
  });

  it("closes at once who is one too many, or not admitted, before any handshake", async () => {
    let welcome = true;
    const { listener, streams } = await listen({ maxConnections: 2, admit: () => welcome });
    const first = await connect(listener);
    const second = await connect(listener);
    await expect(connect(listener)).rejects.toMatchObject({ code: "TLS" });
    second.close();
    await soon(() => streams[1] ?? expect.unreachable());
    streams[1]!.close();
    await soon(async () => (await connect(listener)).close());
    welcome = false;
    await expect(connect(listener)).rejects.toMatchObject({ code: "TLS" });
    expect(listener.refused).toBeGreaterThanOrEqual(2);
    expect(listener.failed).toBe(0);
    first.close();
  });

  it("takes another certificate while connections go on; keeps the old one when they do not fit", async () => {
    const { listener, streams } = await listen();
    const before = await connect(listener);
    const server = await soon(() => streams[0] ?? expect.unreachable());
    const next = issue(ca, { dns: ["next.example"] });
    expect(() => listener.renew(next.certificate, key)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => listener.renew("no certificate", "no key")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    (await connect(listener)).close();
    listener.renew(next.certificate, next.key);
    (await connect(listener, { serverName: "next.example" })).close();
    await expect(connect(listener)).rejects.toMatchObject({ code: "TLS" });
    await server.write(Uint8Array.of(7));
    expect(await before.read()).toEqual(Uint8Array.of(7));
    before.close();
  });

  it("says where it could not listen, and what is wrong with its certificate", async () => {
    const { listener } = await listen();
    await expect(listen({ endpoint: listener.local })).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining(String(listener.local.port)) });
    const error = await listen({ key: issue(ca).key }).catch((caught: unknown) => caught as Error & { code: string });
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((error as Error).message).not.toContain("PRIVATE KEY");
  });
});

describe("the root certificates", () => {
  it("are PEM, and many", async () => {
    expect((await rootCertificates()).match(/-----BEGIN CERTIFICATE-----/g)?.length).toBeGreaterThan(100);
  });
});
