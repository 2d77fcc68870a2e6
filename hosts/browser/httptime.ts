// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * HTTP time (JSON with `st`, docs/relay.md "Time itself"; NICT's service) as an NTP reply that says the same, so that one core
 * judges both. Tested in timesource.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import type { Answer } from "./timesource.ts";

const PACKET = 48;
const UNIX_EPOCH = 2_208_988_800;
/** Of a server that does not say how far it may be off, s. */
const UNTOLD_BOUND = 0.01;

export interface HttpQuestion<T> {
  readonly url: string;
  readonly request: Uint8Array;
  readonly stamp: () => T;
  readonly signal: AbortSignal;
}

/** @throws {NtpError} `UNREACHABLE` */
export async function askHttp<T>({ url, request, stamp, signal }: HttpQuestion<T>): Promise<Answer<T>> {
  const asked = new URL(url);
  asked.search = String(Date.now() / 1000);
  const sent = stamp();
  const response = await fetch(asked, { cache: "no-store", credentials: "omit", signal });
  const came = stamp();
  const { st, bound = UNTOLD_BOUND } = (response.ok ? await response.json() : {}) as { st?: unknown; bound?: unknown };
  if (typeof st === "number" && st >= 0 && st < 2 ** 36 && typeof bound === "number" && bound >= 0 && bound < 2 ** 15) {
    return { packet: packetOf(st, bound, request), sent, came };
  }
  throw new NtpError("UNREACHABLE", `expected JSON with the time, "st", from ${url}, got status ${response.status}`, { source: url });
}

/** The reply to `request` of a server that is good to `bound` s. */
export function packetOf(seconds: number, bound: number, request: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(PACKET));
  // Version 4, mode 4; stratum 2; the precision of a double of today's seconds, 2^-20.
  view.setUint32(0, 0x240200ec);
  view.setUint32(8, Math.ceil(bound * 65536));
  view.setUint32(12, 0x48545450);
  for (const at of [16, 32, 40]) {
    view.setUint32(at, (Math.floor(seconds) + UNIX_EPOCH) % 2 ** 32);
    view.setUint32(at + 4, (seconds % 1) * 2 ** 32);
  }
  const packet = new Uint8Array(view.buffer);
  packet.set(request.subarray(40, PACKET), 24);
  return packet;
}
