// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A relay's TCP connection to a target, for key establishment: few octets, a short time. Octets are not looked at. Tested in
 * server.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { ByteStream } from "../stream.ts";
import type { RelayLimits } from "./limits.ts";
import { LONGEST_DATA } from "./protocol.ts";

export interface TunnelHandlers {
  onOpened(): void;
  onData(data: Uint8Array): void;
  /** Once. Without an error: one side closed. */
  onEnd(error?: Error): void;
}

/** Where to connect, and whom to tell when that did not work. */
interface Way {
  readonly endpoint: Endpoint;
  failed(): Promise<void>;
}

export class RelayedConnection {
  readonly #host: Host;
  readonly #limits: RelayLimits;
  readonly #handlers: TunnelHandlers;
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #stream: ByteStream | undefined;
  #up = 0;
  #down = 0;
  #over = false;

  constructor(host: Host, limits: RelayLimits, handlers: TunnelHandlers) {
    this.#host = host;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#timer = setTimeout(() => this.#late(), limits.streamTime * 1000);
    this.#alive();
  }

  /** Connect, and pass on what comes until one side ends. Never rejects. */
  async run(find: () => Promise<Way>): Promise<void> {
    try {
      if (!this.#host.connectTcp) throw new NtpError("UNSUPPORTED", `${this.#host.runtime} has no TCP`);
      const { endpoint, failed } = await find();
      const stream = await this.#host.connectTcp(endpoint, this.#stop.signal).catch(async (error: unknown) => {
        await failed();
        throw error;
      });
      if (this.#over) return stream.close();
      this.#stream = stream;
      this.#handlers.onOpened();
      for (let data = await stream.read(); data && !this.#over; data = await stream.read()) this.#pass(data);
      this.#end();
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** From the client. Before the connection stands there is nothing to say. */
  write(data: Uint8Array): void {
    if (this.#over) return;
    this.#alive();
    this.#up += data.length;
    if (!this.#stream || this.#up > this.#limits.streamOctets) return this.#end(new NtpError("UNREACHABLE", "too much, or too early"));
    this.#stream.write(data).catch((error: Error) => this.#end(error));
  }

  /** Idempotent. */
  close(): void {
    this.#end();
  }

  #pass(data: Uint8Array): void {
    this.#alive();
    this.#down += data.length;
    if (this.#down > this.#limits.streamOctets) return this.#end(new NtpError("UNREACHABLE", "too much"));
    for (let at = 0; at < data.length; at += LONGEST_DATA) this.#handlers.onData(data.subarray(at, at + LONGEST_DATA));
  }

  #alive(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#late(), this.#limits.streamIdle * 1000);
  }

  #late(): void {
    this.#end(new NtpError("TIMEOUT", "the stream took too long"));
  }

  #end(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#idle);
    this.#stop.abort();
    this.#stream?.close();
    this.#handlers.onEnd(error);
  }
}
