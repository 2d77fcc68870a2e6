// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The native contract's part about what fails, what closes, and what must not leak.
 *
 * @module
 */

import type { Endpoint } from "../../hosts/common/host.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { openNativeUdp } from "../../hosts/native/udp.ts";
import { check, codeOf, expect, Inbox, openStation, withPair } from "./harness.ts";
import type { Result } from "./harness.ts";

const deaf = { onDatagram() {}, onError() {} };

export function errorChecks(ffi: Ffi): Promise<Result[]> {
  return check([
    ["a connected socket to a closed port reports ECONNREFUSED (IPv4)", () => refused(ffi, 4, "127.0.0.1")],
    ["a connected socket to a closed port reports ECONNREFUSED (IPv6)", async () => {
      const code = await codeOf(() => refused(ffi, 6, "::1"));
      if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") return `skipped: no IPv6 here (${code})`;
      expect(code === "no error", `ECONNREFUSED to be reported: ${code}`);
      return undefined;
    }],
    ["an earlier refusal does not fail a later send", () => survivesRefusals(ffi)],
    ["a refusal does not disturb a socket with many peers", () => withPair(ffi, 4, async (a, b) => {
      await a.socket.send(Uint8Array.of(1), await closedPort(ffi, "127.0.0.1"));
      await a.socket.send(Uint8Array.of(2), b.here);
      expect((await b.datagrams.next("the next datagram")).data[0] === 2, "the datagram");
      expect(a.errors.size === 0, "no error reported");
    })],
    ["what cannot be opened or sent says why", async () => {
      const open = (options: Parameters<typeof openNativeUdp>[1]) => codeOf(() => openNativeUdp(ffi, options, deaf));
      const holder = await openStation(ffi, { family: 4, address: "127.0.0.1" });
      const codes = [
        await open({ family: 4, address: "127.0.0.1", port: holder.here.port }),
        await open({ family: 4, address: "192.0.2.1" }),
        await open({ family: 4, address: "::1" }),
        await open({ family: 4, address: "localhost" }),
        await open({ family: 4, port: 65536 }),
        await open({ family: 6, address: "fe80::1%no-such-if0" }),
        await open({ family: 4, connect: { address: "127.0.0.1", port: 0 } }),
        await codeOf(() => holder.socket.send(Uint8Array.of(1))),
        await codeOf(() => holder.socket.send(Uint8Array.of(1), { address: "::1", port: 9 })),
      ];
      holder.socket.close();
      const expected =
        "EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EINVAL EINVAL ENODEV EINVAL EDESTADDRREQ EAFNOSUPPORT";
      expect(codes.join(" ") === expected, `${expected}, not ${codes.join(" ")}`);
    }],
  ]);
}

/** A port on which nothing listens: one that was free a moment ago. */
async function closedPort(ffi: Ffi, address: string): Promise<Endpoint> {
  const family = address.includes(":") ? 6 : 4;
  const station = await openStation(ffi, { family, address });
  station.socket.close();
  return station.here;
}

async function refused(ffi: Ffi, family: 4 | 6, address: string): Promise<string> {
  const connect = await closedPort(ffi, address);
  const station = await openStation(ffi, { family, connect });
  try {
    const { stamp } = await station.socket.send(Uint8Array.of(1));
    const error = await station.errors.next("a refusal");
    expect(error.code === "ECONNREFUSED", `ECONNREFUSED, not ${error.code}`);
    return `${stamp} stamp; ${error.message}`;
  } finally {
    station.socket.close();
  }
}

