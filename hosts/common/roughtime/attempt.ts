// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One Roughtime request to one address over one transport, until a valid response comes or its owner has enough.
 *
 * A response that is not valid is passed over and its reason kept: over UDP anybody can send one, and honest servers send
 * some on purpose (RFC 10049 §7). Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, Host, StampSource, UdpSocket } from "../host.ts";
import { sameAddress } from "../address.ts";
import { packetsOf } from "./packets.ts";
import { makeRequest, type Drawn } from "./request.ts";
import { verifyResponse, type RoughtimeAnswer } from "./response.ts";

export type Transport = "udp" | "tcp";

/** A valid answer, with all that proves it and says when it was given. */
export interface RoughtimeExchange {
  readonly publicKey: Uint8Array;
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  /** What the nonce was bound with to the response before; absent when it was not. */
  readonly rand?: Uint8Array;
  readonly answer: RoughtimeAnswer;
  /** Wall clock, ns since 1970. */
  readonly sentNs: bigint;
  readonly receivedNs: bigint;
  readonly stamps: { readonly t1: StampSource; readonly t4: StampSource };
  /** The host's monotonic clock before the request left and after the response came, ns. */
  readonly askedAt: bigint;
  readonly answeredAt: bigint;
}

export interface AttemptHandlers {
  onAnswer(exchange: RoughtimeExchange): void;
  /** Nothing more can come of it. */
  onFailure(error: Error): void;
  /** A response that was passed over. */
  onRefused(why: string): void;
}

export interface AttemptOptions {
  readonly host: Host;
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly publicKey: Uint8Array;
  readonly versions: readonly number[];
  readonly drawn: Drawn;
}

/** When something was sent or came. */
interface Moment {
  readonly wallNs: bigint;
  readonly stamp: StampSource;
  readonly at: bigint;
}

export class RoughtimeAttempt {
  readonly #options: AttemptOptions;
  readonly #handlers: AttemptHandlers;
  readonly #request: Uint8Array;
  readonly #closed = new AbortController();
  #socket: UdpSocket | undefined;
  #askedAt = 0n;

  constructor(options: AttemptOptions, handlers: AttemptHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#request = makeRequest(options.publicKey, options.drawn.nonce, options.versions);
    const run = options.transport === "udp" ? this.#udp() : this.#tcp();
    run.catch((error: unknown) => this.#fail(error));
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint;
  }

  /** Stop listening; nothing is reported any more. Idempotent. */
  close(): void {
    this.#closed.abort();
    this.#socket?.close();
  }

  async #udp(): Promise<void> {
    const { host, endpoint } = this.#options;
    if (!host.openUdp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets`);
    // A response may come before send() has told its stamp.
    const early: Datagram[] = [];
    let sent: Moment | undefined;
    const onDatagram = (datagram: Datagram) => {
      if (sent) this.#onDatagram(datagram, sent);
      else if (early.length < EARLY_LIMIT) early.push({ ...datagram, data: datagram.data.slice() });
    };
    const family = endpoint.address.includes(":") ? 6 : 4;
    this.#socket = await host.openUdp({ family, connect: endpoint }, { onDatagram, onError: (error) => this.#fail(error) }, "kernel");
    if (this.#closed.signal.aborted) return this.#socket.close();
    this.#askedAt = host.clock.monotonic();
    const { sentNs, stamp } = await this.#socket.send(this.#request, endpoint);
    sent = { wallNs: sentNs, stamp, at: this.#askedAt };
    for (const datagram of early.splice(0)) this.#onDatagram(datagram, sent);
  }

  #onDatagram({ data, from, receivedNs, stamp }: Datagram, sent: Moment): void {
    const { endpoint, host } = this.#options;
    // MUST hold even where the kernel filters for us: not every runtime can connect a UDP socket.
    if (from.port !== endpoint.port || !sameAddress(from.address, endpoint.address)) return this.#handlers.onRefused("from another address than the one asked");
    this.#judge(data.slice(), sent, { wallNs: receivedNs, stamp, at: host.clock.monotonic() });
  }

  async #tcp(): Promise<void> {
    const { host, endpoint } = this.#options;
    if (!host.connectTcp) throw new NtpError("UNSUPPORTED", `${host.runtime} has no TCP`);
    const stream = await host.connectTcp(endpoint, this.#closed.signal);
    try {
      if (this.#closed.signal.aborted) return;
      this.#closed.signal.addEventListener("abort", () => stream.close(), { once: true });
      const sent = this.#now();
      await stream.write(this.#request);
      for await (const packet of packetsOf(stream)) this.#judge(packet, sent, this.#now());
      throw new Error("the server closed the connection without a valid response");
    } finally {
      stream.close();
    }
  }

  #now(): Moment {
    const { clock } = this.#options.host;
    return { wallNs: clock.now(), stamp: "user", at: clock.monotonic() };
  }

  #judge(response: Uint8Array, sent: Moment, came: Moment): void {
    if (this.#closed.signal.aborted) return;
    const { publicKey, endpoint, transport, drawn } = this.#options;
    const request = this.#request;
    const { answer, why } = verifyResponse(response, request, publicKey);
    if (!answer) return this.#handlers.onRefused(why);
    this.#handlers.onAnswer({
      publicKey, endpoint, transport, request, response, answer,
      ...(drawn.rand ? { rand: drawn.rand } : {}),
      sentNs: sent.wallNs,
      receivedNs: came.wallNs,
      stamps: { t1: sent.stamp, t4: came.stamp },
      askedAt: sent.at,
      answeredAt: came.at,
    });
  }

  #fail(error: unknown): void {
    if (this.#closed.signal.aborted) return;
    this.close();
    this.#handlers.onFailure(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Datagrams kept while the send has not told its stamp yet. */
const EARLY_LIMIT = 16;
