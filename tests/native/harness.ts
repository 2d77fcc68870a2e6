// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The few means of the native contract: named checks, an expectation, and a socket with an inbox.
 *
 * @module
 */

import type { Datagram, Endpoint, UdpOptions, UdpSocket } from "../../hosts/common/host.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { openNativeUdp } from "../../hosts/native/udp.ts";

export interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** A check may return a remark for people. */
export type Check = readonly [name: string, run: () => string | void | Promise<string | void>];

/** What is awaited comes in milliseconds; only a failure takes this long. */
const DEADLINE_MS = 60_000;

/** Run checks one after the other. */
export async function check(checks: readonly Check[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, run] of checks) {
    try {
      const detail = await run();
      results.push(detail === undefined ? { name, ok: true } : { name, ok: true, detail });
    } catch (error) {
      results.push({ name, ok: false, detail: String(error) });
    }
  }
  return results;
}

/** Throws unless `value` is there and true; gives it back. */
export function expect<T>(value: T, what: string): NonNullable<T> {
  if (value === undefined || value === null || value === false) throw new Error(`expected: ${what}`);
  return value;
}

export function within(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

/** A promise, or an error after the deadline. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected within ${DEADLINE_MS} ms: ${what}`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Events in order, to be awaited one by one. */
export class Inbox<T> {
  readonly #arrived: T[] = [];
  #waiting: ((item: T) => void) | undefined;

  push(item: T): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#arrived.push(item);
    else waiting(item);
  }

  next(what: string): Promise<T> {
    const item = this.#arrived.shift();
    if (item !== undefined) return Promise.resolve(item);
    return soon(new Promise<T>((resolve) => (this.#waiting = resolve)), what);
  }

  get size(): number {
    return this.#arrived.length;
  }
}

/** A socket and what it reported. */
export interface Station {
  readonly socket: UdpSocket;
  readonly datagrams: Inbox<Datagram>;
  readonly errors: Inbox<Error & { code?: string }>;
  /** Where others reach it. */
  readonly here: Endpoint;
}

export async function openStation(ffi: Ffi, options: UdpOptions): Promise<Station> {
  const datagrams = new Inbox<Datagram>();
  const errors = new Inbox<Error>();
  const handlers = {
    onDatagram: (datagram: Datagram) => datagrams.push({ ...datagram, data: datagram.data.slice() }),
    onError: (error: Error) => errors.push(error),
  };
  const socket = await openNativeUdp(ffi, options, handlers);
  const loopback = options.family === 4 ? "127.0.0.1" : "::1";
  return { socket, datagrams, errors, here: { address: options.address ?? loopback, port: socket.local.port } };
}

/** Two stations on the loopback interface, closed afterwards. */
export async function withPair<T>(ffi: Ffi, family: 4 | 6, use: (a: Station, b: Station) => Promise<T>): Promise<T> {
  const address = family === 4 ? "127.0.0.1" : "::1";
  const a = await openStation(ffi, { family, address });
  try {
    const b = await openStation(ffi, { family, address });
    try {
      return await use(a, b);
    } finally {
      b.socket.close();
    }
  } finally {
    a.socket.close();
  }
}

/** The `code` that `attempt` fails with. */
export async function codeOf(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
  return "no error";
}
