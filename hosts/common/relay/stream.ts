// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A TCP stream by a relay, for key establishment: octets in, octets out, none of them looked at. Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint } from "../host.ts";
import type { ByteStream } from "../stream.ts";
import { stoppedBy } from "../tcp.ts";
import type { RelayConnection } from "./connection.ts";
import { LONGEST_DATA, type Frame } from "./protocol.ts";
import { relayRefusal } from "./refusal.ts";

/** Octets that may wait to be read; key establishment needs some thousands. A relay that sends more is cut off. */
const MOST_WAITING = 262_144;

/** @throws {NtpError} `UNREACHABLE`, `TIMEOUT`, `ABORTED`, `DNS` */
export function openRelayedStream(connection: RelayConnection, endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  const stream = new RelayedStream(connection, endpoint);
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      signal.removeEventListener("abort", stop);
      if (!error) return resolve(stream);
      stream.close();
      reject(error);
    };
    const stop = () => settle(stoppedBy(signal, endpoint));
    signal.addEventListener("abort", stop, { once: true });
    stream.opened.then(() => settle(), settle);
  });
}

class RelayedStream implements ByteStream {
  /** Resolves when the relay has connected. */
  readonly opened: Promise<void>;
  readonly #connection: RelayConnection;
  readonly #endpoint: Endpoint;
  readonly #id: number;
  readonly #release: () => void;
  readonly #came: Uint8Array[] = [];
  #waiting = 0;
  #ended = false;
  #failure: NtpError | undefined;
  #wake: (() => void) | undefined;
  #standing!: () => void;
  #fallen!: (error: NtpError) => void;

  constructor(connection: RelayConnection, endpoint: Endpoint) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.#release = connection.hold();
    this.#id = connection.register({ onFrame: (frame) => this.#onFrame(frame), onLost: (error) => this.#end(error) });
    this.opened = new Promise((resolve, reject) => {
      this.#standing = resolve;
      this.#fallen = reject;
    });
    this.opened.catch(() => {});
    connection.send({ type: "open", id: this.#id, host: endpoint.address, port: endpoint.port }).catch((error: NtpError) => this.#end(error));
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#wake) throw new Error("one read at a time");
    if (this.#came.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const data = this.#came.shift();
    if (data) {
      this.#waiting -= data.length;
      return data;
    }
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += LONGEST_DATA) {
      if (this.#ended) throw this.#failure ?? new NtpError("UNREACHABLE", "the stream was closed");
      await this.#connection.send({ type: "data", id: this.#id, payload: data.subarray(at, at + LONGEST_DATA) });
    }
  }

  close(): void {
    if (!this.#ended) void this.#connection.send({ type: "close", id: this.#id }).catch(() => {});
    this.#came.length = 0;
    this.#end();
    this.#failure = undefined;
  }

  #onFrame(frame: Frame): void {
    if (this.#ended) return;
    if (frame.type === "opened") return this.#standing();
    if (frame.type === "close") return this.#end();
    if (frame.type === "error") return this.#end(relayRefusal(frame, this.#endpoint));
    if (frame.type !== "data") return;
    this.#waiting += frame.payload.length;
    if (this.#waiting > MOST_WAITING) return this.close();
    this.#came.push(frame.payload);
    this.#wake?.();
  }

  #end(error?: NtpError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#connection.forget(this.#id);
    this.#release();
    this.#fallen(error ?? new NtpError("UNREACHABLE", "the relay closed the stream before it stood"));
    this.#wake?.();
  }
}
