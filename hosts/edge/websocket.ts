// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * HTTP and WebSockets of a Worker: nothing listens; each request comes to `fetch`. An upgrade is answered by `WebSocketPair`, or by
 * `Deno.upgradeWebSocket` on platforms that run Deno. Tested in tests/edge/worker.test.ts and
 * tests/edge/deno.test.ts.
 *
 * @module
 */

import { requestOf, responseOf, type HttpRequest, type WebSocketHandlers, type WebSocketLike, type WebSocketServerOptions } from "../common/websocket.ts";

/** The server's end of a WebSocket. */
type AcceptedSocket = WebSocketLike & { accept?(): void };

interface Platform {
  readonly WebSocketPair?: new () => { readonly 0: WebSocketLike; readonly 1: AcceptedSocket };
  readonly Deno?: { upgradeWebSocket(request: Request, options: { protocol?: string }): { socket: AcceptedSocket; response: Response } };
}

/** What answers a request by `options`, of which the endpoint means nothing here; `address`: the client's. */
export function fetchBy(options: WebSocketServerOptions): (request: Request, address?: string) => Response {
  return (request, address) => {
    // What the platform gave, or else the network in front of the Worker tells; a Worker has no other.
    const asked = requestOf(request, address ?? request.headers.get("cf-connecting-ip") ?? "unknown");
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return responseOf(options.http(asked));
    const refusal = options.refuse(asked);
    if (refusal) return responseOf(refusal);
    const upgraded = upgrade(request, asked.subprotocols.includes(options.subprotocol) ? options.subprotocol : undefined);
    if (!upgraded) return new Response("this platform has no WebSockets for a server; ask by HTTP\n", { status: 501 });
    accept(upgraded.socket, asked, options);
    return upgraded.response;
  };
}

/** The server's end, and the response that gives the client the other; undefined where the platform has neither way. */
function upgrade(request: Request, protocol: string | undefined): { socket: AcceptedSocket; response: Response } | undefined {
  const { WebSocketPair, Deno } = globalThis as Platform;
  if (!WebSocketPair) return Deno?.upgradeWebSocket(request, protocol ? { protocol } : {});
  const { 0: theirs, 1: socket } = new WebSocketPair();
  const headers: Record<string, string> = protocol ? { "sec-websocket-protocol": protocol } : {};
  return { socket, response: new Response(null, { status: 101, headers, webSocket: theirs } as ResponseInit) };
}

function accept(socket: AcceptedSocket, request: HttpRequest, options: WebSocketServerOptions): void {
  socket.accept?.();
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
