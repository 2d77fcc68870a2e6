// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How a request is authenticated, and whether a packet that came is: not at all, by a symmetric key, or by NTS.
 *
 * Where authentication is asked for, a packet without it, or with a wrong one, is nobody's: it changes nothing, not even the
 * wait. There is no way from here to a plain request. The build for pages (assembly/page.ts) has no cryptography: there
 * nothing is sent or believed that needs it. Tested in assembly/proto/keys.test.ts and nts.test.ts.
 */

import { NTS_AUTHENTIC, ntsCovered, ntsReply, ntsRequest } from "./nts";
import { Trailer } from "../proto/extension";
import { keyHolds, keyWrite } from "../proto/keys";

export const AUTH_NONE: u8 = 0;
export const AUTH_KEY: u8 = 1;
export const AUTH_NTS: u8 = 2;

/** Chosen when the association or the request is opened. */
@unmanaged
export class Authentication {
  /** One of AUTH_*. */
  auth: u8;
  version: u8;
  /** Of the key (proto/keys.ts) or the session (nts.ts). */
  authIndex: i32;
}

/** Complete a packet of `length` octets. Returns its whole length; 0 when it cannot be authenticated, and MUST not be sent. */
export function authenticate(packet: usize, length: i32, by: Authentication): i32 {
  if (by.auth == AUTH_NONE) return length;
  if (isDefined(PLAIN)) return 0;
  if (by.auth == AUTH_NTS) return ntsRequest(by.authIndex, packet, length);
  if (isDefined(PAGE) || by.auth != AUTH_KEY) return 0;
  const whole = keyWrite(by.authIndex, packet, length, by.version);
  return whole > length ? whole : 0;
}

/** Whether the packet may be believed, as far as `trailer.fieldsEnd`, which is moved to where the proof ends. */
export function isAuthentic(packet: usize, version: i32, trailer: Trailer, by: Authentication): bool {
  if (by.auth == AUTH_NONE) return true;
  if (isDefined(PLAIN)) return false;
  if (!isDefined(PAGE) && by.auth == AUTH_KEY) return keyHolds(by.authIndex, packet, version, trailer);
  if (by.auth != AUTH_NTS) return false;
  const verdict = ntsReply(by.authIndex, packet, trailer.fieldsEnd);
  if (verdict == NTS_AUTHENTIC) trailer.fieldsEnd = ntsCovered();
  return verdict == NTS_AUTHENTIC;
}
