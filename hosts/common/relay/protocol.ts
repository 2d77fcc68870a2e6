// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The frames between a relay and its client, each one binary WebSocket message: docs/relay.md.
 *
 *    0               1               2               3
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |             port              |   code: of ERROR; port: of DATAGRAM and OPEN; else 0
 *   +---------------+---------------+-------------------------------+
 *   |                              id                               |   chosen by the client, for each request or stream
 *   +---------------+---------------+-------------------------------+
 *   |  body …
 *
 *   DATAGRAM, OPEN   host length (1) | host, ASCII | DATAGRAM: payload
 *   REPLY            T2 (8) | T3 (8) | out (4) | back (4) | payload     ns since 1970 on the relay's clock; waits in ns
 *   DATA             octets of the stream
 *   TIME, TIMED      an NTP request; its reply
 *   ERROR            UTF-8, for people
 *   OPENED, CLOSE    nothing
 *
 * All numbers are big-endian. Refused: other types, numbers where none belong, hosts that are no names or addresses, anything
 * too long or too short. Reading never throws. Tested in protocol.test.ts.
 *
 * @module
 */

/** What the client offers as `Sec-WebSocket-Protocol`; another number would mean other frames. */
export const SUBPROTOCOL = "escapement-relay.1";

export const FRAME = { datagram: 0x10, open: 0x11, data: 0x12, close: 0x13, time: 0x14, reply: 0x20, opened: 0x21, timed: 0x24, error: 0x2f } as const;

/** Why a relay refused; told in the frame's `code`. */
export const RELAY_ERROR = {
  /** Not one of the relay's targets, or a target with a forbidden address. */
  forbidden: 1,
  /** Too many requests from this address, or too much at a time. */
  limit: 2,
  /** The payload is no request for the time, or has a length that is not relayed. */
  payload: 3,
  /** The target's name has no address. */
  dns: 4,
  /** The target refuses, or cannot be reached. */
  unreachable: 5,
  /** Nothing came in time. */
  timeout: 6,
  /** A frame that cannot be read. The connection is closed, too. */
  malformed: 7,
} as const;

export type RelayErrorCode = (typeof RELAY_ERROR)[keyof typeof RELAY_ERROR];

/** A datagram longer than this would fragment on its way (1280 octets of IPv6, less 40 and 8). */
export const LONGEST_DATAGRAM = 1232;
/** Octets of a stream in one frame. */
export const LONGEST_DATA = 16_384;
/** Text of an error. */
const LONGEST_TEXT = 200;
/** Of a name (RFC 1035 §2.3.4). */
const LONGEST_HOST = 253;
const HEADER = 8;
const TIMES = 24;
/** No frame is longer, whoever sends it. */
export const LONGEST_FRAME = HEADER + LONGEST_DATA;

/** When the relay had a datagram, by its own word: nothing that a client may trust. */
export interface RelayTimes {
  /** The request's frame came, ns since 1970. */
  readonly t2: bigint;
  /** The reply's frame left. */
  readonly t3: bigint;
  /** From t2 until the datagram left, ns; 2³² − 1 means that or more. */
  readonly out: number;
  /** From the answer's coming until t3, ns. */
  readonly back: number;
}

export type Frame =
  | { readonly type: "datagram"; readonly id: number; readonly host: string; readonly port: number; readonly payload: Uint8Array }
  | { readonly type: "open"; readonly id: number; readonly host: string; readonly port: number }
  | { readonly type: "data"; readonly id: number; readonly payload: Uint8Array }
  | { readonly type: "time"; readonly id: number; readonly payload: Uint8Array }
  | { readonly type: "timed"; readonly id: number; readonly payload: Uint8Array }
  | { readonly type: "close"; readonly id: number }
  | { readonly type: "opened"; readonly id: number }
  | { readonly type: "reply"; readonly id: number; readonly times: RelayTimes; readonly payload: Uint8Array }
  | { readonly type: "error"; readonly id: number; readonly code: number; readonly text: string };

/** @throws {RangeError} for what no frame can hold: the caller's mistake. */
export function writeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const body = bodyOf(frame);
  const bytes = new Uint8Array(HEADER + body.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = FRAME[frame.type];
  bytes[1] = frame.type === "error" ? frame.code : 0;
  view.setUint16(2, frame.type === "datagram" || frame.type === "open" ? frame.port : 0);
  view.setUint32(4, frame.id);
  bytes.set(body, HEADER);
  if (readFrame(bytes) === undefined) throw new RangeError(`a ${frame.type} frame cannot hold this`);
  return bytes;
}

