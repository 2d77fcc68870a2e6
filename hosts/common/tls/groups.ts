// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Key exchange: X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), X25519 and secp256r1 (RFC 8446 §4.2.8).
 *
 *     X25519MLKEM768   client: encapsulation key (1184) ‖ X25519 (32)    server: ciphertext (1088) ‖ X25519 (32)
 *                      secret: ML-KEM's (32) ‖ X25519's (32)
 *     secp256r1        04 ‖ x (32) ‖ y (32)                              secret: x (32)
 *
 * A peer's share of another length, a point off the curve and an X25519 result of zeros are refused (§7.4.2, RFC 7748 §6.1).
 * secp256r1 is only made when a server asks for it by HelloRetryRequest. Tested in groups.test.ts.
 *
 * @module
 */

import { wipe } from "../octets.ts";
import type { PostQuantum } from "../stream.ts";
import { webCrypto } from "../x509/algorithms.ts";
import { fail } from "./alert.ts";
import { concat } from "./codec.ts";
import { CIPHERTEXT_LENGTH, decapsulate, encapsulationKey, SEED_LENGTH } from "./mlkem.ts";

export const GROUP = { X25519MLKEM768: 0x11ec, X25519: 0x001d, "P-256": 0x0017 } as const;
export type GroupName = keyof typeof GROUP;

/** Fills with strong random octets. */
export type Random = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;

/** Our half of a key exchange. */
export interface KeyShare {
  readonly group: GroupName;
  /** What is sent. */
  readonly share: Uint8Array;
  /** The shared secret with the server's half. */
  agree(theirs: Uint8Array): Promise<Uint8Array>;
  /** Wipe our secret half. {@link agree} MUST NOT be called any more. */
  forget(): void;
}

/** The groups that are offered, the preferred first. */
export function offeredGroups(pq: PostQuantum): readonly GroupName[] {
  if (pq === "require") return ["X25519MLKEM768"];
  return pq === "off" ? ["X25519", "P-256"] : ["X25519MLKEM768", "X25519", "P-256"];
}

/** The shares in the first ClientHello. Both use one X25519 key, as the draft allows. */
export async function firstShares(pq: PostQuantum, random: Random): Promise<KeyShare[]> {
  const classical = await x25519Share(random);
  const shares = pq === "require" ? [] : [classical];
  return pq === "off" ? shares : [hybridShare(classical, random(new Uint8Array(SEED_LENGTH))), ...shares];
}

/** The share that a HelloRetryRequest asks for. */
export async function retryShare(group: GroupName, random: Random): Promise<KeyShare> {
  if (group === "P-256") return p256Share();
  const [share] = await firstShares(group === "X25519" ? "off" : "require", random);
  return share as KeyShare;
}

/** From 32 random octets: by WebCrypto, out of which nobody reads them; where that has no X25519, by noble, which is loaded for it. */
async function x25519Share(random: Random): Promise<KeyShare> {
  const secret = random(new Uint8Array(32));
  const pair = (await webX25519(secret)) ?? (await import("./x25519.ts")).x25519Pair(secret);
  return {
    group: "X25519",
    share: pair.share,
    agree: async (theirs) => {
      if (theirs.length !== 32) fail("illegal_parameter", `expected an X25519 share of 32 octets, got ${theirs.length}`);
      const secret = await pair.agree(theirs).catch(() => undefined);
      // Some refuse a secret of zeros themselves, some do not.
      if (!secret?.some((octet) => octet !== 0)) return fail("illegal_parameter", "an X25519 share that leads to a secret of zeros");
      return secret;
    },
    forget: () => wipe(secret),
  };
}

/** A key of one exchange: our half, and the secret with theirs. Rejects, or gives zeros, when there is none. */
export interface X25519Pair {
  readonly share: Uint8Array;
  agree(theirs: Uint8Array): Promise<Uint8Array>;
}

/** RFC 8410 §7: what stands before a private key's 32 octets in PKCS #8. */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20);
/** RFC 7748 §4.1: the u-coordinate whose multiple is our half. */
const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(31));

/** The private key is imported, not generated there: what comes of the same random octets is the same everywhere. */
async function webX25519(secret: Uint8Array): Promise<X25519Pair | undefined> {
  const subtle = webCrypto();
  const name = "X25519";
  const key = concat(PKCS8, secret);
  try {
    const own = await subtle.importKey("pkcs8", key as BufferSource, { name }, false, ["deriveBits"]);
    const agree = async (theirs: Uint8Array) => {
      const peer = await subtle.importKey("raw", theirs as BufferSource, { name }, false, []);
      return new Uint8Array(await subtle.deriveBits({ name, public: peer }, own, 256));
    };
    return { share: await agree(BASE_POINT), agree };
  } catch {
    return undefined;
  } finally {
    wipe(key);
  }
}

function hybridShare(classical: KeyShare, seed: Uint8Array): KeyShare {
  return {
    group: "X25519MLKEM768",
    share: concat(encapsulationKey(seed), classical.share),
    agree: async (theirs) => {
      const expected = CIPHERTEXT_LENGTH + 32;
      if (theirs.length !== expected) fail("illegal_parameter", `expected an X25519MLKEM768 share of ${expected} octets, got ${theirs.length}`);
      const classicalSecret = await classical.agree(theirs.subarray(CIPHERTEXT_LENGTH));
      const quantumSecret = decapsulate(seed, theirs.subarray(0, CIPHERTEXT_LENGTH));
      const shared = concat(quantumSecret, classicalSecret);
      wipe(quantumSecret, classicalSecret);
      return shared;
    },
    forget() {
      wipe(seed);
      classical.forget();
    },
  };
}

async function p256Share(): Promise<KeyShare> {
  const subtle = webCrypto();
  const how = { name: "ECDH", namedCurve: "P-256" } as const;
  const { publicKey, privateKey } = await subtle.generateKey(how, false, ["deriveBits"]);
  return {
    group: "P-256",
    share: new Uint8Array(await subtle.exportKey("raw", publicKey)),
    agree: async (theirs) => {
      if (!onP256(theirs)) fail("illegal_parameter", "expected a point on P-256, uncompressed");
      const peer = await subtle.importKey("raw", theirs as BufferSource, how, false, []);
      return new Uint8Array(await subtle.deriveBits({ name: "ECDH", public: peer }, privateKey, 256));
    },
    // WebCrypto made it, and nobody else has it.
    forget: () => {},
  };
}

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/** y² = x³ - 3x + b (mod p), checked here because not every WebCrypto does on import. The point is public. */
export function onP256(point: Uint8Array): boolean {
  if (point.length !== 65 || point[0] !== 4) return false;
  const number = (octets: Uint8Array) => octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
  const [x, y] = [number(point.subarray(1, 33)), number(point.subarray(33))];
  return x < P && y < P && (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}
