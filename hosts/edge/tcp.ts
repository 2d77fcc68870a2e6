// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TCP of a Worker: `connect` of "cloudflare:sockets", which its program gives us, for key establishment with NTS. Tested in
 * tcp.test.ts and tests/edge.
 *
 * @module
 */

import type { Endpoint, Host } from "../common/host.ts";
import type { ByteStream } from "../common/stream.ts";
import { stoppedBy, unreachable } from "../common/tcp.ts";

/** A socket of "cloudflare:sockets", as far as it is used. */
export interface WorkerSocket {
  readonly opened: Promise<unknown>;
  readonly closed: Promise<void>;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<void>;
}

/** `connect` of "cloudflare:sockets". */
export type WorkerConnect = (address: { hostname: string; port: number }, options: { secureTransport: "off"; allowHalfOpen: boolean }) => WorkerSocket;

export function tcpBy(connect: WorkerConnect): NonNullable<Host["connectTcp"]> {
  return async (endpoint, signal) => {
    if (signal.aborted) throw stoppedBy(signal, endpoint);
    const socket = begun(connect, endpoint);
    // Each of its promises rejects when the connection fails; one is enough to hear of it.
    socket.closed.catch(() => {});
    const stream = new WorkerStream(socket);
    await new Promise<void>((resolve, reject) => {
      const stop = () => reject(stoppedBy(signal, endpoint));
      signal.addEventListener("abort", stop, { once: true });
      socket.opened
        .then(() => resolve(), (cause: unknown) => reject(unreachable(endpoint, cause)))
        .finally(() => signal.removeEventListener("abort", stop));
    }).catch((error: unknown) => {
      stream.close();
      throw error;
    });
    return stream;
  };
}

function begun(connect: WorkerConnect, endpoint: Endpoint): WorkerSocket {
  const hostname = endpoint.address.includes(":") ? `[${endpoint.address}]` : endpoint.address;
  try {
    return connect({ hostname, port: endpoint.port }, { secureTransport: "off", allowHalfOpen: false });
  } catch (cause) {
    throw unreachable(endpoint, cause);
  }
}

class WorkerStream implements ByteStream {
  readonly #socket: WorkerSocket;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #closed = false;

  constructor(socket: WorkerSocket) {
    this.#socket = socket;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#closed) return undefined;
    try {
      const { done, value } = await this.#reader.read();
      return done ? undefined : value;
    } catch (error) {
      if (this.#closed) return undefined;
      throw error;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    // A copy: the runtime may take the buffer away.
    await this.#writer.write(data.slice());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#reader.cancel().catch(() => {});
    void this.#socket.close().catch(() => {});
  }
}
