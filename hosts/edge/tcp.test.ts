// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { tcpBy, type WorkerConnect } from "./tcp.ts";

/** A socket that gives these pieces and takes what is written. */
function socketOf(pieces: readonly Uint8Array[], { opened = Promise.resolve() as Promise<unknown> } = {}) {
  const written: number[] = [];
  const asked: unknown[] = [];
  const connect: WorkerConnect = (address, options) => {
    asked.push(address, options);
    return {
      opened,
      closed: opened.then(() => {}),
      readable: new ReadableStream({
        start(controller) {
          for (const piece of pieces) controller.enqueue(piece);
          controller.close();
        },
      }),
      writable: new WritableStream({ write: (chunk) => void written.push(...chunk) }),
      close: async () => {},
    };
  };
  return { connect, written, asked };
}

const endpoint = { address: "2001:db8::1", port: 4460 };
const never = new AbortController().signal;

describe("TCP of a Worker", () => {
  it("reads and writes, without the runtime's TLS", async () => {
    const { connect, written, asked } = socketOf([Uint8Array.of(1), Uint8Array.of(2, 3)]);
    const stream = await tcpBy(connect)(endpoint, never);
    await stream.write(Uint8Array.of(7, 8));
    expect(await stream.read()).toEqual(Uint8Array.of(1));
    expect(await stream.read()).toEqual(Uint8Array.of(2, 3));
    expect(await stream.read()).toBeUndefined();
    stream.close();
    expect(await stream.read()).toBeUndefined();
    expect(written).toEqual([7, 8]);
    expect(asked).toEqual([{ hostname: "[2001:db8::1]", port: 4460 }, { secureTransport: "off", allowHalfOpen: false }]);
  });

  it("is unreachable when the connection fails, or is refused at once", async () => {
    const { connect } = socketOf([], { opened: Promise.reject(new Error("refused")) });
    await expect(tcpBy(connect)(endpoint, never)).rejects.toMatchObject({ code: "UNREACHABLE" });
    const refusing: WorkerConnect = () => {
      throw new TypeError("not allowed");
    };
    await expect(tcpBy(refusing)(endpoint, never)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it("gives up when the signal fires", async () => {
    const { connect } = socketOf([], { opened: new Promise(() => {}) });
    const giveUp = new AbortController();
    const waiting = tcpBy(connect)(endpoint, giveUp.signal);
    giveUp.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
  });
});
