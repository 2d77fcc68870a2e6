// SPDX-License-Identifier: MIT OR Apache-2.0
/** The server on loopback: batches, limits, silence when it cannot vouch, rotation, streams good and bad, and its end. @module */

import { afterEach, describe, expect, it, vi } from "vitest";
import { hasIPv6 } from "../../../tests/support/peers.ts";
import { connectTcp, nowSeconds, ownServer, tcpHost, type OwnServer } from "../../../tests/support/roughtime.ts";
import type { UdpSocket } from "../host.ts";
import { askServer } from "./client.ts";
import { delegate, delegations, generateKey } from "./keys.ts";
import { packetsOf } from "./packets.ts";
import { drawNonce, makeRequest } from "./request.ts";
import { verifyResponse } from "./response.ts";
import { serveRoughtime, type RoughtimeServeOptions } from "./server.ts";

const host = await tcpHost();
const open: AsyncDisposable[] = [];
afterEach(async () => void (await Promise.all(open.splice(0).map((one) => one[Symbol.asyncDispose]()))));

async function own(options: Parameters<typeof ownServer>[1] = {}): Promise<OwnServer> {
  const server = await ownServer(host, options);
  open.push(server);
  return server;
}

const requestTo = ({ key }: OwnServer) => makeRequest(key.publicKey, drawNonce(host).nonce);

/** What is waited for where nothing is to come, ms. */
const SILENCE = 300;

