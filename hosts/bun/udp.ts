// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * UDP on `Bun.udpSocket`. It has no kernel time stamps: t1 is read right before the send, t4 when the event loop gets to
 * the datagram. Always bound explicitly: Bun 1.3 did not bind a socket that had only been asked to send.
 * Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { Endpoint, HostClock, SendStamp, UdpHandlers, UdpOptions, UdpSocket } from "../common/host.ts";
import { unmapped } from "../common/address.ts";

interface BunSocket {
  readonly address: { readonly address: string; readonly port: number };
  send(data: Uint8Array, port?: number, address?: string): boolean;
  close(): void;
}

interface BunUdpOptions {
  hostname: string;
  port: number;
  flags?: number;
  connect?: { hostname: string; port: number };
  socket: {
    data(socket: BunSocket, data: Uint8Array, port: number, address: string): void;
    error(error: Error): void;
  };
}

/** Bun's socket flag for IPV6_V6ONLY; without it a socket on "::" takes the port on IPv4, too. */
const IPV6_ONLY = 1 << 3;

/** What of the `Bun` namespace is used here. */
const { Bun } = globalThis as unknown as { Bun: { udpSocket(options: BunUdpOptions): Promise<BunSocket> } };

export async function openUdp(clock: HostClock, options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
  if (options.multicast || options.broadcast || options.reuseAddress || options.multicastHops !== undefined) {
    throw new NtpError("UNSUPPORTED", "Bun's own UDP sockets cannot listen to broadcasts or groups, nor ask them; on Linux with FFI kernel-stamped sockets can");
  }
  const { family, connect } = options;
  const socket = await Bun.udpSocket({
    hostname: options.address ?? (family === 6 ? "::" : "0.0.0.0"),
    port: options.port ?? 0,
    ...(family === 6 && (options.ipv6Only ?? true) ? { flags: IPV6_ONLY } : {}),
    ...(connect ? { connect: { hostname: connect.address, port: connect.port } } : {}),
    socket: {
      data(_socket, data, port, address) {
        const receivedNs = clock.now();
        handlers.onDatagram({ data, from: { address: unmapped(address), port }, receivedNs, stamp: "user" });
      },
      error: (error) => handlers.onError(error),
    },
  });
  return new BunUdpSocket(clock, socket, connect !== undefined);
}

class BunUdpSocket implements UdpSocket {
  readonly stamps = "user";
  readonly local: Endpoint;
  readonly #clock: HostClock;
  readonly #socket: BunSocket;
  readonly #connected: boolean;
  #closed = false;

  constructor(clock: HostClock, socket: BunSocket, connected: boolean) {
    this.#clock = clock;
    this.#socket = socket;
    this.#connected = connected;
    this.local = { address: socket.address.address, port: socket.address.port };
  }

  async send(data: Uint8Array, to?: Endpoint): Promise<SendStamp> {
    if (this.#closed) throw new Error("the socket is closed");
    const sentNs = this.#clock.now();
    const sent = this.#connected || !to ? this.#socket.send(data) : this.#socket.send(data, to.port, to.address);
    if (!sent) throw new Error("the socket's send buffer is full");
    return { sentNs, stamp: "user" };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
