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
import { unmapped } from "../common/address.ts";
import { SocketStream } from "./stream.ts";

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