function bodyOf(frame: Frame): Uint8Array {
  switch (frame.type) {
    case "datagram": return joined(hostOctets(frame.host), frame.payload);
    case "open": return hostOctets(frame.host);
    case "reply": return joined(timesOctets(frame.times), frame.payload);
    case "error": return shortened(frame.text);
    case "close": case "opened": return new Uint8Array(0);
    default: return frame.payload;
  }
}

/** The frame, or undefined for what is none. Payloads are views of `bytes`. */
export function readFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < HEADER || bytes.length > LONGEST_FRAME) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [type, code] = bytes;
  const port = view.getUint16(2);
  const id = view.getUint32(4);
  const body = bytes.subarray(HEADER);
  const addressed = type === FRAME.datagram || type === FRAME.open;
  // What has no meaning is zero, so that it can be given one.
  if ((code !== 0) !== (type === FRAME.error) || (port !== 0) !== addressed) return undefined;
  switch (type) {
    case FRAME.datagram: return readAddressed(id, port, body, true);
    case FRAME.open: return readAddressed(id, port, body, false);
    case FRAME.data: return body.length > 0 ? { type: "data", id, payload: body } : undefined;
    case FRAME.close: return body.length === 0 ? { type: "close", id } : undefined;
    case FRAME.time: return isDatagram(body) ? { type: "time", id, payload: body } : undefined;
    case FRAME.timed: return isDatagram(body) ? { type: "timed", id, payload: body } : undefined;
    case FRAME.opened: return body.length === 0 ? { type: "opened", id } : undefined;
    case FRAME.reply: return readReply(id, body);
    case FRAME.error: return body.length <= LONGEST_TEXT ? { type: "error", id, code: code!, text: readText(body) } : undefined;
    default: return undefined;
  }
}

function isDatagram({ length }: Uint8Array): boolean {
  return length > 0 && length <= LONGEST_DATAGRAM;
}

function readAddressed(id: number, port: number, body: Uint8Array, hasPayload: boolean): Frame | undefined {
  const length = body[0] ?? 0;
  const payload = body.subarray(1 + length);
  if (length === 0 || body.length < 1 + length || (hasPayload ? !isDatagram(payload) : payload.length > 0)) return undefined;
  const host = String.fromCharCode(...body.subarray(1, 1 + length));
  if (!isHost(host)) return undefined;
  return hasPayload ? { type: "datagram", id, host, port, payload } : { type: "open", id, host, port };
}

function readReply(id: number, body: Uint8Array): Frame | undefined {
  const payload = body.subarray(TIMES);
  if (body.length < TIMES || !isDatagram(payload)) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, TIMES);
  const times = { t2: view.getBigUint64(0), t3: view.getBigUint64(8), out: view.getUint32(16), back: view.getUint32(20) };
  return { type: "reply", id, times, payload };
}

/** Names of letters, digits, hyphens, dots and underscores; IPv4; IPv6 without brackets or zone. */
export function isHost(host: string): boolean {
  return host.length <= LONGEST_HOST && (/^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/i.test(host) || isIPv6(host));
}

function isIPv6(host: string): boolean {
  return /^[0-9a-f:.]+$/i.test(host) && host.includes(":") && URL.canParse(`http://[${host}]`);
}

function hostOctets(host: string): Uint8Array {
  if (!isHost(host)) throw new RangeError(`expected a name or an address of 1..${LONGEST_HOST} characters, got "${host}"`);
  return Uint8Array.of(host.length, ...Array.from(host, (character) => character.charCodeAt(0)));
}

function timesOctets({ t2, t3, out, back }: RelayTimes): Uint8Array {
  const view = new DataView(new ArrayBuffer(TIMES));
  view.setBigUint64(0, t2);
  view.setBigUint64(8, t3);
  view.setUint32(16, saturated(out));
  view.setUint32(20, saturated(back));
  return new Uint8Array(view.buffer);
}

/** Longer waits than 32 bits hold are the longest; a clock that was stepped back meanwhile says none. */
function saturated(ns: number): number {
  return Math.max(0, Math.min(0xffff_ffff, Math.round(ns)));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Cut at the last whole character that fits. */
function shortened(text: string): Uint8Array {
  const octets = new Uint8Array(LONGEST_TEXT);
  return octets.subarray(0, new TextEncoder().encodeInto(text, octets).written);
}

/** For a terminal: what it would obey is taken out. */
function readText(octets: Uint8Array): string {
  return new TextDecoder().decode(octets).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "�");
}
