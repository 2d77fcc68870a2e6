// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTP packets under NTS (RFC 8915 §5) by other means than the core's: just enough to show with the algorithms as
 * noble has them that two programs hold the same keys and that a cookie opens.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { aessiv, gcmsiv } from "@noble/ciphers/aes.js";

const UNIQUE_IDENTIFIER = 0x0104;
const COOKIE = 0x0204;
const AUTHENTICATOR = 0x0404;
const HEADER = 48;

interface Field {
  readonly type: number;
  /** Where it begins. */
  readonly at: number;
  readonly body: Uint8Array;
}

function field(type: number, body: Uint8Array): Buffer {
  const octets = Buffer.alloc(4 + body.length);
  octets.writeUInt16BE(type, 0);
  octets.writeUInt16BE(octets.length, 2);
  octets.set(body, 4);
  return octets;
}

function fieldsOf(packet: Uint8Array): Field[] {
  const view = Buffer.from(packet);
  const fields: Field[] = [];
  for (let at = HEADER; at + 4 <= view.length;) {
    const length = view.readUInt16BE(at + 2);
    if (length < 4 || at + length > view.length) throw new Error(`a field of ${length} octets at ${at} of ${view.length}`);
    fields.push({ type: view.readUInt16BE(at), at, body: Uint8Array.from(view.subarray(at + 4, at + length)) });
    at += length;
  }
  return fields;
}

const uniqueOf = (packet: Uint8Array) => Buffer.from(fieldsOf(packet).find(({ type }) => type === UNIQUE_IDENTIFIER)?.body ?? []).toString("hex");

/** Keys are 16 octets for AEAD 30 alone (RFC 8452, nonces of 12 octets), 32 and more for AES-SIV (RFC 5297). */
function sealer(key: Uint8Array, nonce: Uint8Array, before: Uint8Array) {
  return key.length === 16 ? gcmsiv(key, nonce, before) : aessiv(key, before, nonce);
}

/** What an authenticator seals; throws when it does not fit the key and what stands before it. */
function opened(packet: Uint8Array, key: Uint8Array): Uint8Array {
  const found = fieldsOf(packet).find(({ type }) => type === AUTHENTICATOR);
  if (!found) throw new Error("the packet has no authenticator");
  const body = Buffer.from(found.body);
  const [nonceLength, sealedLength] = [body.readUInt16BE(0), body.readUInt16BE(2)];
  const sealedAt = 4 + ((nonceLength + 3) & ~3);
  const nonce = Uint8Array.from(body.subarray(4, 4 + nonceLength));
  return sealer(key, nonce, packet.slice(0, found.at)).decrypt(Uint8Array.from(body.subarray(sealedAt, sealedAt + sealedLength)));
}

/** A client's request with one cookie. */
export function ntsRequest(cookie: Uint8Array, c2s: Uint8Array): Uint8Array {
  const header = Buffer.alloc(HEADER);
  header[0] = 0x23;
  randomBytes(8).copy(header, 40);
  const plain = Buffer.concat([header, field(UNIQUE_IDENTIFIER, randomBytes(32)), field(COOKIE, cookie)]);
  const nonce = randomBytes(c2s.length === 16 ? 12 : 16);
  const sealed = sealer(c2s, Uint8Array.from(nonce), Uint8Array.from(plain)).encrypt(new Uint8Array(0));
  return Uint8Array.from(Buffer.concat([plain, field(AUTHENTICATOR, Buffer.concat([Buffer.from([0, nonce.length, 0, sealed.length]), nonce, sealed]))]));
}

/** Whether a reply is to this request, authentic under the key, and brings a new cookie. */
export function isAuthenticReply(request: Uint8Array, reply: Uint8Array, s2c: Uint8Array): boolean {
  try {
    return uniqueOf(reply) === uniqueOf(request) && Buffer.from(opened(reply, s2c)).readUInt16BE(0) === COOKIE;
  } catch {
    return false;
  }
}

/** The cookie that a client's request brings. */
export function cookieOf(request: Uint8Array): Uint8Array | undefined {
  return fieldsOf(request).find(({ type }) => type === COOKIE)?.body;
}

/** Whether a client's request is authentic under the key. */
export function isAuthenticRequest(request: Uint8Array, c2s: Uint8Array): boolean {
  try {
    return opened(request, c2s).length >= 0;
  } catch {
    return false;
  }
}
