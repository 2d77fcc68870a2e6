// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A `node:tls` socket after its handshake, as a {@link TlsStream}. Tested in tls.test.ts.
 *
 * @module
 */

import type tls from "node:tls";
import type { TlsStream } from "../common/stream.ts";
import { SocketStream } from "./stream.ts";

export class NodeTlsStream extends SocketStream implements TlsStream {
  readonly alpn: string | undefined;
  readonly group: string | undefined;
  readonly cipher: string | undefined;
  readonly #socket: tls.TLSSocket;

  constructor(socket: tls.TLSSocket, group: string | undefined) {
    super(socket);
    this.#socket = socket;
    this.alpn = socket.alpnProtocol || undefined;
    this.group = group;
    this.cipher = (socket.getCipher() as { standardName?: string } | undefined)?.standardName;
  }

  async exportKey(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    return Uint8Array.from(this.#socket.exportKeyingMaterial(length, label, Buffer.from(context)));
  }
}
