// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The built package under test, because a server's threads run built files; and datagrams that are sent and awaited by hand.
 *
 * @module
 */

import dgram from "node:dgram";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { bindServerLibc } from "../../hosts/native/server-libc.ts";
import { load as loadKoffi } from "../../hosts/native/ffi-koffi.ts";

type Built = typeof import("../../hosts/node/index.ts");

export const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const ENTRY = `${DIST}node/index.js`;
const ffi = await loadKoffi();
export const libc = ffi && bindServerLibc(ffi);
/** Why these tests cannot run, or undefined. */
export const lacking = !existsSync(ENTRY) ? "a build (node build/build.mjs)" : libc ? undefined : "Linux and koffi";
if (lacking) console.warn(`SKIPPED: the server's threads need ${lacking}`);

export const built = (existsSync(ENTRY) ? await import(/* @vite-ignore */ ENTRY) : {}) as Built;
export const CLI = `${DIST}cli/main.js`;
export const NODE = process.execPath;

export interface Reply {
  readonly data: Buffer;
  readonly from: { readonly address: string; readonly port: number };
}

/** A request that names itself by `tag`. */
export function request(tag: number, length = 48): Buffer {
  const packet = Buffer.alloc(length);
  packet[0] = 0x23;
  if (length >= 48) packet.writeUInt32BE(tag + 1, 44);
  return packet;
}

export const tagOf = ({ data }: Reply) => data.readUInt32BE(28) - 1;

/** A socket that keeps what it hears. */
export class Asker implements AsyncDisposable {
  readonly replies: Reply[] = [];
  readonly #socket: dgram.Socket;
  readonly #ready: Promise<void>;

  constructor(type: "udp4" | "udp6" = "udp4", address?: string) {
    this.#socket = dgram.createSocket({ type, recvBufferSize: 4 << 20 });
    this.#socket.on("message", (data, { address: from, port }) => this.replies.push({ data, from: { address: from, port } }));
    this.#ready = new Promise((resolve) => this.#socket.bind({ port: 0, ...(address !== undefined && { address }) }, resolve));
  }

  /** Resolves when the system has taken it. */
  async send(data: Uint8Array, port: number, address = "127.0.0.1"): Promise<void> {
    await this.#ready;
    await new Promise<void>((resolve, reject) => this.#socket.send(data, port, address, (error) => (error ? reject(error) : resolve())));
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async mayBroadcast(): Promise<void> {
    await this.#ready;
    this.#socket.setBroadcast(true);
  }

  async ready(): Promise<this> {
    await this.#ready;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ready;
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}

/** Look until it holds; only a failure takes the whole time. */
export async function until(what: string, holds: () => boolean, limitMs = 60_000): Promise<void> {
  for (const end = performance.now() + limitMs; performance.now() < end; ) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (!holds()) throw new Error(`expected within ${limitMs} ms: ${what}`);
}