/** Send these datagrams at once; what came back, at the latest after `ms`. */
async function exchange({ port }: OwnServer, requests: readonly Uint8Array[], ms = 60_000): Promise<Uint8Array[]> {
  const answers: Uint8Array[] = [];
  const socket: UdpSocket = await host.openUdp!({ family: 4, connect: { address: "127.0.0.1", port } }, { onDatagram: ({ data }) => void answers.push(data.slice()), onError() {} });
  await Promise.all(requests.map((request) => socket.send(request)));
  const end = performance.now() + ms;
  while (answers.length < requests.length && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.close();
  return answers;
}

/** Of each request, what a valid answer among these says. */
const heard = (server: OwnServer, requests: readonly Uint8Array[], answers: readonly Uint8Array[]) =>
  requests.map((request) => answers.map((answer) => verifyResponse(answer, request, server.key.publicKey).answer).find((answer) => answer !== undefined));

describe("a server", () => {
  it("answers what comes together with one signature, each validly", async () => {
    const server = await own({ gather: 100 });
    const requests = Array.from({ length: 40 }, () => requestTo(server));
    const answers = heard(server, requests, await exchange(server, requests));
    expect(answers.every((answer) => answer !== undefined)).toBe(true);
    expect(server.server.stats).toMatchObject({ received: 40, answered: 40, dropped: 0, limited: 0 });
    // One, where all of them come within a tenth of a second.
    expect(server.server.stats.signatures).toBeLessThanOrEqual(10);
  });

  it("signs a radius of its clock's error and half a second, rounded up, and of 3 s at the least", async () => {
    for (const [error, leastRadius, radius] of [[0.01, undefined, 3], [0.01, 1, 1], [3.5, undefined, 4], [3.51, undefined, 5], [100, 1, 101]] as const) {
      const server = await own({ radius: () => error, ...(leastRadius ? { leastRadius } : {}) });
      expect((await askServer(host, server.entry)).answer.radius).toBe(radius);
    }
  });

  it.each([["its clock's error is not known", { radius: () => undefined }], ["its clock's error is infinite", { radius: () => Infinity }], ["that error is no number", { radius: () => NaN }]])("answers nobody while %s", async (_, options) => {
    const server = await own(options);
    expect(await exchange(server, [requestTo(server)], SILENCE)).toEqual([]);
    expect(server.server.stats).toMatchObject({ answered: 0, unready: 1, signatures: 0 });
  });

  it("answers nobody when no delegation holds, and again once there is one", async () => {
    const key = generateKey(host);
    const over = { publicKey: key.publicKey, delegations: [delegate(host, key, nowSeconds() - 20n, nowSeconds() - 10n)] };
    const server = await own({ key, keys: over });
    expect(await exchange(server, [requestTo(server)], SILENCE)).toEqual([]);
    server.server.renew(delegations(host, key, { start: nowSeconds(), days: 1, count: 1 }));
    expect((await askServer(host, server.entry)).answer.notAfter).toBeGreaterThan(nowSeconds() + 86_000n);
  });

  it("rotates its online keys: a newer delegation is used as soon as it holds", async () => {
    const key = generateKey(host);
    let aheadNs = 0n;
    const keys = delegations(host, key, { start: nowSeconds(), days: 1, count: 2 });
    const server = await own({ key, keys, clock: () => host.clock.now() + aheadNs });
    const before = (await askServer(host, server.entry)).answer;
    aheadNs = 86_400_000_000_000n;
    const after = (await askServer(host, server.entry)).answer;
    expect(after.notBefore - before.notBefore).toBe(86_400n);
  });

  it("takes no delegations of another long-term key", async () => {
    const server = await own();
    expect(() => server.server.renew(delegations(host, generateKey(host), { start: nowSeconds(), days: 1, count: 1 }))).toThrow("same long-term key");
  });

  it("limits an address to its burst, and says nothing beyond", async () => {
    const server = await own({ rate: 0.01, burst: 10 });
    const requests = Array.from({ length: 50 }, () => requestTo(server));
    const answers = exchange(server, requests, 1000);
    await vi.waitFor(() => expect(server.server.stats.received).toBe(50), 60_000);
    expect((await answers).length).toBe(10);
    expect(server.server.stats).toMatchObject({ received: 50, answered: 10, limited: 40 });
  });

  it("is silent to junk, to short requests and to responses", async () => {
    const server = await own();
    const request = requestTo(server);
    const [answer] = await exchange(server, [request]);
    const junk = [new Uint8Array(0), new Uint8Array(1036), request.subarray(0, 1035), answer!, new Uint8Array(3000).fill(7)];
    expect(await exchange(server, junk, SILENCE)).toEqual([]);
    expect(server.server.stats.answered).toBe(1);
    expect((await askServer(host, server.entry)).transport).toBe("udp");
  });

  it("answers over IPv6 and leaves the port on IPv4 alone", async ({ skip }) => {
    if (!(await hasIPv6())) skip("no IPv6");
    const server = await own({ listen: [{ address: "::1", port: 0 }] });
    const addresses = server.entry.addresses.map((address) => ({ ...address, host: "::1" }));
    for (const protocol of ["udp", "tcp"]) {
      const { endpoint } = await askServer(host, { ...server.entry, addresses: addresses.filter((address) => address.protocol === protocol) });
      expect(endpoint.address).toBe("::1");
    }
  });

  it("is gone when it is closed", async () => {
    const server = await ownServer(host);
    await server.server.close();
    await server.server.close();
    await expect(askServer(host, server.entry, { timeout: 0.3 })).rejects.toMatchObject({ code: expect.stringMatching(/UNREACHABLE|TIMEOUT/) });
  });
});

describe("a connection", () => {
  it("carries many requests at once, cut anywhere", async () => {
    const server = await own();
    const stream = await connectTcp({ address: "127.0.0.1", port: server.port }, new AbortController().signal);
    const requests = Array.from({ length: 70 }, () => requestTo(server));
    const octets = Buffer.concat(requests);
    for (let at = 0; at < octets.length; at += 1500) await stream.write(octets.subarray(at, at + 1500));
    const answers: Uint8Array[] = [];
    for await (const packet of packetsOf(stream)) if (answers.push(packet) === requests.length) break;
    stream.close();
    expect(heard(server, requests, answers).every((answer) => answer !== undefined)).toBe(true);
  });

  it("is closed at the first octets that are no packet", async () => {
    const server = await own();
    const stream = await connectTcp({ address: "127.0.0.1", port: server.port }, new AbortController().signal);
    await stream.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    expect(await stream.read()).toBeUndefined();
  });

  it("is closed with the server", async () => {
    const server = await own();
    const stream = await connectTcp({ address: "127.0.0.1", port: server.port }, new AbortController().signal);
    await stream.write(requestTo(server));
    expect((await stream.read())?.length).toBeGreaterThan(400);
    await server.server.close();
    expect(await stream.read()).toBeUndefined();
  });
});

describe("options without meaning are refused", () => {
  const key = generateKey(host);
  const right: RoughtimeServeOptions = { listen: [{ address: "127.0.0.1", port: 0 }], keys: delegations(host, key, { start: nowSeconds(), days: 1, count: 1 }), radius: () => 1 };
  it.each<[Partial<RoughtimeServeOptions>, string]>([
    [{ listen: [] }, "at least one address"],
    [{ keys: { publicKey: key.publicKey, delegations: [] } }, "at least one delegation"],
    [{ leastRadius: 0 }, "leastRadius"],
    [{ leastRadius: 1.5 }, "leastRadius"],
    [{ grease: 0.6 }, "grease"],
    [{ grease: NaN }, "grease"],
    [{ rate: -1 }, "rate"],
    [{ burst: 0 }, "burst"],
    [{ gather: 101 }, "gather"],
  ])("%j", async (wrong, what) => {
    await expect(serveRoughtime(host, { ...right, ...wrong })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(what) });
  });

  it("and a port that is taken is SOCKET, with nothing left open", async () => {
    const server = await own();
    await expect(serveRoughtime(host, { ...right, listen: [{ address: "127.0.0.1", port: 0 }, { address: "127.0.0.1", port: server.port }] })).rejects.toMatchObject({ code: "SOCKET" });
  });
});
