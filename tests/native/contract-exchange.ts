// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The native contract's part about datagrams and their stamps.
 *
 * @module
 */

import type { SendStamp } from "../../hosts/common/host.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { RECEIVE_BYTES } from "../../hosts/native/udp.ts";
import { check, codeOf, expect, openStation, within, withPair } from "./harness.ts";
import type { Result, Station } from "./harness.ts";

export function exchangeChecks(ffi: Ffi): Promise<Result[]> {
  return check([
    ["IPv4 datagrams carry kernel stamps on both ends, in order", () => withPair(ffi, 4, stampedExchange)],
    ["IPv6 datagrams carry kernel stamps on both ends, in order", () => onIPv6(ffi, stampedExchange)],
    ["a transmit stamp is its own datagram's, with many in flight", () => withPair(ffi, 4, manyInFlight)],
    ["every size from 0 to 4096 arrives whole", () => withPair(ffi, 4, everySize)],
    ["a datagram longer than the buffer is dropped and the next one arrives", () => withPair(ffi, 4, tooLong)],
    ["an IPv6 socket for both families gives IPv4 senders in IPv4 form", () => dualStack(ffi)],
    ["a connected socket hears its peer only", () => withPair(ffi, 4, (peer, other) => peerOnly(ffi, peer, other))],
  ]);
}

/** Run on ::1, or say that this machine has none. */
async function onIPv6(ffi: Ffi, use: (a: Station, b: Station) => Promise<string | void>): Promise<string | void> {
  const code = await codeOf(async () => (await openStation(ffi, { family: 6, address: "::1" })).socket.close());
  if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") return `skipped: no IPv6 here (${code})`;
  return withPair(ffi, 6, use);
}

/** Send until a datagram bears a kernel stamp: the kernel switches stamping on shortly after it is first asked. */
async function warmUp(a: Station, b: Station): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    await a.socket.send(Uint8Array.of(i), b.here);
    if ((await b.datagrams.next("a datagram to warm up")).stamp === "kernel") return;
  }
  throw new Error("expected: kernel receive stamps within 1000 datagrams");
}

async function stampedExchange(a: Station, b: Station): Promise<string> {
  await warmUp(a, b);
  expect(a.socket.stamps === "kernel", "the socket promises kernel stamps");
  const transits: number[] = [];
  for (let i = 0; i < 50; i++) {
    const [from, to] = i % 2 === 0 ? [a, b] : [b, a];
    const sent = await from.socket.send(Uint8Array.of(i, 1, 2), to.here);
    const got = await to.datagrams.next(`datagram ${i}`);
    expect(got.data.join() === `${i},1,2`, `the payload of datagram ${i}, not ${got.data.join()}`);
    expect(got.from.address === from.here.address && got.from.port === from.here.port, "the sender's address");
    expect(sent.stamp === "kernel" && got.stamp === "kernel", `kernel stamps, not ${sent.stamp} and ${got.stamp}`);
    expect(sent.sentNs <= got.receivedNs, `sent ${sent.sentNs} before received ${got.receivedNs}`);
    transits.push(Number(got.receivedNs - sent.sentNs));
  }
  transits.sort((x, y) => x - y);
  const median = transits[25] as number;
  expect(median < 1e6, `a median transit below 1 ms, not ${median} ns`);
  return `median transit ${median} ns`;
}

/** Stamps must rise with the order of sending; one that was given to a wrong datagram would break it. */
async function manyInFlight(a: Station, b: Station): Promise<void> {
  await warmUp(a, b);
  const stamps = await Promise.all(
    Array.from({ length: 100 }, (_, i): Promise<SendStamp> => a.socket.send(Uint8Array.of(i), b.here)),
  );
  for (let i = 0; i < stamps.length; i++) {
    const got = await b.datagrams.next(`datagram ${i}`);
    const { sentNs, stamp } = stamps[got.data[0] as number] as SendStamp;
    expect(stamp === "kernel", `a kernel stamp for datagram ${i}`);
    expect(sentNs <= got.receivedNs, `datagram ${i} sent before it was received`);
    const next = stamps[i + 1];
    if (next !== undefined) expect(sentNs < next.sentNs, `datagram ${i} sent before datagram ${i + 1}`);
  }
}

/** In portions that fit any receive buffer. */
async function everySize(a: Station, b: Station): Promise<void> {
  const portion = 16;
  for (let first = 0; first <= RECEIVE_BYTES; first += portion) {
    const sizes = Array.from({ length: portion }, (_, i) => first + i).filter((size) => size <= RECEIVE_BYTES);
    await Promise.all(sizes.map((size) => a.socket.send(new Uint8Array(size).fill(size % 251), b.here)));
    for (const size of sizes) {
      const { data } = await b.datagrams.next(`${size} octets`);
      expect(data.length === size, `${size} octets, not ${data.length}`);
      expect(data.every((octet) => octet === size % 251), `the payload of ${size} octets`);
    }
  }
}

async function tooLong(a: Station, b: Station): Promise<void> {
  for (const size of [RECEIVE_BYTES + 1, 9000, 65507]) {
    await a.socket.send(new Uint8Array(size), b.here);
    await a.socket.send(Uint8Array.of(size & 0xff), b.here);
    const { data } = await b.datagrams.next(`the datagram behind one of ${size} octets`);
    expect(data.length === 1 && data[0] === (size & 0xff), `1 octet, not ${data.length}`);
  }
  const code = await codeOf(() => a.socket.send(new Uint8Array(65508), b.here));
  expect(code === "EMSGSIZE", `EMSGSIZE for more than UDP carries, not ${code}`);
  // The failed send must not have shifted the numbers by which transmit stamps are matched.
  const { stamp } = await a.socket.send(Uint8Array.of(1), b.here);
  expect(stamp === "kernel", "a kernel stamp after a failed send");
}

async function dualStack(ffi: Ffi): Promise<string | void> {
  return onIPv6(ffi, async () => {
    const both = await openStation(ffi, { family: 6, ipv6Only: false });
    const four = await openStation(ffi, { family: 4, address: "127.0.0.1" });
    try {
      await four.socket.send(Uint8Array.of(4), { address: "127.0.0.1", port: both.socket.local.port });
      const { from } = await both.datagrams.next("a datagram over IPv4");
      expect(from.address === "127.0.0.1" && from.port === four.here.port, `IPv4 form, not ${from.address}`);
      await both.socket.send(Uint8Array.of(6), from);
      expect((await four.datagrams.next("the answer")).data[0] === 6, "the answer over IPv4");
    } finally {
      both.socket.close();
      four.socket.close();
    }
  });
}

async function peerOnly(ffi: Ffi, peer: Station, other: Station): Promise<void> {
  const connected = await openStation(ffi, { family: 4, connect: peer.here });
  try {
    const target = { address: "127.0.0.1", port: connected.socket.local.port };
    expect(connected.socket.local.address === "127.0.0.1", "connecting chooses the local address");
    await other.socket.send(Uint8Array.of(1), target);
    await connected.socket.send(Uint8Array.of(2));
    expect((await peer.datagrams.next("the request")).from.port === target.port, "the request's port");
    await peer.socket.send(Uint8Array.of(3), target);
    expect((await connected.datagrams.next("the answer")).data[0] === 3, "the peer's datagram first");
    expect(within(connected.datagrams.size, 0, 0), "nothing else");
    const code = await codeOf(() => connected.socket.send(Uint8Array.of(4), other.here));
    expect(code === "EISCONN", `EISCONN for another destination, not ${code}`);
  } finally {
    connected.socket.close();
  }
}
