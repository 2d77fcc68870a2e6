// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * WebSockets on Node by `ws`, as a server and, before Node 22, as a client. Tested in tests/interop/relay.test.ts.
 *
 * @module
 */

import http from "node:http";
import type net from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { NtpError } from "../common/errors.ts";
import { unmapped } from "../common/address.ts";
import type { HttpAnswer, HttpRequest, WebSocketConstructor, WebSocketListener, WebSocketServerOptions } from "../common/websocket.ts";

/** The runtime's own, where it has one. */
export function webSocket(): WebSocketConstructor {
  return ((globalThis as { WebSocket?: unknown }).WebSocket ?? WebSocket) as WebSocketConstructor;
}

/** What a request and its headers may take, ms, and the headers' size, octets: there is little to say. */
const REQUEST_MS = 5000;
const MOST_HEADERS = 8192;
/** TCP connections beyond the WebSockets', so that a refusal can be told, and the time by HTTP. */
const SPARE = 64;
/** What a client is given to answer our closing, ms. */
const CLOSING_MS = 1000;

export async function listenWebSocket(options: WebSocketServerOptions): Promise<WebSocketListener> {
  const { endpoint, maxMessage, maxConnections, subprotocol } = options;
  const server = http.createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_MS, keepAliveTimeout: REQUEST_MS, maxHeaderSize: MOST_HEADERS });
  server.maxConnections = maxConnections + SPARE;
  const sockets = new WebSocketServer({
    noServer: true, maxPayload: maxMessage, perMessageDeflate: false, clientTracking: true,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  server.on("request", (request, response) => {
    const { status, headers, body } = options.http(requestOf(request));
    response.writeHead(status, headers).end(body);
    // A body is nothing that we read.
    if (request.method !== "GET" && request.method !== "HEAD") response.once("finish", () => request.destroy());
  });
  server.on("upgrade", (request, socket: net.Socket, head) => {
    socket.on("error", () => socket.destroy());
    const asked = requestOf(request);
    const refusal = options.refuse(asked);
    if (refusal) return refuse(socket, refusal);
    sockets.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, socket, asked, options));
  });
  await listening(server, endpoint);
  const local = server.address() as net.AddressInfo;
  return { local: { address: local.address, port: local.port }, close: () => close(server, sockets) };
}

function accept(webSocket: WebSocket, socket: net.Socket, request: HttpRequest, options: WebSocketServerOptions): void {
  socket.setNoDelay(true);
  const handlers = options.accepted({
    send: (data) => void (webSocket.readyState === WebSocket.OPEN && webSocket.send(data, () => {})),
    get buffered() {
      return webSocket.bufferedAmount;
    },
    close: (code, reason) => {
      webSocket.close(code, reason);
      const timer = setTimeout(() => webSocket.terminate(), CLOSING_MS);
      webSocket.once("close", () => clearTimeout(timer));
    },
  }, request);
  // Such as a message that is too long: ws closes the connection itself.
  webSocket.on("error", () => {});
  webSocket.on("message", (data: Uint8Array, isBinary) => handlers.onMessage(isBinary ? data : new TextDecoder().decode(data)));
  webSocket.on("close", () => handlers.onClose());
}

async function listening(server: http.Server, { address, port }: { address: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error) => reject(new NtpError("SOCKET", `could not listen on ${address} port ${port}: ${cause.message}`, { cause }));
    server.once("error", failed);
    server.listen({ host: address, port }, () => {
      server.off("error", failed);
      resolve();
    });
  });
  server.on("error", () => {});
}

async function close(server: http.Server, sockets: WebSocketServer): Promise<void> {
  for (const webSocket of sockets.clients) setTimeout(() => webSocket.terminate(), CLOSING_MS).unref();
  server.closeIdleConnections();
  if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
}

function requestOf({ method = "", url = "/", headers, socket }: http.IncomingMessage): HttpRequest {
  const offered = headers["sec-websocket-protocol"] ?? "";
  return { method, url, origin: headers.origin, subprotocols: offered.split(",").map((name) => name.trim()).filter(Boolean), address: unmapped(socket.remoteAddress ?? "") };
}

function refuse(socket: net.Socket, { status, headers, body }: HttpAnswer): void {
  const lines = Object.entries({ ...headers, connection: "close", "content-length": String(Buffer.byteLength(body)) }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${body}`);
}
