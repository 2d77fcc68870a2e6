// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TLS 1.3 server on `node:net` and `node:tls`. Connections are counted and admitted before the handshake, which is what
 * costs; what fails in one is counted, never logged. Tested in tls.test.ts.
 *
 * @module
 */

import net from "node:net";
import tls from "node:tls";
import { NtpError } from "../common/errors.ts";
import type { Endpoint } from "../common/host.ts";
import type { TlsListener, TlsServerOptions, TlsStream } from "../common/stream.ts";
import { unmapped } from "../common/address.ts";
import { NodeTlsStream } from "./tls-stream.ts";

const HANDSHAKE_MS = 5000;

type Accepted = (stream: TlsStream, from: Endpoint) => void;

export async function listenTls(options: TlsServerOptions, accepted: Accepted): Promise<TlsListener> {
  const listener = new NodeTlsListener(options, accepted);
  await listener.listen();
  return listener;
}

class NodeTlsListener implements TlsListener {
  failed = 0;
  refused = 0;
  local: Endpoint;
  readonly #options: TlsServerOptions;
  readonly #plain: net.Server;
  readonly #secure: tls.Server;
  readonly #open = new Set<net.Socket>();

  constructor(options: TlsServerOptions, accepted: Accepted) {
    this.#options = options;
    this.local = options.endpoint;
    this.#secure = this.#makeSecure(accepted);
    // A TCP server of its own: what comes is handed on to TLS once it is admitted.
    this.#plain = net.createServer((socket) => this.#admit(socket));
  }

  #makeSecure(accepted: Accepted): tls.Server {
    const { alpn, handshakeTimeout = HANDSHAKE_MS, keyLog, certificate, key } = this.#options;
    const server = tls.createServer({ ...credentials(certificate, key), ALPNProtocols: [...alpn], handshakeTimeout });
    server.on("secureConnection", (socket) => {
      // Stays for good: MUST NOT end the process.
      socket.on("error", () => {});
      // A client that offers no protocol at all gets as far as this (RFC 8915 §4: it MUST offer ntske/1).
      if (!alpn.includes(socket.alpnProtocol || "")) {
        this.failed += 1;
        socket.destroy();
        return;
      }
      accepted(new NodeTlsStream(socket, undefined), { address: unmapped(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 });
    });
    server.on("tlsClientError", (_error, socket) => {
      this.failed += 1;
      socket.destroy();
    });
    if (keyLog) server.on("keylog", (line: Buffer) => keyLog(line.toString("latin1").trimEnd()));
    return server;
  }

  #admit(socket: net.Socket): void {
    socket.on("error", () => {});
    const { maxConnections, admit } = this.#options;
    const address = unmapped(socket.remoteAddress ?? "");
    if (this.#open.size >= maxConnections || (admit && !admit(address))) {
      this.refused += 1;
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    socket.setNoDelay(true);
    this.#secure.emit("connection", socket);
  }

  listen(): Promise<void> {
    const { address, port } = this.#options.endpoint;
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) => reject(new NtpError("SOCKET", `could not listen on ${address} TCP port ${port}: ${cause.message}`, { cause }));
      this.#plain.once("error", fail);
      this.#plain.listen({ host: address, port, ipv6Only: address.includes(":") }, () => {
        this.#plain.off("error", fail);
        // Running out of file descriptors, for instance: the next connection may find things better.
        this.#plain.on("error", () => {});
        const { address: bound, port: got } = this.#plain.address() as net.AddressInfo;
        this.local = { address: bound, port: got };
        resolve();
      });
    });
  }

  renew(certificate: string, key: string): void {
    this.#secure.setSecureContext(credentials(certificate, key));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#plain.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }
}

/** @throws {NtpError} `INVALID_ARGUMENT` when they cannot be read or do not fit together. */
function credentials(certificate: string, key: string): tls.SecureContextOptions {
  const options: tls.SecureContextOptions = { cert: certificate, key, minVersion: "TLSv1.3" };
  try {
    tls.createSecureContext(options);
  } catch (cause) {
    throw new NtpError("INVALID_ARGUMENT", `expected a certificate chain and its private key in PEM: ${(cause as Error).message.trim()}`, { cause });
  }
  return options;
}
