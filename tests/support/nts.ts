// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * An NTS client made of noble and nothing of ours: what it sends, and what it makes of an answer (RFC 8915 §5). For tests and
 * benchmarks of the server.
 */
import { aessiv, gcmsiv } from "@noble/ciphers/aes.js";

// Not those of core.ts: benchmarks are bundled, and that reads its vectors from beside itself.
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** An NTPv4 client's header, and what follows it. */
function clientPacket({ transmitTime = 0x0123456789abcdefn, originTime = 0n, receiveTime = 0n }: Partial<RequestParts>, ...fields: Uint8Array[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(48));
  header.setUint8(0, 0x23);
  header.setBigUint64(24, originTime);
  header.setBigUint64(32, receiveTime);
  header.setBigUint64(40, transmitTime);
  return concat(new Uint8Array(header.buffer), ...fields);
}

/** Octets of a key of each AEAD. */
export const KEY_LENGTHS: Readonly<Record<number, number>> = { 15: 32, 16: 48, 17: 64, 30: 16 };
export const UNIQUE = 0x0104;
export const COOKIE = 0x0204;
export const PLACEHOLDER = 0x0304;
export const AUTHENTICATOR = 0x0404;

/** What key establishment left the client with. */
export interface Session {
  aead: number;
  c2s: Uint8Array;
  s2c: Uint8Array;
}

export const pad4 = (octets: Uint8Array) => concat(octets, new Uint8Array(-octets.length & 3));

export function cipherOf(aead: number, key: Uint8Array, nonce: Uint8Array, ad: Uint8Array) {
  return aead === 30 ? gcmsiv(key, nonce, ad) : aessiv(key, ad, nonce);
}

export function fieldOf(type: number, value: Uint8Array): Uint8Array {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint16(0, type);
  head.setUint16(2, 4 + pad4(value).length);
  return concat(new Uint8Array(head.buffer), pad4(value));
}

/** The authenticator over `ad`. `padding`: additional octets at its end. */
export function authenticatorOf(aead: number, key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, text: Uint8Array = new Uint8Array(0), padding = 0): Uint8Array {
  const sealed = cipherOf(aead, key, nonce, ad).encrypt(text);
  const lengths = new DataView(new ArrayBuffer(4));
  lengths.setUint16(0, nonce.length);
  lengths.setUint16(2, sealed.length);
  return fieldOf(AUTHENTICATOR, concat(new Uint8Array(lengths.buffer), pad4(nonce), pad4(sealed), new Uint8Array(padding)));
}

export interface RequestParts {
  cookie: Uint8Array;
  placeholders?: number;
  unique?: Uint8Array;
  nonce?: Uint8Array;
  text?: Uint8Array;
  padding?: number;
  /** Other fields, before the authenticator. */
  others?: readonly Uint8Array[];
  transmitTime?: bigint;
  originTime?: bigint;
  receiveTime?: bigint;
}

export const uniqueOf = (seed = 1) => Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + seed) & 0xff);
export const nonceOf = (aead: number, seed = 1) => Uint8Array.from({ length: aead === 30 ? 12 : 16 }, (_, i) => (i * 91 + seed) & 0xff);

export function ntsRequest({ aead, c2s }: Session, parts: RequestParts): Uint8Array {
  const fields = [
    fieldOf(UNIQUE, parts.unique ?? uniqueOf()), fieldOf(COOKIE, parts.cookie),
    ...Array.from({ length: parts.placeholders ?? 0 }, () => fieldOf(PLACEHOLDER, new Uint8Array(parts.cookie.length))), ...(parts.others ?? []),
  ];
  const ad = clientPacket(parts, ...fields);
  return concat(ad, authenticatorOf(aead, c2s, parts.nonce ?? nonceOf(aead), ad, parts.text, parts.padding));
}

export interface Field {
  type: number;
  value: Uint8Array;
  at: number;
}

/** The fields in `octets` from `at` on. Throws where one does not end in them. */
export function fieldsOf(octets: Uint8Array, at = 48): Field[] {
  const found: Field[] = [];
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  while (at < octets.length) {
    const length = view.getUint16(at + 2);
    if (length < 16 || length % 4 !== 0 || at + length > octets.length) throw new Error(`a field of ${length} octets at ${at} of ${octets.length}`);
    found.push({ type: view.getUint16(at), value: octets.slice(at + 4, at + length), at });
    at += length;
  }
  return found;
}

export interface Answer {
  fields: Field[];
  cookies: Uint8Array[];
  nonce: Uint8Array;
  /** Octets before the authenticator. */
  adLength: number;
}

/** Verify an answer; throws when it is not authentic. */
export function readAnswer({ aead, s2c }: Session, reply: Uint8Array): Answer {
  const fields = fieldsOf(reply);
  const last = fields.at(-1);
  if (last?.type !== AUTHENTICATOR) throw new Error("the last field is no authenticator");
  const lengths = new DataView(last.value.buffer, last.value.byteOffset);
  const [nonceLength, sealedLength] = [lengths.getUint16(0), lengths.getUint16(2)];
  const nonce = last.value.slice(4, 4 + nonceLength);
  const start = 4 + ((nonceLength + 3) & ~3);
  const text = cipherOf(aead, s2c, nonce, reply.slice(0, last.at)).decrypt(last.value.slice(start, start + sealedLength));
  const inside = fieldsOf(text, 0);
  if (inside.some(({ type }) => type !== COOKIE)) throw new Error("there is something else than cookies inside");
  return { fields, cookies: inside.map(({ value }) => value), nonce, adLength: last.at };
}
