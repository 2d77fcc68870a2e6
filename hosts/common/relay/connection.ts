// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's connection to a relay: made when first needed, again when it was lost, ended when nobody needs it.
 *
 * Each request and stream registers an id and gets the frames for it. Frames for ids that nobody has registered, and what is
 * no frame, are passed over: they can do no harm. Tested in client.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { WebSocketConstructor, WebSocketLike } from "../websocket.ts";
import { readFrame, SUBPROTOCOL, writeFrame, type Frame } from "./protocol.ts";

/** Whoever waits for frames of one id. */
export interface Listener {
  /** `receivedNs`: when it was taken from the WebSocket. */
  onFrame(frame: Frame, receivedNs: bigint): void;
  /** The connection is gone. */
  onLost(error: NtpError): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly webSocket: () => Promise<WebSocketConstructor>;
  /** Wall clock, ns since 1970. */
  readonly now: () => bigint;
  /** ms */
  readonly timeout: number;
  readonly linger: number;
}

const NORMAL = 1000;

export class RelayConnection {
  readonly #options: ConnectionOptions;
  readonly #listeners = new Map<number, Listener>();
  #socket: Promise<WebSocketLike> | undefined;
  #nextId = 1;
  #users = 0;
  #closed = false;
  #lingerTimer: ReturnType<typeof setTimeout> | undefined;
  /** Ends a connecting that is not needed any more. */
  #abandon: ((error: NtpError) => void) | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Somebody needs the connection; MUST be released once. */
  hold(): () => void {
    this.#users += 1;
    clearTimeout(this.#lingerTimer);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#users -= 1;
      if (this.#users === 0 && !this.#closed) this.#lingerTimer = setTimeout(() => this.#disconnect(), this.#options.linger);
    };
  }

  /** An id of one's own. Later frames for it go to `listener`, until {@link forget}. */
  register(listener: Listener): number {
    while (this.#listeners.has(this.#nextId)) this.#advance();
    const id = this.#nextId;
    this.#advance();
    this.#listeners.set(id, listener);
    return id;
  }

  #advance(): void {
    this.#nextId = this.#nextId >= 0xffff_ffff ? 1 : this.#nextId + 1;
  }

  forget(id: number): void {
    this.#listeners.delete(id);
  }

  /** Resolves when frames can be sent. @throws {NtpError} `UNREACHABLE`, `TIMEOUT`, `ABORTED`, `UNSUPPORTED` */
  async ready(): Promise<void> {
    if (this.#closed) throw this.#over();
    this.#socket ??= this.#connect().catch((error: unknown) => {
      this.#socket = undefined;
      throw error;
    });
    await this.#socket;
  }

  /** Send a frame; resolves to the moment before the WebSocket took it, ns since 1970. */
  async send(frame: Frame): Promise<bigint> {
    const octets = writeFrame(frame);
    await this.ready();
    const socket = await this.#socket;
    if (!socket) throw this.#lostError("it was closed");
    const sentNs = this.#options.now();
    socket.send(octets);
    return sentNs;
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abandon?.(this.#over());
    this.#disconnect();
  }

  async #connect(): Promise<WebSocketLike> {
    const { url, webSocket, timeout } = this.#options;
    const Constructor = await webSocket();
    return new Promise((resolve, reject) => {
      const socket = new Constructor(url, [SUBPROTOCOL]);
      socket.binaryType = "arraybuffer";
      const fail = (error: NtpError) => {
        clearTimeout(timer);
        this.#abandon = undefined;
        reject(error);
        closeQuietly(socket);
      };
      const timer = setTimeout(() => fail(new NtpError("TIMEOUT", `no connection to the relay ${url} within ${timeout / 1000} s: check the URL`)), timeout);
      this.#abandon = fail;
      socket.addEventListener("open", () => {
        clearTimeout(timer);
        this.#abandon = undefined;
        if (socket.protocol === SUBPROTOCOL) resolve(socket);
        else fail(new NtpError("UNREACHABLE", `expected a relay that speaks "${SUBPROTOCOL}" at ${url}, got ${JSON.stringify(socket.protocol)}: check the URL`));
      });
      socket.addEventListener("message", ({ data }) => this.#take(data));
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", ({ code, reason }) => {
        const why = reason ? ` (${code}: ${printable(reason)})` : code === undefined ? "" : ` (${code})`;
        fail(new NtpError("UNREACHABLE", `no connection to the relay ${url}${why}: check the URL, and whether the relay lets this origin in`));
        this.#lost(socket, why);
      });
    });
  }

  #take(data: unknown): void {
    // MUST come first: what follows takes time.
    const receivedNs = this.#options.now();
    const octets = data instanceof ArrayBuffer ? new Uint8Array(data) : ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : undefined;
    const frame = octets && readFrame(octets);
    if (frame) this.#listeners.get(frame.id)?.onFrame(frame, receivedNs);
  }

  async #lost(socket: WebSocketLike, why: string): Promise<void> {
    // A connection that failed or was replaced has nobody waiting on it.
    if ((await this.#socket?.catch(() => undefined)) !== socket) return;
    this.#socket = undefined;
    this.#tellAll(this.#lostError(`it was closed${why}`));
  }

  #disconnect(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#lingerTimer);
    void socket?.then(closeQuietly, () => {});
    this.#tellAll(this.#over());
  }

  #tellAll(error: NtpError): void {
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const listener of listeners) listener.onLost(error);
  }

  #lostError(why: string): NtpError {
    return new NtpError("UNREACHABLE", `the connection to the relay ${this.#options.url} is lost: ${why}`);
  }

  #over(): NtpError {
    return new NtpError("ABORTED", `the connection to the relay ${this.#options.url} was closed by this side`);
  }
}

function closeQuietly(socket: WebSocketLike): void {
  try {
    socket.close(NORMAL);
  } catch {
    // It was never open.
  }
}

/** What a stranger says, fit for a terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "�").slice(0, 100);
}
