// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a relay carries: requests for the time, and what can be their replies. Nothing else, so that it is of no use for
 * anything but time: no control messages (mode 6, 7), no queries of other protocols to a port that happens to be allowed.
 *
 * NTP (RFC 5905 §7.3): octet 0 is leap (2 bits), version (3), mode (3). Roughtime over UDP (RFC 10049 §5) begins with "ROUGHTIM".
 * Tested in payload.test.ts.
 *
 * @module
 */

import { same } from "../octets.ts";
import { LONGEST_DATAGRAM } from "./protocol.ts";

const HEADER = 48;
const MODE_CLIENT = 3;
const MODE_SERVER = 4;
const ROUGHTIME = [...new TextEncoder().encode("ROUGHTIM")];
/** A Roughtime request is padded to 1024 octets, plus its frame: never shorter, so that it amplifies nothing. */
const LEAST_ROUGHTIME = 1024;

export function isTimeRequest(data: Uint8Array): boolean {
  if (data.length > LONGEST_DATAGRAM) return false;
  if (isRoughtime(data)) return data.length >= LEAST_ROUGHTIME;
  return isNtp(data, MODE_CLIENT);
}

/**
 * Whether this can be the reply: of the same protocol and version, not longer than the request, and in NTP with one of the
 * request's timestamps as its origin. Spoofed datagrams that do not know the request MUST NOT use up its one reply.
 */
export function isReplyTo(request: Uint8Array, reply: Uint8Array): boolean {
  if (reply.length > request.length) return false;
  if (isRoughtime(request)) return isRoughtime(reply);
  if (!isNtp(reply, MODE_SERVER) || version(reply) !== version(request)) return false;
  // NTPv5 carries the client's cookie in both at 24..31, NTPv4 the origin there: the request's transmit timestamp, at 40..47, or
  // its receive timestamp, at 32..39, when interleaved (RFC 9769).
  const places = version(request) === 5 ? [24] : [40, 32];
  return places.some((at) => same(reply.subarray(24, 32), request.subarray(at, at + 8)));
}

function isRoughtime(data: Uint8Array): boolean {
  return data.length >= ROUGHTIME.length && ROUGHTIME.every((octet, index) => data[index] === octet);
}

function isNtp(data: Uint8Array, mode: number): boolean {
  return data.length >= HEADER && data.length % 4 === 0 && (data[0]! & 7) === mode && version(data) >= 3 && version(data) <= 5;
}

function version(data: Uint8Array): number {
  return (data[0]! >> 3) & 7;
}
