// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * TCP on `Deno.connect`. Tested in tests/interop/tls.test.ts.
 *
 * @module
 */

import type { Endpoint } from "../common/host.ts";
import type { ByteStream } from "../common/stream.ts";
import { stoppedBy, unreachable } from "../common/tcp.ts";

interface Conn {
  read(buffer: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  close(): void;
  setNoDelay(noDelay?: boolean): void;
}

/** What of the `Deno` namespace is used here. */
interface DenoNet {
  connect(options: { transport: "tcp"; hostname: string; port: number }): Promise<Conn>;
}

/** A record of TLS fits in. */
const BUFFER = 17_000;

const { Deno } = globalThis as unknown as { Deno: DenoNet };

export function connectTcp(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stoppedBy(signal, endpoint));
    const stop = () => reject(stoppedBy(signal, endpoint));
    signal.addEventListener("abort", stop, { once: true });
    const connected = (connection: Conn) => {
      // Deno before 2.3 has no way to call off a connect: one that comes too late is closed.
      if (signal.aborted) return connection.close();
      connection.setNoDelay(true);
      resolve(new DenoByteStream(connection));
    };
    Deno.connect({ transport: "tcp", hostname: endpoint.address, port: endpoint.port })
      .then(connected)
      .catch((cause: unknown) => reject(unreachable(endpoint, cause)))
      .finally(() => signal.removeEventListener("abort", stop));
  });
}

class DenoByteStream implements ByteStream {
  readonly #connection: Conn;
  #closed = false;

  constructor(connection: Conn) {
    this.#connection = connection;
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#closed) return undefined;
    const buffer = new Uint8Array(BUFFER);
    try {
      const length = await this.#connection.read(buffer);
      return length === null || this.#closed ? undefined : buffer.subarray(0, length);
    } catch (error) {
      // close() makes a pending read fail.
      if (this.#closed) return undefined;
      throw error;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) at += await this.#connection.write(data.subarray(at));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}
