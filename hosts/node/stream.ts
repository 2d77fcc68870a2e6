// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A `node:net` or `node:tls` socket as a {@link ByteStream}: pulled, not pushed, so that a peer that sends faster than we
 * read is stopped by its own window and not by our memory. Tested in tls.test.ts.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { ByteStream } from "../common/stream.ts";

/** What the other side is given to end the connection after we have, ms. */
const LINGER_MS = 1000;

export class SocketStream implements ByteStream {
  readonly #socket: Socket;
  readonly #came: Uint8Array[] = [];
  #ended = false;
  #closed = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.pause();
    socket.on("data", (data: Uint8Array) => {
      if (this.#closed) return;
      // Not as a Buffer, whose slice() shares memory where an array's copies.
      this.#came.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      socket.pause();
      this.#wake?.();
    });
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("error", (error) => {
      this.#failure ??= error;
      this.#end();
    });
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#wake) throw new Error("one read at a time");
    if (this.#came.length === 0 && !this.#ended) {
      this.#socket.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const data = this.#came.shift();
    if (data) return data;
    if (this.#failure && !this.#closed) throw this.#failure;
    return undefined;
  }

  write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("the stream is closed"));
      this.#socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#came.length = 0;
    this.#end();
    this.#socket.end();
    // Reads on, to see the other side's end; what still comes is of no use.
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    (timer as { unref?(): void }).unref?.();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}
