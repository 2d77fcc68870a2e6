// SPDX-License-Identifier: MIT OR Apache-2.0
/** Node's own sockets and names: what tests/contract asks of every runtime, and what is dgram's alone. @module */

import { afterEach, describe, expect, it, vi } from "vitest";
import type { Datagram, Endpoint, UdpOptions, UdpSocket } from "../common/host.ts";
import { runtimeClock } from "./clock.ts";
import { resolve } from "./dns.ts";
import { openUdp } from "./udp.ts";

const clock = runtimeClock();
const LOOPBACK = "127.0.0.1";

const sockets: UdpSocket[] = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.close()));

async function open(options: UdpOptions): Promise<{ socket: UdpSocket; datagrams: Datagram[]; errors: Error[] }> {
  const datagrams: Datagram[] = [];
  const errors: Error[] = [];
  const handlers = {
    onDatagram: (datagram: Datagram) => void datagrams.push({ ...datagram, data: Uint8Array.from(datagram.data) }),
    onError: (error: Error) => void errors.push(error),
  };
  const socket = await openUdp(clock, options, handlers);
  sockets.push(socket);
  return { socket, datagrams, errors };
}

const soon = (check: () => void) => vi.waitFor(check, 60_000);

/** A port that nobody listens on: one that was just given back. */
async function closedPort(): Promise<Endpoint> {
  const { socket } = await open({ family: 4, address: LOOPBACK });
  socket.close();
  return socket.local;
}

describe("a socket", () => {
  it("has a random port of its own, told in `local`", async () => {
    const { socket: a } = await open({ family: 4 });
    const { socket: b } = await open({ family: 4 });
    expect(a.local).toMatchObject({ address: "0.0.0.0" });
    expect(a.local.port).toBeGreaterThan(0);
    expect(a.local.port).not.toBe(b.local.port);
  });

  it("delivers with a stamp between sending and now", async () => {
    const { socket, datagrams } = await open({ family: 4, address: LOOPBACK });
    const { sentNs, stamp } = await socket.send(Uint8Array.of(1, 2, 3), socket.local);
    await soon(() => expect(datagrams.length).toBe(1));
    const [datagram] = datagrams;
    expect(datagram).toMatchObject({ data: Uint8Array.of(1, 2, 3), from: socket.local, stamp: "user" });
    expect(stamp).toBe("user");
    expect((datagram?.receivedNs ?? 0n) >= sentNs && (datagram?.receivedNs ?? 0n) <= clock.now()).toBe(true);
  });

  it("shows an IPv4 sender in its IPv4 form, even on a dual-stack socket", async (context) => {
    const dual = await open({ family: 6, ipv6Only: false }).catch(() => undefined);
    if (!dual) return context.skip("needs IPv6");
    const { socket } = await open({ family: 4, address: LOOPBACK });
    await socket.send(Uint8Array.of(1), { address: LOOPBACK, port: dual.socket.local.port });
    await soon(() => expect(dual.datagrams[0]?.from).toEqual(socket.local));
  });

  it("connected to a closed port reports the refusal", async () => {
    const { socket, errors } = await open({ family: 4, connect: await closedPort() });
    await socket.send(Uint8Array.of(1)).catch((error: Error) => errors.push(error));
    await soon(() => expect(errors[0]).toMatchObject({ code: "ECONNREFUSED" }));
  });

  it("connected to one peer hears no other", async () => {
    const peer = await open({ family: 4, address: LOOPBACK });
    const stranger = await open({ family: 4, address: LOOPBACK });
    const { socket, datagrams } = await open({ family: 4, address: LOOPBACK, connect: peer.socket.local });
    await stranger.socket.send(Uint8Array.of(66), socket.local).catch(() => {});
    await peer.socket.send(Uint8Array.of(1), socket.local);
    await soon(() => expect(datagrams.map(({ data }) => data[0])).toEqual([1]));
  });
});

describe("closing", () => {
  it("is idempotent, and a send after it is rejected, not thrown", async () => {
    const { socket } = await open({ family: 4, address: LOOPBACK });
    socket.close();
    socket.close();
    await expect(socket.send(Uint8Array.of(1), socket.local)).rejects.toThrow("closed");
  });

  it("frees the port", async () => {
    const { socket } = await open({ family: 4, address: LOOPBACK });
    socket.close();
    const again = await open({ family: 4, address: LOOPBACK, port: socket.local.port });
    expect(again.socket.local).toEqual(socket.local);
  });
});

describe("what cannot be opened", () => {
  it("rejects with the system's code: a port that is taken", async () => {
    const { socket } = await open({ family: 4, address: LOOPBACK });
    await expect(open({ family: 4, address: LOOPBACK, port: socket.local.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("rejects with the system's code: an address that is not ours", async () => {
    await expect(open({ family: 4, address: "192.0.2.1" })).rejects.toMatchObject({ code: "EADDRNOTAVAIL" });
  });
});

describe("names", () => {
  it("are the system's own: localhost is loopback", async () => {
    const addresses = await resolve("localhost");
    expect(addresses.length).toBeGreaterThan(0);
    for (const { address, family } of addresses) expect(address).toBe(family === 6 ? "::1" : LOOPBACK);
  });

  it("that cannot exist reject", async () => {
    await expect(resolve("name.invalid")).rejects.toThrow("name.invalid");
  });
});

describe("the clock", () => {
  it("agrees with Date.now and does not run backwards", () => {
    let last = clock.now();
    for (let i = 0; i < 1000; i++) {
      const before = Date.now();
      const reading = clock.now();
      expect(Number(reading / 1_000_000n)).toBeGreaterThanOrEqual(before);
      expect(Number(reading / 1_000_000n)).toBeLessThanOrEqual(Date.now());
      expect(reading >= last).toBe(true);
      last = reading;
    }
    expect(clock.precision).toBeGreaterThan(0);
    expect(clock.precision).toBeLessThan(1e-3);
  });
});
