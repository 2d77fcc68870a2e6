// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * WebSockets on Deno: `Deno.serve` and `Deno.upgradeWebSocket`. Tested in tests/interop/relay.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import { unmapped } from "../common/address.ts";
import { requestOf, responseOf, type HttpRequest, type WebSocketListener, type WebSocketServerOptions } from "../common/websocket.ts";

interface DenoHttpServer {
  readonly addr: { hostname: string; port: number };
  shutdown(): Promise<void>;
}

interface DenoNamespace {
  serve(options: { hostname: string; port: number; onListen: () => void; onError: () => Response }, handler: (request: Request, info: { remoteAddr: { hostname: string } }) => Response): DenoHttpServer;
  upgradeWebSocket(request: Request, options: { protocol?: string; idleTimeout: number }): { socket: WebSocket; response: Response };
}

/** Those that stay open when the listener closes are ended after this, ms. */
const CLOSING_MS = 1000;

export async function listenWebSocket(options: WebSocketServerOptions): Promise<WebSocketListener> {
  const { Deno } = globalThis as unknown as { Deno: DenoNamespace };
  const { address, port } = options.endpoint;
  let open = 0;
  const handler = (request: Request, { remoteAddr }: { remoteAddr: { hostname: string } }): Response => {
    const asked = requestOf(request, unmapped(remoteAddr.hostname));
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return responseOf(options.http(asked));
    const refusal = open >= options.maxConnections ? { status: 503, headers: {}, body: "" } : options.refuse(asked);
    if (refusal) return responseOf(refusal);
    const chosen = asked.subprotocols.includes(options.subprotocol) ? { protocol: options.subprotocol } : {};
    const { socket, response } = Deno.upgradeWebSocket(request, { ...chosen, idleTimeout: 0 });
    open += 1;
    accept(socket, asked, options, () => (open -= 1));
    return response;
  };
  let server: DenoHttpServer;
  try {
    server = Deno.serve({ hostname: address, port, onListen: () => {}, onError: () => new Response(null, { status: 400 }) }, handler);
  } catch (cause) {
    throw new NtpError("SOCKET", `could not listen on ${address} port ${port}: ${(cause as Error).message}`, { cause });
  }
  return { local: { address: server.addr.hostname, port: server.addr.port }, close: () => close(server) };
}

function accept(socket: WebSocket, request: HttpRequest, options: WebSocketServerOptions, closed: () => void): void {
  socket.binaryType = "arraybuffer";
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  const handlers = options.accepted({
    send: (data) => {
      if (isOpen()) socket.send(data);
    },
    get buffered() {
      return socket.bufferedAmount;
    },
    close: (code, reason) => {
      if (isOpen()) socket.close(code, reason);
    },
  }, request);
  socket.onmessage = ({ data }) => {
    const message = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    // This runtime has no limit of its own.
    if (message.length > options.maxMessage) return isOpen() ? socket.close(1009, "too long") : undefined;
    handlers.onMessage(message);
  };
  socket.onerror = () => {};
  socket.onclose = () => {
    closed();
    handlers.onClose();
  };
}

/** Ends what is under way, but waits no longer than a client may take to close. */
async function close(server: DenoHttpServer): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSING_MS)));
  await Promise.race([server.shutdown(), late]);
  clearTimeout(timer);
}
