// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The numbers of NTS (RFC 8915 §4 and §7, IANA's registries) and the records made of them. The octets are the core's.
 * Tested in establish.test.ts and answer.test.ts.
 *
 * @module
 */

import type { KeRecord } from "../core/cold.ts";
import { NtpError } from "../errors.ts";

/** TCP port of NTS key establishment. */
export const KE_PORT = 4460;
/** The application protocol that both sides MUST agree on. */
export const KE_ALPN = "ntske/1";
/** RFC 8446 §7.5 label of the keys. */
export const EXPORTER_LABEL = "EXPORTER-network-time-security";

/** Protocols that keys are established for. */
export const NTPV4 = 0;
/** The drafts of NTPv5 use this private number. */
export const NTPV5_DRAFT = 0x8001;

export const RECORD = {
  end: 0,
  nextProtocol: 1,
  error: 2,
  warning: 3,
  aead: 4,
  cookie: 5,
  server: 6,
  port: 7,
  /** Both sides know AEAD 30's exporter context of RFC 8915; see exporter.ts. */
  compliantExporter: 1024,
  /** Private: which draft of NTPv5 is meant by {@link NTPV5_DRAFT}. */
  draft: 0x4001,
} as const;

export const ERROR = { unrecognizedCritical: 0, badRequest: 1, internal: 2 } as const;

/** AEAD algorithms by IANA's number: octets of a key. */
const AEAD_KEYS: ReadonlyMap<number, { readonly name: string; readonly keyLength: number }> = new Map([
  [15, { name: "AEAD_AES_SIV_CMAC_256", keyLength: 32 }],
  [16, { name: "AEAD_AES_SIV_CMAC_384", keyLength: 48 }],
  [17, { name: "AEAD_AES_SIV_CMAC_512", keyLength: 64 }],
  [30, { name: "AEAD_AES_128_GCM_SIV", keyLength: 16 }],
]);

export const AES_128_GCM_SIV = 30;

/**
 * The order in which algorithms are preferred. 30 has the shortest cookies, so that requests pass networks that drop long
 * NTP packets; 15 is the one that all must have; 17 before 16, as ntpd-rs has no 16.
 */
export const DEFAULT_AEADS: readonly number[] = [30, 15, 17, 16];

/** Octets of a key of an algorithm; undefined for one that is not known here. */
export function keyLength(aead: number): number | undefined {
  return AEAD_KEYS.get(aead)?.keyLength;
}

/** "AEAD_AES_SIV_CMAC_256", for people. */
export function aeadName(aead: number): string {
  return AEAD_KEYS.get(aead)?.name ?? `AEAD ${aead}`;
}

/** @throws {NtpError} `INVALID_ARGUMENT` unless there is at least one, all known and each once. */
export function checkedAeads(aeads: readonly number[]): readonly number[] {
  if (aeads.length === 0 || new Set(aeads).size !== aeads.length || !aeads.every((aead) => AEAD_KEYS.has(aead))) {
    throw new NtpError("INVALID_ARGUMENT", `expected AEAD algorithms out of ${[...AEAD_KEYS.keys()].join(", ")}, each once, got [${aeads.join(", ")}]`);
  }
  return aeads;
}

const none = new Uint8Array(0);

/** A body that is a list of 16-bit numbers. */
function numbersBody(numbers: readonly number[]): Uint8Array {
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 255]));
}

export function numbersOf(body: Uint8Array): number[] {
  return Array.from({ length: body.length >> 1 }, (_, i) => ((body[2 * i] ?? 0) << 8) | (body[2 * i + 1] ?? 0));
}

export function numberOf(body: Uint8Array): number {
  return numbersOf(body)[0] ?? 0;
}

/** A body that is ASCII; of names the core has made sure. */
export function nameOf(body: Uint8Array): string {
  return String.fromCharCode(...body);
}

export const endRecord: KeRecord = { type: RECORD.end, critical: true, body: none };
/** Its critical bit MUST NOT be set: who does not know it goes on without. */
export const compliantExporterRecord: KeRecord = { type: RECORD.compliantExporter, critical: false, body: none };

export function numbersRecord(type: number, critical: boolean, numbers: readonly number[]): KeRecord {
  return { type, critical, body: numbersBody(numbers) };
}

const ascii = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

export function serverRecord(critical: boolean, name: string): KeRecord {
  return { type: RECORD.server, critical, body: ascii(name) };
}

/** Not critical: who knows no drafts goes on with NTPv4. */
export function draftRecord(draft: string): KeRecord {
  return { type: RECORD.draft, critical: false, body: ascii(draft) };
}

/** What may be named in a server record: no zone (RFC 8915 §4.1.7), no brackets. */
export function isServerName(name: string): boolean {
  return /^[0-9A-Za-z._:-]{1,255}$/.test(name);
}
