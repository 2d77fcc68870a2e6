// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Two ends of a connection in memory. What one end writes the other reads, in pieces of at most `piece` octets, so that
 * whoever reads can be tried with octets that come one by one.
 *
 * @module
 */

import type { ByteStream } from "../../hosts/common/stream.ts";

export class PipeEnd implements ByteStream {
  /** All that was written here. */
  readonly written: Uint8Array[] = [];
  closed = false;
  readonly #piece: number;
  #peer: PipeEnd | undefined;
  #waiting: Uint8Array[] = [];
  #over = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(piece: number) {
    this.#piece = piece;
  }

  static pair(piece = Infinity): [PipeEnd, PipeEnd] {
    const [a, b] = [new PipeEnd(piece), new PipeEnd(piece)];
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.closed) return undefined;
      const data = this.#waiting.shift();
      if (data) return data;
      if (this.#failure) throw this.#failure;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("this end is closed");
    this.written.push(Uint8Array.from(data));
    if (this.#peer && !this.#peer.closed) this.#peer.#push(data);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#wake?.();
    if (this.#peer) this.#peer.#end();
  }

  /** Reads fail from here on, as when a connection is reset. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake?.();
  }

  #push(data: Uint8Array): void {
    for (let at = 0; at < data.length; at += this.#piece) this.#waiting.push(Uint8Array.from(data.subarray(at, at + this.#piece)));
    this.#wake?.();
  }

  #end(): void {
    this.#over = true;
    this.#wake?.();
  }
}
