// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTP packets as an attacker edits them: by offset, without the core under test; and as Wireshark reads them.
 *
 * @module
 */

import { randomBytes } from "node:crypto";

/** Where the fields lie (RFC 5905 §7.3). */
export const AT = { flags: 0, stratum: 1, poll: 2, precision: 3, rootDelay: 4, rootDispersion: 8, refid: 12, reference: 16, origin: 24, receive: 32, transmit: 40 } as const;

/** A copy of `packet` after `edit`. */
export function edited(packet: Uint8Array, edit: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(packet);
  edit(copy);
  return copy;
}

/** A reply that tells another time: receive, transmit and reference moved by whole seconds. */
export function shifted(reply: Uint8Array, seconds: number): Buffer {
  return edited(reply, (copy) => {
    for (const at of [AT.reference, AT.receive, AT.transmit]) copy.writeUInt32BE((copy.readUInt32BE(at) + seconds) >>> 0, at);
  });
}

/** A reply whose origin is not what was asked: one bit, the least, is another. */
export function withWrongOrigin(reply: Uint8Array): Buffer {
  return edited(reply, (copy) => copy.writeUInt8(copy.readUInt8(AT.origin + 7) ^ 1, AT.origin + 7));
}

/** A kiss-o'-death with the origin of `reply`. */
export function kiss(reply: Uint8Array, code: string): Buffer {
  return edited(reply, (copy) => {
    copy.writeUInt8(copy.readUInt8(AT.flags) | 0xc0, AT.flags);
    copy.writeUInt8(0, AT.stratum);
    copy.write(code.padEnd(4, "\0"), AT.refid, 4, "latin1");
  });
}

/** Leap indicator `leap` in place of the reply's. */
export function withLeap(reply: Uint8Array, leap: number): Buffer {
  return edited(reply, (copy) => copy.writeUInt8((copy.readUInt8(AT.flags) & 0x3f) | (leap << 6), AT.flags));
}

/** The reply with octets behind it. */
export function appended(reply: Uint8Array, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([reply, ...parts]);
}

/** A MAC of `digestOctets` under key 7 that nobody can check. */
export function mac(digestOctets: number): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 7]), randomBytes(digestOctets)]);
}

/** An extension field of `octets` in all. */
export function field(type: number, octets: number): Buffer {
  const buffer = Buffer.alloc(octets, 0xa5);
  buffer.writeUInt16BE(type, 0);
  buffer.writeUInt16BE(octets, 2);
  return buffer;
}

/**
 * What Wireshark's experts say of a packet, but for one guess: it takes datagrams between high ports for traceroute's where one
 * is a little above 33434, and our requests leave from random ports, there, too, once in a hundred or so.
 */
export function complaints(messages: string): string {
  return messages.replace(/,?Possible traceroute: hop #\d+, attempt #\d+/g, "");
}