/** On loopback the refusal of one datagram is there before the next one is sent. */
async function survivesRefusals(ffi: Ffi): Promise<void> {
  const connect = await closedPort(ffi, "127.0.0.1");
  const station = await openStation(ffi, { family: 4, connect });
  try {
    const stamps = await Promise.all([1, 2, 3, 4, 5].map((octet) => station.socket.send(Uint8Array.of(octet))));
    for (let i = 0; i < 5; i++) {
      const { code } = await station.errors.next(`refusal ${i}`);
      expect(code === "ECONNREFUSED", `ECONNREFUSED, not ${code}`);
    }
    const late = await openStation(ffi, { family: 4, address: connect.address, port: connect.port });
    const sent = await station.socket.send(Uint8Array.of(9));
    const got = await late.datagrams.next("a datagram, now that someone listens");
    late.socket.close();
    expect(got.data[0] === 9 && sent.sentNs <= got.receivedNs, "the datagram, stamped in order");
    expect([...stamps, sent].every(({ stamp }) => stamp === "kernel"), "kernel stamps throughout");
  } finally {
    station.socket.close();
  }
}

export function addressChecks(ffi: Ffi): Promise<Result[]> {
  return check([
    ["the local address is what was bound, the port a fresh one", async () => {
      const stations = await Promise.all([1, 2, 3, 4].map(() => openStation(ffi, { family: 4 })));
      for (const { socket } of stations) socket.close();
      expect(stations.every(({ socket }) => socket.local.address === "0.0.0.0"), "the IPv4 wildcard");
      const ports = new Set(stations.map(({ socket }) => socket.local.port));
      expect(ports.size === 4 && !ports.has(0), `four ports, not ${[...ports].join()}`);
    }],
  ]);
}

export function lifetimeChecks(ffi: Ffi): Promise<Result[]> {
  return check([
    ["closing twice is closing once; a closed socket sends nothing", async () => {
      const { socket, here } = await openStation(ffi, { family: 4, address: "127.0.0.1" });
      socket.close();
      socket.close();
      const code = await codeOf(() => socket.send(Uint8Array.of(1), here));
      expect(code === "EBADF", `EBADF, not ${code}`);
      // The descriptor's number is someone else's by now; a second close must have left that one alone.
      const next = await openStation(ffi, { family: 4, address: "127.0.0.1" });
      socket.close();
      await next.socket.send(Uint8Array.of(7), next.here);
      expect((await next.datagrams.next("its own datagram")).data[0] === 7, "the next socket works");
      next.socket.close();
    }],
    ["a socket may be closed by its own handler, with more to read", async () => {
      let heard = 0;
      const first = new Inbox<number>();
      const socket = await openNativeUdp(ffi, { family: 4, address: "127.0.0.1" }, {
        onDatagram() {
          socket.close();
          first.push(++heard);
        },
        onError() {},
      });
      await Promise.all([1, 2, 3].map((octet) => socket.send(Uint8Array.of(octet), socket.local)));
      await first.next("a datagram to close at");
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      expect(heard === 1, `one datagram heard, not ${heard}`);
    }],
    ["1000 sockets opened, used and closed, and 200 that fail to open, leave no descriptor behind", async () => {
      const before = await descriptors();
      const holder = await openStation(ffi, { family: 4, address: "127.0.0.1" });
      for (let i = 0; i < 1000; i++) {
        const { socket } = await openStation(ffi, { family: 4, address: "127.0.0.1" });
        if (i % 10 === 0) await socket.send(Uint8Array.of(1), holder.here);
        socket.close();
      }
      for (let i = 0; i < 200; i++) {
        const code = await codeOf(() => openStation(ffi, { family: 4, ...holder.here }));
        expect(code === "EADDRINUSE", `EADDRINUSE, not ${code}`);
      }
      holder.socket.close();
      const after = await descriptors();
      if (before === undefined || after === undefined) return "descriptors cannot be counted here";
      expect(after <= before + 4, `${before} descriptors before, ${after} after`);
      return `${before} descriptors before, ${after} after`;
    }],
  ]);
}

/** Open descriptors of this process, or `undefined` where they may not be looked at. */
async function descriptors(): Promise<number | undefined> {
  try {
    const { readdirSync } = await import("node:fs");
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
