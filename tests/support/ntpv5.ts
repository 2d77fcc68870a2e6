// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5 packets built by other means than the core's own codec, and two exchanges captured between two ntpd-rs 1.9.0.
 *
 * @module
 */

import { concat, fromHex } from "./core.ts";

export const DRAFT_09 = "draft-ietf-ntp-ntpv5-09";
export const DRAFT_08 = "draft-ietf-ntp-ntpv5-08";

export const FIELD = {
  draft: 0xf5ff, padding: 0xf501, mac: 0xf502, idsRequest: 0xf503, ids: 0xf504, information: 0xf505, correction: 0xf506,
  reference: 0xf507, monotonic: 0xf508, secondary: 0xf509,
} as const;

/** A field whose length excludes what pads it. */
export function field5(type: number, value: Uint8Array): Uint8Array {
  const octets = new Uint8Array((4 + value.length + 3) & ~3);
  octets.set([type >> 8, type & 255, (4 + value.length) >> 8, (4 + value.length) & 255]);
  octets.set(value, 4);
  return octets;
}

export const draftField = (name = DRAFT_09): Uint8Array => field5(FIELD.draft, new Uint8Array(Buffer.from(name, "latin1")));

export interface Request5 {
  readonly scale?: number;
  readonly flags?: number;
  readonly serverCookie?: bigint;
  readonly cookie?: bigint;
  readonly mode?: number;
}

/** A request, with its draft unless told otherwise. */
export function request5({ scale = 0, flags = 0, serverCookie = 0n, cookie = 0x0123456789abcdefn, mode = 3 }: Request5 = {}, ...fields: Uint8Array[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(48));
  header.setUint8(0, (5 << 3) | mode);
  header.setUint8(12, scale);
  header.setUint16(14, flags);
  header.setBigUint64(16, serverCookie);
  header.setBigUint64(24, cookie);
  return concat(new Uint8Array(header.buffer), ...(fields.length > 0 ? fields : [draftField()]));
}

export interface Field5 {
  readonly type: number;
  readonly length: number;
  readonly value: Uint8Array;
}

/** The fields of a packet, by a reader that trusts it. */
export function fieldsOf5(packet: Uint8Array): Field5[] {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const fields: Field5[] = [];
  for (let at = 48; at < packet.length; ) {
    const length = view.getUint16(at + 2);
    fields.push({ type: view.getUint16(at), length, value: packet.slice(at + 4, at + length) });
    at += (length + 3) & ~3;
  }
  return fields;
}

const CAPTURED_DRAFT = "f5ff001b64726166742d696574662d6e74702d6e747076352d303800";
/** From 10.98.0.1 to 10.98.0.2 and back: version 5, and version 4 with the mark of "auto". */
export const EXCHANGES = {
  request: fromHex(`2b0000000000000000000000000000000000000000000000ae7dbf4b8396c86200000000000000000000000000000000${CAPTURED_DRAFT}f503001400000000000000000000000000000000`),
  reply: fromHex(`2c0200ee0000119e000002a300000001b8b997701a4896dfae7dbf4b8396c862eead4791a7529e84eead4791a869c66df504001400000000000000000000000000000000${CAPTURED_DRAFT}`),
  marked: fromHex("230000000000000000000000000000004e5450354452465400000000000000000000000000000000361d1148d0459e76"),
  markReturned: fromHex("240200ee00000001000000000a6200014e54503544524654361d1148d0459e76eead4791a7602ed4eead4791a86b69db"),
};
