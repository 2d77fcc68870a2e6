// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core's cold surface: strings and typed arrays, through as-bind. For people and their terminals; a call costs about a
 * microsecond, so nothing here belongs on a packet's way.
 *
 * It has an instance of the core of its own, made at the first call, so that its garbage never meets the hot path.
 * Tested in assembly/proto/ke.test.ts and assembly/proto/explain.test.ts.
 *
 * @module
 */

import { instantiateSync } from "#as-bind";
import { coreModule } from "./core.ts";

interface ColdExports {
  explainPacket(packet: Uint8Array): string;
  leapText(leap: number): string;
  modeText(mode: number): string;
  refidText(refid: number, stratum: number): string;
  refidFromText(text: string): number;
  referenceMeaning(code: string): string;
  kissMeaning(code: string): string;
  keRead(message: Uint8Array, maxOctets: number, maxRecords: number): Int32Array;
  keWrite(types: Uint16Array, lengths: Uint16Array, bodies: Uint8Array): Uint8Array;
  keFaultText(fault: number): string;
  keRecordText(type: number): string;
  keErrorText(code: number): string;
  draftName(index: number): string;
}

let bound: { readonly module: WebAssembly.Module; readonly exports: ColdExports } | undefined;

function cold(): ColdExports {
  const module = coreModule();
  if (bound?.module !== module) bound = { module, exports: instantiateSync(module).exports as unknown as ColdExports };
  return bound.exports;
}

/** What a packet says, one field a line. Takes any octets. */
export function explainPacket(packet: Uint8Array): string {
  return cold().explainPacket(packet);
}

/** "no warning", "last minute has 61 seconds", … for 0..3. */
export function leapText(leap: number): string {
  return cold().leapText(leap);
}

/** "client", "server", … for 0..7. */
export function modeText(mode: number): string {
  return cold().modeText(mode);
}

/** A reference identifier as people write it: "GPS", "192.0.2.1", "RATE". RFC 5905 §7.3. */
export function refidText(refid: number, stratum: number): string {
  return cold().refidText(refid, stratum);
}

/** The number of a code of up to four ASCII letters. */
export function refidFromText(text: string): number {
  return cold().refidFromText(text) >>> 0;
}

/** What a stratum-1 server's reference code stands for; "" when IANA does not list it. */
export function referenceMeaning(code: string): string {
  return cold().referenceMeaning(code);
}

/** What a kiss code asks for; "" when IANA does not list it. */
export function kissMeaning(code: string): string {
  return cold().kissMeaning(code);
}

/** One record of NTS key establishment (RFC 8915 §4): its type without the critical bit, and its body. */
export interface KeRecord {
  readonly type: number;
  readonly critical: boolean;
  readonly body: Uint8Array;
}

/** What may come of a message before it is refused. */
export interface KeLimits {
  readonly octets: number;
  readonly records: number;
}

/** What octets of a stream are: a message; its beginning; or nothing that could become one. */
export type KeMessage =
  | { readonly verdict: "complete"; readonly records: readonly KeRecord[] }
  /** Ask again when `wanted` octets are there: until then there is nothing new to say. */
  | { readonly verdict: "more"; readonly wanted: number }
  /** `unknownCritical` has an error code of its own (0); everything else is a bad request (1). */
  | { readonly verdict: "refused"; readonly unknownCritical: boolean; readonly why: string };

const VERDICTS = ["complete", "more", "refused"] as const;
/** assembly/proto/ke.ts: numbers before the records, and of each. */
const KE_HEAD = 4;
const KE_EACH = 4;
const KE_UNKNOWN_CRITICAL = 1;

/** Take a message of key establishment, or its beginning, apart. Takes any octets. */
export function readKeMessage(octets: Uint8Array, limits: KeLimits): KeMessage {
  // One octet more than may be is enough to see that there are too many.
  const seen = octets.subarray(0, limits.octets + 1);
  const told = cold().keRead(seen, limits.octets, limits.records);
  const [what = 2, at = 0, fault = 0, count = 0] = told;
  const verdict = VERDICTS[what];
  if (verdict === "more") return { verdict, wanted: at };
  const records = Array.from({ length: count }, (_, i) => {
    const [type = 0, critical = 0, body = 0, length = 0] = told.subarray(KE_HEAD + KE_EACH * i);
    return { type, critical: critical === 1, body: octets.slice(body, body + length) };
  });
  if (verdict === "complete") return { verdict, records };
  const last = records.at(-1);
  const which = last ? ` (record ${records.length}, type ${last.type}: ${cold().keRecordText(last.type)})` : "";
  return { verdict: "refused", unknownCritical: fault === KE_UNKNOWN_CRITICAL, why: `${cold().keFaultText(fault)} at octet ${at}${which}` };
}

/** The octets of a message. @throws {RangeError} when a body has more than 65535 octets. */
export function writeKeMessage(records: readonly KeRecord[]): Uint8Array {
  const long = records.find(({ body }) => body.length > 0xffff);
  if (long) throw new RangeError(`expected a body of at most 65535 octets, got ${long.body.length} in a record of type ${long.type}`);
  const types = Uint16Array.from(records, ({ type, critical }) => (critical ? 0x8000 : 0) | type);
  const lengths = Uint16Array.from(records, ({ body }) => body.length);
  const bodies = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const { body } of records) {
    bodies.set(body, at);
    at += body.length;
  }
  return cold().keWrite(types, lengths, bodies);
}

/** The name of a draft of NTPv5 that is spoken, the newest at 0; "" behind the last. */
export function draftName(index: number): string {
  return cold().draftName(index);
}

/** What an error code of key establishment says: "bad request". */
export function keErrorText(code: number): string {
  return cold().keErrorText(code);
}
