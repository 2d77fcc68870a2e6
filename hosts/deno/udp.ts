// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * UDP on `Deno.listenDatagram`, or on Deno's `node:dgram` where it was started without `--unstable-net`.
 *
 * Neither has kernel time stamps. Deno cannot connect a UDP socket, so refusals (ICMP) are not reported: such an address
 * is silent, not failed. Tested in tests/contract/contract.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { Endpoint, HostClock, SendStamp, UdpHandlers, UdpOptions, UdpSocket } from "../common/host.ts";
import { unmapped } from "../common/address.ts";
import { openUdp as openNodeUdp } from "../node/udp.ts";

interface NetAddress {
  readonly transport: "udp";
  readonly hostname: string;
  readonly port: number;
}

interface DatagramConn {
  readonly addr: NetAddress;
  send(data: Uint8Array, to: NetAddress): Promise<number>;
  receive(buffer?: Uint8Array): Promise<[Uint8Array, NetAddress]>;
  close(): void;
}

/** What of the `Deno` namespace is used here. */
interface DenoNet {
  listenDatagram?(options: { transport: "udp"; hostname: string; port: number }): DatagramConn;
}

const ERROR_PAUSE_MS = 20;

const { Deno } = globalThis as unknown as { Deno?: DenoNet };

export async function openUdp(clock: HostClock, options: UdpOptions, handlers: UdpHandlers): Promise<UdpSocket> {
  if (options.multicast || options.broadcast || options.reuseAddress || options.multicastHops !== undefined) {
    throw new NtpError("UNSUPPORTED", "Deno's own UDP sockets cannot listen to broadcasts or groups, nor ask them; on Linux with FFI kernel-stamped sockets can");
  }
  const hostname = options.address ?? (options.family === 6 ? "::" : "0.0.0.0");
  // listenDatagram cannot say IPV6_V6ONLY: a socket on "::" would take the port on IPv4, too.
  if (!Deno?.listenDatagram || hostname === "::") return openNodeUdp(clock, options, handlers);
  const connection = Deno.listenDatagram({ transport: "udp", hostname, port: options.port ?? 0 });
  const socket = new DenoUdpSocket(clock, connection, options.connect);
  void socket.listen(handlers);
  return socket;
}

class DenoUdpSocket implements UdpSocket {
  readonly stamps = "user";
  readonly local: Endpoint;
  readonly #clock: HostClock;
  readonly #connection: DatagramConn;
  readonly #peer: Endpoint | undefined;
  #closed = false;

  constructor(clock: HostClock, connection: DatagramConn, peer: Endpoint | undefined) {
    this.#clock = clock;
    this.#connection = connection;
    this.#peer = peer;
    this.local = { address: connection.addr.hostname, port: connection.addr.port };
  }

  async listen(handlers: UdpHandlers): Promise<void> {
    const buffer = new Uint8Array(65536);
    while (!this.#closed) {
      try {
        const [data, { hostname, port }] = await this.#connection.receive(buffer);
        const receivedNs = this.#clock.now();
        handlers.onDatagram({ data, from: { address: unmapped(hostname), port }, receivedNs, stamp: "user" });
      } catch (error) {
        if (this.#closed) return;
        handlers.onError(error as Error);
        // A socket that keeps failing must not keep the processor.
        await new Promise((resolve) => setTimeout(resolve, ERROR_PAUSE_MS));
      }
    }
  }

  async send(data: Uint8Array, to: Endpoint | undefined = this.#peer): Promise<SendStamp> {
    if (!to) throw new TypeError("send: expected an endpoint, as the socket is not connected");
    const sentNs = this.#clock.now();
    await this.#connection.send(data, { transport: "udp", hostname: to.address, port: to.port });
    return { sentNs, stamp: "user" };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}
