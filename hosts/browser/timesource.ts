// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Whom a page can ask for the time without UDP: a relay by WebSocket (its TIME frames: docs/relay.md), or a server of HTTP time.
 *
 * Both carry a client's NTP request and bring an NTP packet back; of HTTP time, which is JSON, one is made. Nobody vouches for
 * what comes but the TLS of the page's own connection: who does not trust the relay asks NTS or Roughtime through it (full.ts).
 * Tested in timesource.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";

/** A reply, and what the caller's stamp said when its request left and when it came. */
export interface Answer<T> {
  readonly packet: Uint8Array;
  readonly sent: T;
  readonly came: T;
}

export interface TimeSource {
  /** Send a request of 48 octets. Rejects when nothing comes of it within the time. */
  ask<T>(request: Uint8Array<ArrayBuffer>, stamp: () => T): Promise<Answer<T>>;
  /** Idempotent. */
  close(): void;
}

const SUBPROTOCOL = "escapement-relay.1";
const TIME = 0x14;
const TIMED = 0x24;
const FRAME_HEADER = 8;
const PACKET = 48;
/** What is asked for so long is of no use any more, ms. */
const ANSWER_LIMIT_MS = 5000;
const UNIX_EPOCH = 2_208_988_800;
/** HTTP time that does not say how far it may be off. */
const UNTOLD_BOUND = 0.01;

/** `ws:`, `wss:`, `http:`, `https:`. */
export const isTimeUrl = (source: string): boolean => /^(ws|http)s?:/i.test(source);

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function openTimeSource(url: string): TimeSource {
  if (!isTimeUrl(url) || !URL.canParse(url)) throw new NtpError("INVALID_ARGUMENT", `expected a URL like "wss://relay.example.org/" or "https://time.example.org/", got "${url}"`);
  return /^ws/i.test(url) ? socketSource(url) : httpSource(url);
}

function socketSource(url: string): TimeSource {
  let opened: Promise<WebSocket> | undefined;
  let socket: WebSocket | undefined;
  let count = 0;
  const waiting = new Map<number, (frame: Uint8Array | undefined) => void>();
  const open = () =>
    (opened ??= new Promise((resolve, reject) => {
      const fresh = (socket = new WebSocket(url, [SUBPROTOCOL]));
      fresh.binaryType = "arraybuffer";
      fresh.onopen = () => resolve(fresh);
      fresh.onmessage = ({ data }) => {
        if (!(data instanceof ArrayBuffer) || data.byteLength < FRAME_HEADER) return;
        waiting.get(new DataView(data).getUint32(4))?.(new Uint8Array(data));
      };
      fresh.onclose = () => {
        if (socket !== fresh) return;
        opened = undefined;
        for (const lose of [...waiting.values()]) lose(undefined);
        reject(new NtpError("UNREACHABLE", `expected a relay at ${url}, got no WebSocket connection; check its URL, its allowed origins and this page's connect-src`, { source: url }));
      };
    }));
  return {
    async ask(request, stamp) {
      const stand = await within(open(), url);
      const id = (count = (count + 1) >>> 0);
      const frame = new Uint8Array(FRAME_HEADER + request.length);
      frame[0] = TIME;
      new DataView(frame.buffer).setUint32(4, id);
      frame.set(request, FRAME_HEADER);
      const answer = new Promise<Answer<ReturnType<typeof stamp>>>((resolve, reject) => {
        waiting.set(id, (reply) => {
          const came = stamp();
          if (reply?.[0] === TIMED && reply.length >= FRAME_HEADER + PACKET) return resolve({ packet: reply.subarray(FRAME_HEADER), sent, came });
          const why = reply ? new TextDecoder().decode(reply.subarray(FRAME_HEADER)) : "its connection was lost";
          reject(new NtpError("UNREACHABLE", `expected the time from ${url}, got: ${why}`, { source: url }));
        });
        const sent = stamp();
        stand.send(frame);
      });
      return within(answer, url).finally(() => waiting.delete(id));
    },
    close() {
      const last = socket;
      socket = opened = undefined;
      for (const lose of [...waiting.values()]) lose(undefined);
      last?.close();
    },
  };
}

function httpSource(url: string): TimeSource {
  const stop = new AbortController();
  return {
    async ask(request, stamp) {
      const sent = stamp();
      const response = await within(fetch(`${url}?${Date.now() / 1000}`, { cache: "no-store", credentials: "omit", signal: stop.signal }), url);
      const came = stamp();
      const { st, bound = UNTOLD_BOUND } = (response.ok ? await within(response.json(), url) : {}) as { st?: unknown; bound?: number };
      if (typeof st !== "number" || !(bound >= 0)) throw new NtpError("UNREACHABLE", `expected the JSON of HTTP time ("st") from ${url}, got status ${response.status}`, { source: url });
      return { packet: packetOf(st, bound, request), sent, came };
    },
    close: () => stop.abort(),
  };
}

/** HTTP time as the NTP reply that says the same. */
function packetOf(seconds: number, bound: number, request: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(PACKET));
  // Version 4, mode 4; stratum 2; the precision of a double of today's seconds.
  view.setUint32(0, 0x240200ec);
  view.setUint32(8, Math.ceil(bound * 65536));
  view.setUint32(12, 0x48545450);
  for (const at of [16, 32, 40]) {
    view.setUint32(at, (Math.floor(seconds) + UNIX_EPOCH) >>> 0);
    view.setUint32(at + 4, (seconds % 1) * 2 ** 32);
  }
  const packet = new Uint8Array(view.buffer);
  packet.set(request.subarray(40, PACKET), 24);
  return packet;
}

/** @throws {NtpError} `TIMEOUT` */
function within<T>(promise: Promise<T>, source: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new NtpError("TIMEOUT", `expected an answer from ${source} within ${ANSWER_LIMIT_MS / 1000} s, got none`, { source }));
    const timer = setTimeout(late, ANSWER_LIMIT_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
