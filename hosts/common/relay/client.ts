// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A host that has another's clock, and its datagrams and streams by a relay: docs/relay.md.
 *
 * The relay is not trusted. T1 and T4 are this host's own, taken at the WebSocket; what the relay says of its own times is kept
 * for people to look at, and changes no stamp: subtracting waits that somebody claims would make a bound that is none.
 * Authenticity is judged above, as for datagrams that came by UDP. Tested in client.test.ts and tests/interop/relay.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Datagram, Endpoint, Host, SendStamp, UdpHandlers, UdpOptions, UdpSocket } from "../host.ts";
import type { ByteStream } from "../stream.ts";
import { stoppedBy } from "../tcp.ts";
import type { WebSocketConstructor } from "../websocket.ts";
import { RelayConnection } from "./connection.ts";
import { relayRefusal } from "./refusal.ts";
import { isHost, LONGEST_DATAGRAM, type Frame, type RelayTimes } from "./protocol.ts";
import { openRelayedStream } from "./stream.ts";

/** The name that stands for the relay itself, whose clock it tells: nobody vouches for that. */
export const RELAY_ITSELF = "_relay";

/** How to reach a relay. */
export interface RelayOptions {
  /** `ws:` or `wss:`; `http:` and `https:` mean the same ones. */
  readonly url: string | URL;
  /** A constructor like the browser's; the base host's, or the global one, when absent. */
  readonly WebSocket?: WebSocketConstructor;
  /** For connecting, s. Default 5. */
  readonly timeout?: number;
  /** How long a connection that nobody needs is kept, s. Default 1. */
  readonly linger?: number;
  /** Told of each reply what the relay says about it, and the round trip that this host measured. For people: none of it is used. */
  readonly onReply?: (report: RelayReport) => void;
}

/** One datagram's way. */
export interface RelayReport {
  readonly target: Endpoint;
  /** From the request's frame to the reply's, by this host's clock, ns. */
  readonly roundTripNs: bigint;
  /** What the relay says. */
  readonly times: RelayTimes;
}

/** A host by a relay. MUST be closed, else a connection may linger. */
export interface RelayHost extends Host, AsyncDisposable {
  /** Ends the connection and everything on it. Idempotent. */
  close(): void;
}

/** See {@link RelayOptions}. Connects when first needed. @throws {NtpError} `INVALID_ARGUMENT` */
export function relayHost(base: Host, options: RelayOptions): RelayHost {
  const connection = new RelayConnection({
    url: checkedUrl(options.url),
    webSocket: async () => options.WebSocket ?? (await base.webSocket?.()) ?? globalWebSocket(base.runtime),
    now: () => base.clock.now(),
    timeout: milliseconds("timeout", options.timeout ?? 5, 300),
    linger: milliseconds("linger", options.linger ?? 1, 3600),
  });
  const { runtime, version, clock } = base;
  return {
    runtime, version, clock,
    random: (bytes) => base.random(bytes),
    ...(base.files ? { files: base.files } : {}),
    ...(base.rootCertificates ? { rootCertificates: () => base.rootCertificates!() } : {}),
    // The relay looks names up: here a name stands for its address.
    resolve: async (name) => [{ address: checkedHost(name), family: 4 }],
    openUdp: (udp, handlers) => RelayedUdp.open(connection, udp, handlers, options.onReply),
    connectTcp: (endpoint, signal) => openTcp(connection, endpoint, signal),
    close: () => connection.close(),
    [Symbol.asyncDispose]: async () => connection.close(),
  };
}

async function openTcp(connection: RelayConnection, endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  if (signal.aborted) throw stoppedBy(signal, endpoint);
  checkedHost(endpoint.address);
  return openRelayedStream(connection, endpoint, signal);
}

/** Each request is a frame of its own; there is nothing to bind. */
class RelayedUdp implements UdpSocket {
  readonly local: Endpoint = { address: "0.0.0.0", port: 0 };
  readonly stamps = "user";
  readonly #connection: RelayConnection;
  readonly #to: Endpoint | undefined;
  readonly #handlers: UdpHandlers;
  readonly #onReply: RelayOptions["onReply"];
  readonly #ids = new Set<number>();
  readonly #release: () => void;
  #closed = false;

