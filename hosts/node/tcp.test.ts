// SPDX-License-Identifier: MIT OR Apache-2.0
/** The stream on `node:net`. The same things on Deno and Bun, as far as TLS needs them: tests/interop/tls.test.ts. */
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { ByteStream } from "../common/stream.ts";
import { connectTcp } from "./tcp.ts";

const opened: net.Server[] = [];
afterEach(() => opened.splice(0).forEach((server) => server.close()));

/** A connection, and the server's end of it. */
async function pair(): Promise<{ stream: ByteStream; peer: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  opened.push(server);
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const stream = await connectTcp({ address: "127.0.0.1", port }, AbortSignal.timeout(10_000));
  const peer = await accepted;
  peer.on("error", () => {});
  return { stream, peer };
}

async function all(stream: ByteStream): Promise<number> {
  let length = 0;
  for (let data = await stream.read(); data; data = await stream.read()) length += data.length;
  return length;
}

describe("a TCP stream", () => {
  test("gives all that came, and then its end", async () => {
    const { stream, peer } = await pair();
    peer.end(new Uint8Array(1_000_000));
    expect(await all(stream)).toBe(1_000_000);
    expect(await stream.read()).toBeUndefined();
    stream.close();
  });

  test("holds back a sender that nobody reads from", async () => {
    const { stream, peer } = await pair();
    const size = 64 << 20;
    const sent = new Promise<void>((resolve) => peer.end(new Uint8Array(size), resolve));
    const first = await Promise.race([sent.then(() => "all of it was taken"), new Promise((resolve) => setTimeout(resolve, 200, "held back"))]);
    expect(first).toBe("held back");
    expect(await all(stream)).toBe(size);
    stream.close();
  });

  test("sends what was written before it was closed", async () => {
    const { stream, peer } = await pair();
    let length = 0;
    const ended = new Promise<void>((resolve) => peer.on("data", (data) => (length += data.length)).on("end", resolve));
    void stream.write(new Uint8Array(300_000));
    stream.close();
    stream.close();
    await ended;
    expect(length).toBe(300_000);
    peer.destroy();
  });

  test("ends a pending read when it is closed", async () => {
    const { stream, peer } = await pair();
    const pending = stream.read();
    stream.close();
    expect(await pending).toBeUndefined();
    expect(await stream.read()).toBeUndefined();
    peer.destroy();
  });

  test("fails when the connection is reset, on either side of it", async () => {
    const { stream, peer } = await pair();
    peer.resetAndDestroy();
    await expect(stream.read()).rejects.toThrow(/ECONNRESET/);
    await expect(stream.write(new Uint8Array(10))).rejects.toThrow();
  });
});

describe("connecting", () => {
  test("to a port where nobody listens is UNREACHABLE, and says where", async () => {
    const { peer } = await pair();
    const port = await new Promise<number>((resolve) => {
      const server = net.createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as net.AddressInfo;
        server.close(() => resolve(port));
      });
    });
    const attempt = connectTcp({ address: "127.0.0.1", port }, AbortSignal.timeout(10_000));
    await expect(attempt).rejects.toMatchObject({ code: "UNREACHABLE", message: expect.stringContaining(`127.0.0.1:${port} (ECONNREFUSED)`) });
    peer.destroy();
  });

  test("ends by its signal: TIMEOUT or ABORTED", async () => {
    const reason = new Error("enough");
    await expect(connectTcp({ address: "127.0.0.1", port: 1 }, AbortSignal.abort(reason))).rejects.toMatchObject({ code: "ABORTED", cause: reason });
    // 192.0.2.0/24 is for documentation: a connection to it hangs or fails, depending on the network.
    const late = connectTcp({ address: "192.0.2.1", port: 9 }, AbortSignal.timeout(30));
    await expect(late).rejects.toMatchObject({ code: expect.stringMatching(/^(TIMEOUT|UNREACHABLE)$/) });
  });
});
