// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS requests to load a server with: keys established once, requests written and sealed beforehand with a cipher that is not
 * ours, and then sent again and again. A server keeps no memory of cookies (RFC 8915 §5.7), so that each costs it what the first did.
 *
 * @module
 */

import { aessiv } from "@noble/ciphers/aes.js";
import { readFileSync } from "node:fs";
import { lendHost } from "../../hosts/node/index.ts";
import { establishKeys } from "../../hosts/common/nts/client.ts";

export interface NtsPlan {
  readonly kePort: number;
  /** Trusted certificate, a file. */
  readonly ca: string;
  readonly placeholders: number;
}

/** AES-SIV-CMAC-256, which every server has. */
const AEAD = 15;
const [UNIQUE_IDENTIFIER, COOKIE, PLACEHOLDER, AUTHENTICATOR] = [0x0104, 0x0204, 0x0304, 0x0404];
const HEADER = 48;
const NONCE = 16;

export interface NtsRequests {
  /** `count` requests; the last eight octets of the header are those of `mark`. */
  readonly packets: readonly Uint8Array[];
  /** Whether a reply opens with the server's key. */
  opens(reply: Uint8Array): boolean;
}

export async function ntsRequests({ kePort, ca, placeholders }: NtsPlan, count: number, mark: (view: DataView, index: number) => void): Promise<NtsRequests> {
  const keys = await establishKeys(await lendHost(), { host: "127.0.0.1", kePort, ca: readFileSync(ca, "utf8"), aeads: [AEAD] });
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const packets = Array.from({ length: count }, (_, index) => {
    const header = new Uint8Array(HEADER);
    header[0] = 0x23;
    mark(new DataView(header.buffer), index);
    const cookie = keys.cookies[index % keys.cookies.length]!;
    const ad = joined(header, field(UNIQUE_IDENTIFIER, random(32)), field(COOKIE, cookie), ...Array.from({ length: placeholders }, () => field(PLACEHOLDER, new Uint8Array(cookie.length))));
    const nonce = random(NONCE);
    const sealed = aessiv(keys.c2s, ad, nonce).encrypt(new Uint8Array(0));
    return joined(ad, field(AUTHENTICATOR, joined(Uint8Array.of(0, NONCE, 0, sealed.length), nonce, sealed)));
  });
  return { packets, opens: (reply) => opens(keys.s2c, reply) };
}

function field(type: number, value: Uint8Array): Uint8Array {
  const length = 4 + value.length;
  return joined(Uint8Array.of(type >> 8, type & 255, length >> 8, length & 255), value);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function opens(key: Uint8Array, reply: Uint8Array): boolean {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
  for (let at = HEADER; at + 4 <= reply.length; at += view.getUint16(at + 2)) {
    if (view.getUint16(at) !== AUTHENTICATOR) continue;
    const [nonceLength, sealedLength] = [view.getUint16(at + 4), view.getUint16(at + 6)];
    const nonce = reply.slice(at + 8, at + 8 + nonceLength);
    const sealed = reply.slice(at + 8 + ((nonceLength + 3) & ~3)).slice(0, sealedLength);
    try {
      return aessiv(key, reply.slice(0, at), nonce).decrypt(sealed).length > 0;
    } catch {
      return false;
    }
  }
  return false;
}
