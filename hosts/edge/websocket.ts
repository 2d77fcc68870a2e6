// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * HTTP and WebSockets of a Worker: nothing listens; each request comes to `fetch`. Tested in tests/edge.
 *
 * @module
 */

import type { HttpAnswer, HttpRequest, WebSocketHandlers, WebSocketLike, WebSocketServerOptions } from "../common/websocket.ts";

/** The server's end of a pair. */
type AcceptedSocket = WebSocketLike & { accept(): void };

declare const WebSocketPair: new () => { readonly 0: WebSocketLike; readonly 1: AcceptedSocket };

/** What answers a request by `options`, of which the endpoint means nothing here. */
export function fetchBy(options: WebSocketServerOptions): (request: Request) => Response {
  return (request) => {
    const asked = requestOf(request);
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return responseOf(options.http(asked));
    const refusal = options.refuse(asked);
    if (refusal) return responseOf(refusal);
    const { 0: theirs, 1: ours } = new WebSocketPair();
    accept(ours, asked, options);
    const headers: Record<string, string> = asked.subprotocols.includes(options.subprotocol) ? { "sec-websocket-protocol": options.subprotocol } : {};
    return new Response(null, { status: 101, headers, webSocket: theirs } as ResponseInit);
  };
}

function accept(socket: AcceptedSocket, request: HttpRequest, options: WebSocketServerOptions): void {
  socket.accept();
  socket.binaryType = "arraybuffer";
  let open = true;
  const handlers: WebSocketHandlers = options.accepted({
    send: (data) => {
      if (open) (socket as { send(data: unknown): void }).send(data);
    },
    // This runtime does not tell; it limits what waits by itself.
    buffered: 0,
    close: (code, reason) => {
      if (open) socket.close(code, reason);
      open = false;
    },
  }, request);
  const closed = () => {
    open = false;
    handlers.onClose();
  };
  socket.addEventListener("message", ({ data }) => {
    const message = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (message.length <= options.maxMessage) return handlers.onMessage(message);
    if (open) socket.close(1009, "too long");
    closed();
  });
  socket.addEventListener("close", closed);
  socket.addEventListener("error", closed);
}

/** The address is that which the network in front of the Worker tells; a Worker has no other. */
function requestOf({ method, url, headers }: Request): HttpRequest {
  const { pathname, search } = new URL(url);
  const offered = headers.get("sec-websocket-protocol") ?? "";
  const address = headers.get("cf-connecting-ip") ?? "unknown";
  return { method, url: pathname + search, origin: headers.get("origin") ?? undefined, subprotocols: offered.split(",").map((name) => name.trim()).filter(Boolean), address };
}

function responseOf({ status, headers, body }: HttpAnswer): Response {
  return new Response(body === "" ? null : body, { status, headers });
}