  static async open(connection: RelayConnection, options: UdpOptions, handlers: UdpHandlers, onReply: RelayOptions["onReply"]): Promise<UdpSocket> {
    if (options.multicast || options.broadcast || options.address || options.port) {
      throw new NtpError("UNSUPPORTED", "a relay sends requests and brings replies: it binds no address, and has no broadcasts and no groups");
    }
    const socket = new RelayedUdp(connection, options.connect, handlers, onReply);
    try {
      await connection.ready();
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  constructor(connection: RelayConnection, to: Endpoint | undefined, handlers: UdpHandlers, onReply: RelayOptions["onReply"]) {
    this.#connection = connection;
    this.#to = to;
    this.#handlers = handlers;
    this.#onReply = onReply;
    this.#release = connection.hold();
  }

  async send(data: Uint8Array, to: Endpoint | undefined = this.#to): Promise<SendStamp> {
    if (this.#closed) throw new NtpError("SOCKET", "the socket is closed");
    if (!to) throw new NtpError("INVALID_ARGUMENT", "expected an endpoint to send to, got none: the socket is not connected");
    if (data.length === 0 || data.length > LONGEST_DATAGRAM) {
      throw new NtpError("INVALID_ARGUMENT", `expected a datagram of 1..${LONGEST_DATAGRAM} octets, which is what a relay carries; got ${data.length}`);
    }
    let sentNs = 0n;
    const id = this.#connection.register({
      onFrame: (frame, receivedNs) => this.#onFrame(id, frame, to, { sentNs, receivedNs }),
      onLost: (error) => this.#fail(id, error),
    });
    this.#ids.add(id);
    const isTime = to.address === RELAY_ITSELF;
    const frame: Frame = isTime ? { type: "time", id, payload: data } : { type: "datagram", id, host: checkedHost(to.address), port: to.port, payload: data };
    try {
      sentNs = await this.#connection.send(frame);
    } catch (error) {
      this.#over(id);
      throw error;
    }
    return { sentNs, stamp: "user" };
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const id of this.#ids) this.#connection.forget(id);
    this.#ids.clear();
    this.#release();
  }

  #onFrame(id: number, frame: Frame, target: Endpoint, { sentNs, receivedNs }: { sentNs: bigint; receivedNs: bigint }): void {
    if (frame.type === "error") return this.#fail(id, relayRefusal(frame, target));
    // At most one reply to a request, and only of the kind that was asked for.
    if (frame.type !== (target.address === RELAY_ITSELF ? "timed" : "reply")) return;
    this.#over(id);
    const datagram: Datagram = { data: frame.payload, from: target, receivedNs, stamp: "user" };
    this.#handlers.onDatagram(datagram);
    if (frame.type === "reply") this.#onReply?.({ target, roundTripNs: receivedNs - sentNs, times: frame.times });
  }

  #fail(id: number, error: NtpError): void {
    this.#over(id);
    if (!this.#closed) this.#handlers.onError(error);
  }

  #over(id: number): void {
    this.#connection.forget(id);
    this.#ids.delete(id);
  }
}

function checkedHost(host: string): string {
  const bare = host.replace(/^\[|\]$/g, "");
  if (isHost(bare)) return bare;
  throw new NtpError("INVALID_ARGUMENT", `expected a name or an address without a zone that a relay can ask, got "${host}"`);
}

function checkedUrl(given: string | URL): string {
  const text = String(given);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url) url.protocol = url.protocol.replace(/^http/, "ws");
  if (url && /^wss?:$/.test(url.protocol) && !url.hash && !url.username && !url.password) return url.href;
  throw new NtpError("INVALID_ARGUMENT", `expected the relay's URL, like "wss://relay.example.org/", without a user and without a fragment, got "${withoutUser(text)}"`);
}

/** A password MUST NOT come to stand in a log. */
function withoutUser(text: string): string {
  return text.replace(/\/\/[^/]*@/, "//…@");
}

function milliseconds(name: string, seconds: number, most: number): number {
  if (seconds >= 0.001 && seconds <= most) return seconds * 1000;
  throw new NtpError("INVALID_ARGUMENT", `expected a ${name} of 0.001..${most} seconds for the relay, got ${String(seconds)}`);
}

function globalWebSocket(runtime: string): WebSocketConstructor {
  const { WebSocket: found } = globalThis as { WebSocket?: unknown };
  if (typeof found === "function") return found as WebSocketConstructor;
  throw new NtpError("UNSUPPORTED", `${runtime} has no WebSocket to reach a relay by; give one as "WebSocket"`);
}
