// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TCP on `Bun.connect`. Bun hands over octets as they come; beyond a bound the socket is paused until they are read.
 * Tested in tests/interop/tls.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import type { ByteStream } from "../common/stream.ts";
import { stoppedBy, unreachable } from "../common/tcp.ts";

interface BunTcpSocket {
  write(data: Uint8Array): number;
  flush(): void;
  end(): void;
  pause(): void;
  resume(): void;
  setNoDelay(noDelay: boolean): boolean;
}

interface BunTcpHandlers {
  open(socket: BunTcpSocket): void;
  data(socket: BunTcpSocket, data: Uint8Array): void;
  drain(socket: BunTcpSocket): void;
  end(socket: BunTcpSocket): void;
  close(socket: BunTcpSocket, error?: Error): void;
  error(socket: BunTcpSocket, error: Error): void;
  connectError(socket: BunTcpSocket, error: Error): void;
}

/** What of the `Bun` namespace is used here. */
interface BunNet {
  connect(options: { hostname: string; port: number; socket: BunTcpHandlers }): Promise<BunTcpSocket>;
}

const { Bun } = globalThis as unknown as { Bun: BunNet };

/** Octets kept of a sender that is faster than its reader. */
const MOST_WAITING = 1 << 18;

export function connectTcp(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stoppedBy(signal, endpoint));
    const stream = new BunByteStream();
    const settle = (settled: () => void) => {
      signal.removeEventListener("abort", stop);
      settled();
    };
    const stop = () => {
      stream.close();
      settle(() => reject(stoppedBy(signal, endpoint)));
    };
    signal.addEventListener("abort", stop, { once: true });
    const opened = () => settle(() => resolve(stream));
    const refused = (cause: unknown) => settle(() => reject(unreachable(endpoint, cause)));
    Bun.connect({ hostname: endpoint.address, port: endpoint.port, socket: stream.handlers(opened, refused) }).catch(refused);
  });
}

class BunByteStream implements ByteStream {
  #socket: BunTcpSocket | undefined;
  #waiting: Uint8Array[] = [];
  #size = 0;
  #wake: (() => void) | undefined;
  #drained: (() => void) | undefined;
  #error: Error | undefined;
  #over = false;
  #closed = false;

  handlers(opened: () => void, refused: (cause: unknown) => void): BunTcpHandlers {
    return {
      open: (socket) => {
        this.#socket = socket;
        if (this.#closed) return socket.end();
        socket.setNoDelay(true);
        opened();
      },
      data: (_socket, data) => this.#push(data),
      drain: () => this.#drained?.(),
      end: () => this.#end(),
      close: (_socket, error) => this.#end(error),
      error: (_socket, error) => this.#end(error),
      connectError: (_socket, error) => refused(error),
    };
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const data = this.#waiting.shift();
      if (data) {
        this.#size -= data.length;
        if (this.#size === 0) this.#socket?.resume();
        return data;
      }
      if (this.#error) throw this.#error;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) {
      if (this.#over || this.#closed) throw this.#error ?? new Error("the connection is closed");
      const taken = this.#socket?.write(data.subarray(at)) ?? 0;
      at += Math.max(0, taken);
      if (at < data.length) await new Promise<void>((resolve) => (this.#drained = resolve));
    }
    this.#socket?.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
    this.#socket?.end();
  }

  /** A copy: Bun may use the octets again. */
  #push(data: Uint8Array): void {
    this.#waiting.push(Uint8Array.from(data));
    this.#size += data.length;
    if (this.#size > MOST_WAITING) this.#socket?.pause();
    this.#wake?.();
  }

  #end(error?: Error): void {
    this.#over = true;
    this.#error ??= error;
    this.#wake?.();
    this.#drained?.();
  }
}
