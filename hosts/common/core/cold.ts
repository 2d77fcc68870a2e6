// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The core's cold surface: strings and typed arrays, through as-bind. For people and their terminals; a call costs about a
 * microsecond, so nothing here belongs on a packet's way.
 *
 * It has an instance of the core of its own, made at the first call, so that its garbage never meets the hot path.
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
}

let bound: ColdExports | undefined;

function cold(): ColdExports {
  bound ??= instantiateSync(coreModule()).exports as unknown as ColdExports;
  return bound;
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
