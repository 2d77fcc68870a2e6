// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host on the path between a client and a real server: it sees every request, and what comes back is what it decides.
 *
 * `onReply` turns the server's reply into the datagrams that the client gets, in order. What is sent `from: "stranger"` comes
 * from another port of the relay's address, as from a host that saw the request but cannot take the server's port.
 *
 * @module
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import process from "node:process";
import type { Endpoint } from "../../hosts/common/host.ts";
import { loopbackAlias } from "./peers.ts";

/** A datagram on its way to the client. */
export interface Delivery {
  readonly data: Uint8Array;
  readonly from?: "server" | "stranger";
  /** Held back for so long, ms. */
  readonly holdMs?: number;
}

/** One request and the reply that the real server gave. */
export interface Exchange {
  readonly request: Buffer;
  readonly reply: Buffer;
}

export interface RelayOptions {
  readonly server: Endpoint;
  /** What the client gets instead of the reply. Default the reply itself. */
  readonly onReply?: (exchange: Exchange) => Iterable<Delivery>;
  /** How long requests are held back, ms. */
  readonly holdRequestMs?: number;
}

export interface Relay extends AsyncDisposable {
  /** Where clients ask. */
  readonly endpoint: Endpoint;
  /** `ADDRESS:PORT` */
  readonly source: string;
  /** What clients asked, in order, and from which ports. */
  readonly requests: readonly Buffer[];
  readonly clientPorts: readonly number[];
  /** How long each request and each reply was really held back, ns. */
  readonly held: { readonly requestNs: bigint; readonly replyNs: bigint }[];
}

/** Datagrams that any receive buffer holds, and the pause that lets a reader take them out. */
const PORTION = 32;
const PAUSE_MS = 4;

export async function openRelay(options: RelayOptions): Promise<Relay> {
  const address = loopbackAlias();
  const near = await bound(address);
  const stranger = await bound(address);
  const path = new Path(near, stranger, options);
  near.on("message", (request, client) => void path.carry(request, client));
  const { port } = near.address();
  return {
    endpoint: { address, port },
    source: `${address}:${port}`,
    requests: path.requests,
    clientPorts: path.clientPorts,
    held: path.held,
    [Symbol.asyncDispose]: () => path.close(),
  };
}

function untouched({ reply }: Exchange): Iterable<Delivery> {
  return [{ data: reply }];
}

function bound(address: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.once("error", reject);
    socket.bind(0, address, () => resolve(socket));
  });
}

class Path {
  readonly requests: Buffer[] = [];
  readonly clientPorts: number[] = [];
  readonly held: { requestNs: bigint; replyNs: bigint }[] = [];
  readonly #near: Socket;
  readonly #stranger: Socket;
  readonly #far = new Set<Socket>();
  readonly #options: RelayOptions;
  #closed = false;

  constructor(near: Socket, stranger: Socket, options: RelayOptions) {
    this.#near = near;
    this.#stranger = stranger;
    this.#options = options;
  }

  async carry(request: Buffer, client: RemoteInfo): Promise<void> {
    const { server, onReply = untouched, holdRequestMs = 0 } = this.#options;
    this.requests.push(Buffer.from(request));
    this.clientPorts.push(client.port);
    const came = process.hrtime.bigint();
    await pause(holdRequestMs);
    const requestNs = process.hrtime.bigint() - came;
    const reply = await this.#forward(request, server);
    const back = process.hrtime.bigint();
    let sent = 0;
    for (const { data, from, holdMs = 0 } of onReply({ request, reply })) {
      await pause(holdMs);
      if (++sent % PORTION === 0) await pause(PAUSE_MS);
      if (this.#closed) return;
      const replyNs = process.hrtime.bigint() - back;
      await sendTo(from === "stranger" ? this.#stranger : this.#near, data, client);
      this.held.push({ requestNs, replyNs });
    }
  }

  async #forward(request: Buffer, { address, port }: Endpoint): Promise<Buffer> {
    const far = await bound(address.includes(":") ? "::1" : "127.0.0.1");
    this.#far.add(far);
    const reply = new Promise<Buffer>((resolve) => far.once("message", resolve));
    await sendTo(far, request, { address, port });
    return reply;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const socket of [this.#near, this.#stranger, ...this.#far]) socket.close();
  }
}

function sendTo(socket: Socket, data: Uint8Array, { address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => socket.send(data, port, address, (error) => (error ? reject(error) : resolve())));
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
