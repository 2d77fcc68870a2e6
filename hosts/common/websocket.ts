// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a runtime lends for the relay: WebSockets as a client and as a server. Nothing here knows the relay's frames.
 *
 * The client's side is the part of the standard's interface that is used; browsers, Workers, Deno, Bun and Node ≥ 22 have it.
 * Tested in hosts/common/relay/client.test.ts.
 *
 * @module
 */

import type { Endpoint } from "./host.ts";

/** A WebSocket as the standard has it, as far as it is used. */
export interface WebSocketLike {
  binaryType: string;
  /** What the server chose of the offered subprotocols. */
  readonly protocol: string;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: { data?: unknown; code?: number; reason?: string }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols?: string[]) => WebSocketLike;

/** What came by HTTP. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly origin: string | undefined;
  /** What the client offers as `Sec-WebSocket-Protocol`. */
  readonly subprotocols: readonly string[];
  /** Address of the other side of the connection. */
  readonly address: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What runtimes that speak the standard's `Request` were asked, by whoever is at `address`. */
export function requestOf({ method, url, headers }: Request, address: string): HttpRequest {
  const { pathname, search } = new URL(url);
  const offered = headers.get("sec-websocket-protocol") ?? "";
  return { method, url: pathname + search, origin: headers.get("origin") ?? undefined, subprotocols: offered.split(",").map((name) => name.trim()).filter(Boolean), address };
}

export function responseOf({ status, headers, body }: HttpAnswer): Response {
  return new Response(body === "" ? null : body, { status, headers });
}

/** The server's end of a WebSocket. */
export interface WebSocketPeer {
  /** Never throws; what cannot be sent is lost with the connection. */
  send(data: Uint8Array<ArrayBuffer> | string): void;
  /** Octets that wait to be sent. */
  readonly buffered: number;
  /** Idempotent. */
  close(code: number, reason: string): void;
}

/** Handlers never throw. */
export interface WebSocketHandlers {
  /** Binary or text; binary data is valid only until the handler returns. */
  onMessage(data: Uint8Array | string): void;
  /** Once, whoever closed. */
  onClose(): void;
}

export interface WebSocketServerOptions {
  readonly endpoint: Endpoint;
  /** Of a message, octets; longer ones close the connection. */
  readonly maxMessage: number;
  /** TCP connections at one time, as far as the runtime can limit them. */
  readonly maxConnections: number;
  /** Chosen when it is offered. */
  readonly subprotocol: string;
  /** The answer to a request that is no upgrade. */
  http(request: HttpRequest): HttpAnswer;
  /** Why an upgrade is refused; undefined when it is not. */
  refuse(request: HttpRequest): HttpAnswer | undefined;
  accepted(peer: WebSocketPeer, request: HttpRequest): WebSocketHandlers;
}

export interface WebSocketListener {
  readonly local: Endpoint;
  /** Stop listening and end all connections. Idempotent. */
  close(): Promise<void>;
}

/** Lent by a host as far as it can. */
export interface HostWebSockets {
  /** The runtime's WebSocket, or one to stand in for it. Without it the global one is used, where there is one. */
  webSocket?(): Promise<WebSocketConstructor>;
  /** Serve HTTP and WebSockets at one port. @throws {NtpError} `SOCKET` */
  listenWebSocket?(options: WebSocketServerOptions): Promise<WebSocketListener>;
}
