// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What loopback never does: transmit stamps that come late or not at all. The rest of the socket's behaviour is in
 * tests/native, which runs on every backend.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { Inbox, openStation } from "../../tests/native/harness.ts";
import type { Datagram, UdpSocket } from "../common/host.ts";
import { nativeClock } from "./clock.ts";
import type { CFunction, Ffi, Signature } from "./ffi.ts";
import { load } from "./ffi-koffi.ts";
import { bindLibc } from "./libc.ts";
import { MSG_ERRQUEUE } from "./linux.ts";
import { openNativeUdp } from "./udp.ts";

const real = await load();
const usable = real !== undefined && bindLibc(real) !== undefined;
if (!usable) console.warn("SKIPPED: native sockets need koffi and 64-bit Linux");

/** Longer than any test takes: a stamp that is released is waited for. */
const PATIENT = { stampWaitMs: 60_000 };

/** The real FFI, but the error queue seems empty while `held()`. */
function withholding(held: () => boolean): Ffi {
  const ffi = real as Ffi;
  return {
    name: ffi.name,
    address: ffi.address,
    open<K extends string>(library: string | null, symbols: Record<K, Signature>): Record<K, CFunction> {
      const bound: Record<string, CFunction> = ffi.open(library, symbols);
      const { recvmsg, close } = bound as { recvmsg: CFunction; close: CFunction };
      const replaced: CFunction = (fd, header, flags) =>
        Number(flags) & MSG_ERRQUEUE && held() ? close(-1) : recvmsg(fd as number, header as number, flags as number);
      return { ...bound, recvmsg: replaced } as Record<K, CFunction>;
    },
  };
}

const deaf = { onDatagram() {}, onError() {} };
const loopback = { family: 4, address: "127.0.0.1" } as const;

async function using<T>(socket: UdpSocket, use: (socket: UdpSocket) => Promise<T>): Promise<T> {
  try {
    return await use(socket);
  } finally {
    socket.close();
  }
}

describe.skipIf(!usable)("a transmit stamp", () => {
  it("that comes a little late is still taken", async () => {
    let looks = 0;
    const ffi = withholding(() => ++looks < 5);
    await using(await openNativeUdp(ffi, loopback, deaf, PATIENT), async (socket) => {
      expect((await socket.send(Uint8Array.of(1), socket.local)).stamp).toBe("kernel");
    });
  });

  it("that never comes leaves the user stamp, taken around the send", async () => {
    const ffi = withholding(() => true);
    const { now } = nativeClock(ffi)!;
    await using(await openNativeUdp(ffi, loopback, deaf, { stampWaitMs: 1 }), async (socket) => {
      const before = now();
      const { sentNs, stamp } = await socket.send(Uint8Array.of(1), socket.local);
      expect(stamp).toBe("user");
      expect(sentNs >= before && sentNs <= now()).toBe(true);
    });
  });

  it("that comes after its send gave up is not given to the next send", async () => {
    let held = true;
    const ffi = withholding(() => held);
    await using(await openNativeUdp(ffi, loopback, deaf, { stampWaitMs: 0 }), async (socket) => {
      expect((await socket.send(Uint8Array.of(1), socket.local)).stamp).toBe("user");
      const between = nativeClock(ffi)!.now();
      held = false;
      const second = await socket.send(Uint8Array.of(2), socket.local);
      expect(second.stamp).toBe("kernel");
      expect(second.sentNs >= between).toBe(true);
    });
  });

  it("that is awaited when the socket closes settles as a user stamp", async () => {
    const socket = await openNativeUdp(withholding(() => true), loopback, deaf, PATIENT);
    const sent = socket.send(Uint8Array.of(1), socket.local);
    socket.close();
    expect((await sent).stamp).toBe("user");
  });

  it("is told before the reply to its datagram is delivered", async () => {
    let held = true;
    const order: string[] = [];
    const replies = new Inbox<Datagram>();
    const onDatagram = (datagram: Datagram): void => {
      order.push("reply");
      replies.push(datagram);
    };
    const server = await openStation(real!, loopback);
    const options = { family: 4, connect: server.here } as const;
    const client = await openNativeUdp(withholding(() => held), options, { ...deaf, onDatagram }, PATIENT);
    try {
      const sent = client.send(Uint8Array.of(1)).then((stamp) => {
        order.push("sent");
        return stamp;
      });
      const request = await server.datagrams.next("the request");
      await server.socket.send(Uint8Array.of(2), request.from);
      held = false; // the reply lies in the client's socket by now
      const { stamp, sentNs } = await sent;
      const reply = await replies.next("the reply");
      expect(order).toEqual(["sent", "reply"]);
      expect(stamp).toBe("kernel");
      expect(sentNs <= reply.receivedNs).toBe(true);
    } finally {
      client.close();
      server.socket.close();
    }
  });
});

describe("where libc cannot be bound", () => {
  const broken: Ffi = {
    name: "koffi",
    address: () => 0,
    open() {
      throw new Error("no such symbol");
    },
  };

  it("there is no clock and no socket, said in the house's words", async () => {
    expect(bindLibc(broken)).toBeUndefined();
    expect(nativeClock(broken)).toBeUndefined();
    await expect(openNativeUdp(broken, loopback, deaf)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});
