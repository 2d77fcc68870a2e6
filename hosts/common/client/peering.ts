// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The port that peers know us by: one socket an address family, shared by all symmetric associations.
 *
 * A datagram goes to the association of the address and port that it came from. One from anybody else is dropped, unless its
 * sender may peer with us unasked ({@link PeeringOptions.allow}). Tested in tests/interop/symmetric.test.ts.
 *
 * @module
 */

import type { Datagram, Endpoint, Host, SendStamp, UdpSocket } from "../host.ts";
import { sameAddress } from "../address.ts";
import { NTP_PORT } from "./source.ts";

export interface PeeringOptions {
  /** The port that peers have configured for us. Default 123. */
  readonly port?: number;
  /** The addresses to bind, one a family. Default the wildcards. */
  readonly addresses?: readonly string[];
  /**
   * Who may peer with us without being a source here (symmetric passive), by address. Whoever can send from such an address
   * can then have a say in our time. Default nobody.
   */
  readonly allow?: readonly string[];
  /** How many of them at a time. Default 8. */
  readonly limit?: number;
}

/** RFC 5905 §3: symmetric active. */
const MODE_SYMMETRIC_ACTIVE = 1;
const PASSIVE_LIMIT = 8;

export type Take = (datagram: Datagram) => void;

export class PeerPort {
  readonly #host: Host;
  readonly #options: PeeringOptions;
  readonly #sockets = new Map<4 | 6, Promise<UdpSocket>>();
  readonly #peers: { readonly endpoint: Endpoint; readonly take: Take; readonly passive: boolean }[] = [];
  /** Somebody who may, and is not yet known, sends an active packet: take it in, and the datagram after it. */
  readonly #onNewcomer: (endpoint: Endpoint) => void;
  #closed = false;

  constructor(host: Host, options: PeeringOptions, onNewcomer: (endpoint: Endpoint) => void) {
    this.#host = host;
    this.#options = options;
    this.#onNewcomer = onNewcomer;
  }

  /** Listen before anybody is asked, where newcomers may come. Rejects when the port cannot be had. */
  async listen(): Promise<void> {
    const families = new Set((this.#options.allow ?? []).map(familyOf));
    await Promise.all([...families].map((family) => this.#socket(family)));
  }

  /** Hand datagrams of `endpoint` to `take`. Returns how to stop it. */
  register(endpoint: Endpoint, take: Take, passive: boolean): () => void {
    const entry = { endpoint, take, passive };
    this.#peers.push(entry);
    return () => void this.#peers.splice(this.#peers.indexOf(entry), 1);
  }

  async send(packet: Uint8Array, to: Endpoint): Promise<SendStamp> {
    return (await this.#socket(familyOf(to.address))).send(packet, to);
  }

  /** The address that `peer` sees us by, as far as it can be told here. */
  async addressFor(peer: Endpoint): Promise<string | undefined> {
    const family = familyOf(peer.address);
    const bound = this.#options.addresses?.find((address) => familyOf(address) === family);
    if (bound) return bound;
    const probe = await this.#host.openUdp!({ family, connect: peer }, { onDatagram() {}, onError() {} }).catch(() => undefined);
    probe?.close();
    return probe?.local.address;
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.values()) void socket.then((open) => open.close(), () => {});
  }

  #socket(family: 4 | 6): Promise<UdpSocket> {
    const known = this.#sockets.get(family);
    if (known) return known;
    const address = this.#options.addresses?.find((candidate) => familyOf(candidate) === family);
    const options = { family, port: this.#options.port ?? NTP_PORT, ...(address ? { address } : {}) };
    const handlers = { onDatagram: (datagram: Datagram) => this.#dispatch(datagram), onError() {} };
    const opening = this.#host.openUdp!(options, handlers, "kernel");
    this.#sockets.set(family, opening);
    // A port that is taken may be free later.
    opening.then((socket) => this.#closed && socket.close(), () => this.#sockets.delete(family));
    return opening;
  }

  #dispatch(datagram: Datagram): void {
    if (this.#closed) return;
    const { from, data } = datagram;
    const take = this.#takerOf(from);
    if (take) return take(datagram);
    const { allow = [], limit = PASSIVE_LIMIT } = this.#options;
    if (((data[0] ?? 0) & 7) !== MODE_SYMMETRIC_ACTIVE || data.length < 48) return;
    if (!allow.some((address) => sameAddress(address, from.address))) return;
    if (this.#peers.filter(({ passive }) => passive).length >= limit) return;
    this.#onNewcomer(from);
    this.#takerOf(from)?.(datagram);
  }

  #takerOf(from: Endpoint): Take | undefined {
    return this.#peers.find(({ endpoint }) => endpoint.port === from.port && sameAddress(endpoint.address, from.address))?.take;
  }
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
