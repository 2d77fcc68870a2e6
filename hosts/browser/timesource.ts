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

/** `ws:`, `wss:`, `http:`, `https:`. */
export const isTimeUrl = (source: string): boolean => /^(ws|http)s?:/i.test(source);

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function openTimeSource(url: string): TimeSource {
  if (!isTimeUrl(url) || !URL.canParse(url)) throw new NtpError("INVALID_ARGUMENT", `expected a URL like "wss://relay.example.org/" or "https://…", got "${url}"`);
  return /^ws/i.test(url) ? socketSource(url) : httpSource(url);
}

/** Loaded when it is asked: most pages have a relay. */
function httpSource(url: string): TimeSource {
  const stop = new AbortController();
  return {
    ask: async (request, stamp) => within((await import("./httptime.ts")).askHttp({ url, request, stamp, signal: stop.signal }), url),
    close: () => stop.abort(),
  };
}

function socketSource(url: string): TimeSource {
  let opened: Promise<WebSocket> | undefined;
  let socket: WebSocket | undefined;
  let count = 0;
  const waiting = new Map<number, (frame: Uint8Array | undefined) => void>();
  /** What was asked gets no answer; the next question connects anew. */
  const lose = () => {
    socket = opened = undefined;
    for (const end of [...waiting.values()]) end(undefined);
  };
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
        if (socket === fresh) lose();
        reject(new NtpError("UNREACHABLE", `expected a relay at ${url}, got no connection; check the URL, its origins, this page's connect-src`, { source: url }));
      };
    }));
  return {
    async ask(request, stamp) {
      const stand = await within(open(), url);
      const id = ++count;
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
      lose();
      last?.close();
    },
  };
}

/** @throws {NtpError} `TIMEOUT` */
function within<T>(promise: Promise<T>, source: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new NtpError("TIMEOUT", `expected an answer from ${source} within ${ANSWER_LIMIT_MS / 1000} s, got none`, { source }));
    const timer = setTimeout(late, ANSWER_LIMIT_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
