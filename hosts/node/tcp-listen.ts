// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Listening by TCP on `node:net`, which Deno and Bun have, too.
 *
 * Nothing is read ahead of its reader, so a peer that floods is slowed down by TCP itself. Tested in tcp-listen.test.ts and
 * by tests/contract on each runtime.
 *
 * @module
 */

import net from "node:net";
import type { Endpoint } from "../common/host.ts";
import type { ByteStream, TcpListener, TcpServerOptions } from "../common/stream.ts";
import { unmapped } from "../common/udp.ts";

export async function listenTcp({ endpoint, maxConnections }: TcpServerOptions, accepted: (stream: ByteStream, from: Endpoint) => void): Promise<TcpListener> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    const { remoteAddress, remotePort } = socket;
    // Gone again already.
    if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
    accepted(new SocketStream(socket), { address: unmapped(remoteAddress), port: remotePort });
  });
  server.maxConnections = maxConnections;
  const { address, port } = endpoint;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // IPV6_V6ONLY, as with our UDP sockets: "::" leaves the port on IPv4 alone.
    server.listen({ host: address, port, ipv6Only: address.includes(":") }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  // Such as running out of file descriptors: the listener goes on.
  server.on("error", () => {});
  const local = server.address() as net.AddressInfo;
  return { local: { address: local.address, port: local.port }, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** A socket as a {@link ByteStream}. */
export class SocketStream implements ByteStream {
  readonly #socket: net.Socket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #closed = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    // A socket without a listener would throw; errors reach the reader and the writer.
    socket.on("error", () => {});
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  async read(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#chunks.next();
      return done ? undefined : value;
    } catch (error) {
      if (this.#closed) return undefined;
      throw error;
    }
  }

  write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What was written still goes out; then the connection is cut.
    this.#socket.end(() => this.#socket.destroy());
    this.#socket.unref();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref?.();
  }
}

/** How long a closed stream may take to send the rest, ms. */
const LINGER_MS = 1000;
