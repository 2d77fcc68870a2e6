// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TCP on `node:net`: a stream that is read when it is wanted. What came and was not read holds the sender back.
 *
 * @module
 */

import net from "node:net";
import { NtpError } from "../common/errors.ts";
import type { Endpoint } from "../common/host.ts";
import type { ByteStream } from "../common/stream.ts";
import { stoppedBy, unreachable } from "../common/tcp.ts";

export function connectTcp(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stoppedBy(signal, endpoint));
    const socket = net.connect({ host: endpoint.address, port: endpoint.port, noDelay: true });
    const settle = (error?: NtpError) => {
      signal.removeEventListener("abort", stop);
      socket.off("error", refused).off("connect", connected);
      if (!error) return resolve(new NodeByteStream(socket));
      socket.on("error", () => {}).destroy();
      reject(error);
    };
    const stop = () => settle(stoppedBy(signal, endpoint));
    const refused = (cause: Error) => settle(unreachable(endpoint, cause));
    const connected = () => settle();
    signal.addEventListener("abort", stop, { once: true });
    socket.once("error", refused).once("connect", connected);
  });
}

class NodeByteStream implements ByteStream {
  readonly #socket: net.Socket;
  #wake: (() => void) | undefined;
  #error: Error | undefined;
  #over = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    const wake = () => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("error", (error) => {
      this.#error = error;
      this.#end();
    });
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      // Over first: after close() nothing is given out any more.
      const data = this.#socket.destroyed ? null : (this.#socket.read() as Uint8Array | null);
      if (data) return data;
      if (this.#error) throw this.#error;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.#end();
    // What was written still leaves; what comes is not waited for.
    this.#socket.destroySoon();
  }

  #end(): void {
    this.#over = true;
    this.#wake?.();
  }
}
