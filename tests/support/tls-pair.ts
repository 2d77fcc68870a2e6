// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Two ends of a TLS connection in memory, without TLS: what one writes the other reads, in the pieces one likes, and both export
 * the same keys, as RFC 8446 §7.5 has it of two real ends.
 *
 * @module
 */

import { hkdfSync, randomBytes } from "node:crypto";
import type { TlsStream } from "../../hosts/common/stream.ts";

export class PairedStream implements TlsStream {
  readonly alpn = "ntske/1";
  readonly group = "X25519";
  readonly cipher = "TLS_AES_128_GCM_SHA256";
  closed = false;
  /** All that was written here. */
  readonly written: Uint8Array[] = [];
  other!: PairedStream;
  readonly #secret: Uint8Array;
  readonly #piece: number;
  readonly #came: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(secret: Uint8Array, piece: number) {
    this.#secret = secret;
    this.#piece = piece;
  }

  async read(): Promise<Uint8Array | undefined> {
    while (this.#came.length === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#came.shift();
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.closed || this.other.closed) throw new Error("the connection is gone");
    this.written.push(data.slice());
    for (let at = 0; at < data.length; at += this.#piece) this.other.#came.push(data.slice(at, at + this.#piece));
    this.other.#wake?.();
  }

  close(): void {
    this.closed = true;
    for (const end of [this, this.other]) {
      end.#ended = true;
      end.#wake?.();
    }
  }

  async exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    return new Uint8Array(hkdfSync("sha256", this.#secret, context, label, length));
  }
}

/** `piece`: at most so many octets come at once. */
export function streamPair({ piece = Infinity }: { piece?: number } = {}): [client: PairedStream, server: PairedStream] {
  const secret = randomBytes(32);
  const [client, server] = [new PairedStream(secret, piece), new PairedStream(secret, piece)] as const;
  client.other = server;
  server.other = client;
  return [client, server];
}
