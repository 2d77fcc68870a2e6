// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Roughtime server's keys: the long-term key, which may stay offline, and delegations of online keys for a span of time
 * each (RFC 10049 §5.2.6, §9.3, §9.4). As objects, and as the JSON of their files.
 *
 * Nothing secret enters a message. Reading and writing files is the caller's (cli/roughtime-key.ts, with mode 0600). Tested
 * in keys.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import { Core } from "../core/core.ts";
import { decodeKey } from "../client/source.ts";
import { SIGNATURE_LENGTH } from "./core.ts";
import { DELEGATION_CONTEXT, KEY_LENGTH, publicKeyOf, sign } from "./ed25519.ts";
import { base64 } from "./list.ts";

/** The key that clients know a server by. */
export interface LongTermKey {
  readonly publicKey: Uint8Array;
  /** Secret. */
  readonly seed: Uint8Array;
}

/** An online key and the long-term key's word for it. */
export interface Delegation {
  /** Secret: of the online key. */
  readonly seed: Uint8Array;
  /** From when to when it may sign, Unix seconds. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  /** The value of CERT. */
  readonly certificate: Uint8Array;
}

/** What a server needs: the long-term key's public half, and delegations in any order. */
export interface ServerKeys {
  readonly publicKey: Uint8Array;
  readonly delegations: readonly Delegation[];
}

export function generateKey(host: Pick<Host, "random">): LongTermKey {
  const seed = host.random(new Uint8Array(KEY_LENGTH));
  return { seed, publicKey: publicKeyOf(seed) };
}

let core: Core | undefined;

/** Let a fresh online key sign from `notBefore` to `notAfter`, Unix seconds. */
export function delegate(host: Pick<Host, "random">, key: LongTermKey, notBefore: bigint, notAfter: bigint): Delegation {
  if (!(notBefore >= 0n && notBefore < notAfter)) throw new NtpError("INVALID_ARGUMENT", `expected a delegation that ends after it begins, got ${notBefore}..${notAfter}`);
  const { bytes, exports, constant } = bound((core ??= new Core()));
  const at = constant("SCRATCH");
  const seed = host.random(new Uint8Array(KEY_LENGTH));
  bytes.set(publicKeyOf(seed), at);
  const delegation = bytes.slice(at + 64, at + 64 + exports.roughtimeDelegationWrite(at + 64, at, notBefore, notAfter));
  bytes.set(sign(key.seed, DELEGATION_CONTEXT, delegation), at + 256);
  const length = exports.roughtimeCertificateWrite(at + 256 + SIGNATURE_LENGTH, at + 64, at + 256);
  const certificate = bytes.slice(at + 256 + SIGNATURE_LENGTH, at + 256 + SIGNATURE_LENGTH + length);
  return { seed, notBefore, notAfter, certificate };
}

function bound(core: Core) {
  return { bytes: core.bytes, exports: core.exports, constant: (name: string) => core.constant(name) };
}

/** How long a delegation made on the spot holds, s; and for how long before its beginning, as clocks differ. */
const DAY = 86_400n;
const HOUR = 3_600n;

/** `count` delegations, one after the other from `start`, each for `days` and an hour more at either end. */
export function delegations(host: Pick<Host, "random">, key: LongTermKey, { start, days, count }: { start: bigint; days: number; count: number }): ServerKeys {
  const span = BigInt(Math.round(days * Number(DAY)));
  const made = Array.from({ length: count }, (_, i) => {
    const begin = start + span * BigInt(i);
    return delegate(host, key, begin - HOUR, begin + span + HOUR);
  });
  return { publicKey: key.publicKey, delegations: made };
}

/** The delegation to sign with at a time, Unix seconds: of those that hold, the one that began last. */
export function currentDelegation({ delegations }: ServerKeys, now: bigint): Delegation | undefined {
  return delegations
    .filter(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter)
    .reduce((best: Delegation | undefined, one) => (best && best.notBefore >= one.notBefore ? best : one), undefined);
}

// --- files ---

const KEY_KIND = "escapement roughtime long-term key";
const DELEGATION_KIND = "escapement roughtime delegations";

/** The text of a long-term key's file. Secret. */
export function keyFile({ publicKey, seed }: LongTermKey): string {
  return `${JSON.stringify({ kind: KEY_KIND, publicKey: base64(publicKey), seed: base64(seed) }, null, 2)}\n`;
}

/** The text of a server's file of delegations. Secret, but without the long-term key. */
export function delegationFile({ publicKey, delegations }: ServerKeys): string {
  const list = delegations.map(({ seed, notBefore, notAfter, certificate }) => ({
    notBefore: Number(notBefore), notAfter: Number(notAfter), certificate: base64(certificate), seed: base64(seed),
  }));
  return `${JSON.stringify({ kind: DELEGATION_KIND, publicKey: base64(publicKey), delegations: list }, null, 2)}\n`;
}

/** Either file, read. @throws {NtpError} `INVALID_ARGUMENT`, without any of its content. */
export function readKeyFile(text: string): { readonly key: LongTermKey } | { readonly keys: ServerKeys } {
  const file = parsed(text);
  const publicKey = keyOf(file["publicKey"], "publicKey");
  if (file["kind"] === KEY_KIND) {
    const seed = keyOf(file["seed"], "seed");
    if (publicKeyOf(seed).join() !== publicKey.join()) throw wrong("a seed that belongs to the public key");
    return { key: { publicKey, seed } };
  }
  const list = file["delegations"];
  if (file["kind"] !== DELEGATION_KIND || !Array.isArray(list) || list.length === 0) throw wrong(`"kind" ${KEY_KIND} or ${DELEGATION_KIND}`);
  return { keys: { publicKey, delegations: list.map((entry) => delegationOf(entry as Record<string, unknown>)) } };
}

function delegationOf(entry: Record<string, unknown>): Delegation {
  const { notBefore, notAfter, certificate } = entry ?? {};
  if (!Number.isSafeInteger(notBefore) || !Number.isSafeInteger(notAfter)) throw wrong("notBefore and notAfter in Unix seconds");
  if (typeof certificate !== "string" || !/^[\w+/]{203}=$/.test(certificate)) throw wrong("a certificate of 152 octets in base64");
  const octets = Uint8Array.from(atob(certificate), (character) => character.charCodeAt(0));
  return { seed: keyOf(entry["seed"], "seed"), notBefore: BigInt(notBefore as number), notAfter: BigInt(notAfter as number), certificate: octets };
}

function keyOf(value: unknown, name: string): Uint8Array {
  const octets = typeof value === "string" ? decodeKey(value) : undefined;
  if (!octets) throw wrong(`${name}: 32 octets in base64`);
  return octets;
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // JSON.parse quotes what it met, and that may be secret.
  }
  throw wrong("JSON");
}

function wrong(expected: string): NtpError {
  return new NtpError("INVALID_ARGUMENT", `Roughtime key file: expected ${expected}; make one with "escapement roughtime-key"`);
}
