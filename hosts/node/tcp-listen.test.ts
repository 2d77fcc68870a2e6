// SPDX-License-Identifier: MIT OR Apache-2.0
/** Listening by TCP: streams both ways, their ends, the limit of connections. @module */

import { describe, expect, it } from "vitest";
import { connectTcp } from "../../tests/support/roughtime.ts";
import type { ByteStream } from "../common/stream.ts";
import { listenTcp } from "./tcp-listen.ts";

const ANY = { address: "127.0.0.1", port: 0 };
const signal = new AbortController().signal;

async function pair(maxConnections = 10) {
  const accepted: ByteStream[] = [];
  const listener = await listenTcp({ endpoint: ANY, maxConnections }, (stream) => void accepted.push(stream));
  const connect = async () => {
    const before = accepted.length;
    const stream = await connectTcp(listener.local, signal);
    for (let i = 0; i < 100 && accepted.length === before; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    return { ours: accepted[before], theirs: stream };
  };
  return { listener, accepted, connect };
}

describe("a listener", () => {
  it("gives both ends of a connection a stream, and the end of one ends the other", async () => {
    const { listener, connect } = await pair();
    const { ours, theirs } = await connect();
    await theirs.write(Uint8Array.of(1, 2, 3));
    expect([...(await ours!.read())!]).toEqual([1, 2, 3]);
    await ours!.write(Uint8Array.of(4));
    ours!.close();
    expect([...(await theirs.read())!]).toEqual([4]);
    expect(await theirs.read()).toBeUndefined();
    theirs.close();
    await listener.close();
  });

  it("ends a pending read when its own side closes", async () => {
    const { listener, connect } = await pair();
    const { ours, theirs } = await connect();
    const reading = ours!.read();
    ours!.close();
    ours!.close();
    expect(await reading).toBeUndefined();
    theirs.close();
    await listener.close();
  });

  it("refuses connections beyond its limit", async () => {
    const { listener, accepted, connect } = await pair(2);
    const two = [await connect(), await connect()];
    const third = await connectTcp(listener.local, signal);
    await expect(third.read().catch(() => undefined)).resolves.toBeUndefined();
    expect(accepted.length).toBe(2);
    for (const { ours, theirs } of two) (ours!.close(), theirs.close());
    third.close();
    await listener.close();
  });

  it("cannot have a port that is taken", async () => {
    const { listener } = await pair();
    await expect(listenTcp({ endpoint: listener.local, maxConnections: 1 }, () => {})).rejects.toMatchObject({ code: "EADDRINUSE" });
    await listener.close();
  });
});
