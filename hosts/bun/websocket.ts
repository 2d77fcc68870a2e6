// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * WebSockets on Bun: `Bun.serve`. Tested in tests/interop/relay.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import { unmapped } from "../common/address.ts";
import { requestOf, responseOf, type HttpRequest, type WebSocketHandlers, type WebSocketListener, type WebSocketPeer, type WebSocketServerOptions } from "../common/websocket.ts";

interface BunSocket {
  readonly data: Held;
  send(data: Uint8Array | string): number;
  getBufferedAmount(): number;
  close(code: number, reason: string): void;
}

interface BunServer {
  readonly hostname: string;
  readonly port: number;
  requestIP(request: Request): { address: string } | null;
  upgrade(request: Request, options: { data: Held; headers: Record<string, string> }): boolean;
  stop(closeAll: boolean): Promise<void> | void;
}

interface BunNamespace {
  serve(options: {
    hostname: string;
    port: number;
    maxRequestBodySize: number;
    fetch(request: Request, server: BunServer): Response | undefined;
    websocket: object;
  }): BunServer;
}

/** What belongs to a socket, from its upgrade on. */
interface Held {
  readonly request: HttpRequest;
  handlers?: WebSocketHandlers;
}

/** What waits for a client that does not read, octets, before Bun ends the connection. */
const MOST_BUFFERED = 1_048_576;

export async function listenWebSocket(options: WebSocketServerOptions): Promise<WebSocketListener> {
  const { Bun } = globalThis as unknown as { Bun: BunNamespace };
  const { address, port } = options.endpoint;
  const open = new Set<BunSocket>();
  const fetch = (request: Request, server: BunServer): Response | undefined => {
    const asked = requestOf(request, unmapped(server.requestIP(request)?.address ?? ""));
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return responseOf(options.http(asked));
    const refusal = open.size >= options.maxConnections ? { status: 503, headers: {}, body: "" } : options.refuse(asked);
    if (refusal) return responseOf(refusal);
    const headers: Record<string, string> = asked.subprotocols.includes(options.subprotocol) ? { "sec-websocket-protocol": options.subprotocol } : {};
    return server.upgrade(request, { data: { request: asked }, headers }) ? undefined : new Response(null, { status: 400 });
  };
  const websocket = {
    // The relay has an idle time of its own.
    maxPayloadLength: options.maxMessage, idleTimeout: 0, perMessageDeflate: false, backpressureLimit: MOST_BUFFERED, closeOnBackpressureLimit: true,
    open: (socket: BunSocket) => {
      open.add(socket);
      socket.data.handlers = options.accepted(peerOf(socket), socket.data.request);
    },
    message: (socket: BunSocket, data: string | Uint8Array) => socket.data.handlers?.onMessage(data),
    close: (socket: BunSocket) => {
      open.delete(socket);
      socket.data.handlers?.onClose();
    },
  };
  try {
    const server = Bun.serve({ hostname: address, port, maxRequestBodySize: 1024, fetch, websocket });
    return { local: { address, port: server.port }, close: async () => void (await server.stop(true)) };
  } catch (cause) {
    throw new NtpError("SOCKET", `could not listen on ${address} port ${port}: ${(cause as Error).message}`, { cause });
  }
}

function peerOf(socket: BunSocket): WebSocketPeer {
  return {
    send: (data) => void socket.send(data),
    get buffered() {
      return socket.getBufferedAmount();
    },
    close: (code, reason) => socket.close(code, reason),
  };
}
