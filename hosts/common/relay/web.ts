// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The time itself, as a relay or a Worker tells it by HTTP and WebSocket: the JSON of NICT's service, which WebNTP clients ask
 * for, and NTP packets.
 *
 *   GET /?1700000000.125   →  {"id":"…","it":1700000000.125,"st":1700000000.250,"leap":36,"next":1483228800,"step":1,"bound":0.01}
 *
 *   id     who answers                       it     the question's number, as it was asked; when it was sent, s since 1970
 *   st     when this was said, s since 1970  next   the last or the next leap second, s since 1970; step: inserted (1) or not (−1)
 *   leap   TAI − UTC before `next`, s        bound  ours: how far `st` may be off, s
 *
 * A clock that nobody vouches for tells no time here. Nobody vouches for the way, either: use NTS where it matters. Tested in
 * web.test.ts.
 *
 * @module
 */

import type { HttpAnswer, HttpRequest } from "../websocket.ts";

/** The time and how good it is. */
export interface TimeTold {
  /** ns since 1970. */
  readonly nowNs: bigint;
  /** How far that may be off, s; undefined when nobody vouches for it. */
  readonly bound: number | undefined;
}

/** A leap second as NICT's service tells it. */
export interface LeapEvent {
  /** TAI − UTC before it, s. */
  readonly leap: number;
  /** When it comes or came, s since 1970. */
  readonly next: number;
  readonly step: 1 | -1;
}

/** The last leap second there was (IERS Bulletin C 52). */
export const LAST_LEAP: LeapEvent = { leap: 36, next: 1_483_228_800, step: 1 };

/** Digits of a question; NICT's clients send seconds with a fraction. */
const QUESTION = /^\d{1,12}(?:\.\d{1,9})?$/;

/** The JSON, or undefined for a question that is none. An empty one is asked at 0. */
export function timeJson(question: string, id: string, { nowNs, bound }: TimeTold, { leap, next, step }: LeapEvent): string | undefined {
  const text = question.trim();
  if (text !== "" && !QUESTION.test(text)) return undefined;
  if (bound === undefined) return JSON.stringify({ id, error: "the clock of this host is not vouched for" });
  const it = text === "" ? "0" : text.replace(/^0+(?=\d)/, "");
  // Written by hand: numbers of JSON are exact, those of JavaScript are not beyond 2⁻²² s.
  return `{"id":${JSON.stringify(id)},"it":${it},"st":${secondsText(nowNs)},"leap":${leap},"next":${next},"step":${step},"bound":${Number(bound.toPrecision(3))}}`;
}

function secondsText(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, "0")}`;
}

/** Who may ask from pages: any, or those listed. */
export type Origins = readonly string[] | undefined;

/** Programs that are no browsers send no origin, and could send any. */
export function isAdmitted(origins: Origins, origin: string | undefined): boolean {
  return origins === undefined || origin === undefined || origins.includes(origin);
}

/** So that pages of other origins may read the answer, and the timing of its transfer. */
export function corsHeaders(origins: Origins, origin: string | undefined): Record<string, string> {
  if (origins === undefined) return { "access-control-allow-origin": "*", "timing-allow-origin": "*" };
  const own: Record<string, string> = { vary: "origin" };
  return origin !== undefined && isAdmitted(origins, origin) ? { ...own, "access-control-allow-origin": origin, "timing-allow-origin": origin } : own;
}

const COMMON = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

export interface WebOptions {
  readonly id: string;
  readonly origins: Origins;
  readonly leap: LeapEvent;
  readonly time: () => TimeTold;
}

/** What is answered by HTTP; nothing of the request but the number comes back. */
export function answerHttp({ method, url, origin }: Pick<HttpRequest, "method" | "url" | "origin">, options: WebOptions): HttpAnswer {
  const headers = { ...COMMON, ...corsHeaders(options.origins, origin) };
  const plain = (status: number, text: string, more = {}) => ({ status, headers: { ...headers, "content-type": "text/plain; charset=utf-8", ...more }, body: `${text}\n` });
  const [path, query = ""] = url.split("?", 2) as [string, string?];
  if (path !== "/" && path !== "/cgi-bin/json") return plain(404, "expected / or /?SECONDS");
  if (!isAdmitted(options.origins, origin)) return plain(403, "this origin is not admitted");
  if (method === "OPTIONS") return { status: 204, headers: { ...headers, "access-control-allow-methods": "GET, HEAD", "access-control-max-age": "86400" }, body: "" };
  if (method !== "GET" && method !== "HEAD") return plain(405, "expected GET or HEAD", { allow: "GET, HEAD, OPTIONS" });
  const time = options.time();
  const body = timeJson(query, options.id, time, options.leap);
  if (body === undefined) return plain(400, "expected a number of seconds since 1970, like /?1700000000.125");
  return { status: time.bound === undefined ? 503 : 200, headers: { ...headers, "content-type": "application/json" }, body: method === "HEAD" ? "" : body };
}

/** Too many requests. */
export function answerTooMany(origins: Origins, origin: string | undefined): HttpAnswer {
  return { status: 429, headers: { ...COMMON, ...corsHeaders(origins, origin), "content-type": "text/plain; charset=utf-8", "retry-after": "10" }, body: "too many requests\n" };
}
