// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * UDP on `node:dgram`. It has no kernel time stamps: t1 is read right before the send, t4 when the event loop gets to the
 * datagram, so a busy loop makes the delay longer and the bound wider, never the offset wrong by more than the bound.
 *
 * @module
 */

import dgram from "node:dgram";
import type { Endpoint, HostClock, SendStamp, UdpHandlers, UdpOptions, UdpSocket } from "../common/host.ts";
import { unmapped } from "../common/address.ts";

export async function openUdp(clock: HostClock, options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
  const { family, connect } = options;
  const socket = dgram.createSocket({ type: family === 6 ? "udp6" : "udp4", ipv6Only: family === 6 && (options.ipv6Only ?? true), reuseAddr: options.reuseAddress ?? false });
  try {
    await bound(socket, options.address ?? (family === 6 ? "::" : "0.0.0.0"), options.port ?? 0);
    if (options.broadcast) socket.setBroadcast(true);
    if (options.multicastHops !== undefined) socket.setMulticastTTL(options.multicastHops);
    if (options.multicast) socket.addMembership(options.multicast.group, options.multicast.interface);
    if (connect) await connected(socket, connect.port, connect.address);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on("message", (data, { address, port }) => {
    const receivedNs = clock.now();
    handlers.onDatagram({ data, from: { address: unmapped(address), port }, receivedNs, stamp: "user" });
  });
  socket.on("error", (error) => handlers.onError(error));
  return new NodeUdpSocket(clock, socket, connect !== undefined);
}

function bound(socket: dgram.Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address, port }, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

function connected(socket: dgram.Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.connect(port, address, (error?: Error) => (error ? reject(error) : resolve()));
  });
}

class NodeUdpSocket implements UdpSocket {
  readonly stamps = "user";
  readonly local: Endpoint;
  readonly #clock: HostClock;
  readonly #socket: dgram.Socket;
  readonly #connected: boolean;
  #closed = false;

  constructor(clock: HostClock, socket: dgram.Socket, connected: boolean) {
    this.#clock = clock;
    this.#socket = socket;
    this.#connected = connected;
    const { address, port } = socket.address();
    this.local = { address, port };
  }

  send(data: Uint8Array, to?: Endpoint): Promise<SendStamp> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("the socket is closed"));
      const sent = (error: Error | null) => (error ? reject(error) : resolve({ sentNs, stamp: "user" }));
      const sentNs = this.#clock.now();
      if (this.#connected || !to) this.#socket.send(data, sent);
      else this.#socket.send(data, to.port, to.address, sent);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
