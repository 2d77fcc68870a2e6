// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The client's side of NTS (RFC 8915 §5): cookies kept, requests sealed, replies opened.
 *
 *   request   header │ unique identifier │ cookie │ placeholder … │ authenticator (empty)
 *   reply     header │ unique identifier │ authenticator ( cookie … )
 *
 * Each cookie is used once, the oldest first. Up to eight are kept; a request asks, by placeholders, for as many as are missing
 * beside the one it spends, and never grows beyond what every path carries. Nothing of a reply is believed before its
 * authenticator has been opened, but a kiss NTSN, which nobody can sign: it makes no change but a mark that new keys may be
 * needed, and the wait for an authentic reply goes on (§5.7).
 *
 * Keys come from key establishment (hosts/common/nts); this file never falls back to a request without them. Tested in
 * nts.test.ts, and against chronyd, ntpd-rs and NTPsec in tests/interop.
 */

import { AEAD_CONTEXT_SIZE, aeadKey, aeadKeyLength, aeadNonceLength, aeadOpen, aeadSeal } from "../crypto/aead";
import { FIELD_HEADER, fieldLength, fieldSpan, fieldType, writeField } from "../proto/extension";
import { AT_REFID, AT_STRATUM, HEADER_LENGTH, read32, versionOf } from "../proto/header";
import { BIT_AUTH_NAK, VERSION_5, bitsOf } from "../proto/v5";
import { AUTHENTICATOR_TYPE, Authenticator, COOKIE_TYPE, KISS_NTSN, PLACEHOLDER_TYPE, UNIQUE_IDENTIFIER_TYPE } from "../proto/nts";
import { authenticatorLength, readAuthenticator, writeAuthenticator } from "../proto/nts";

export const SESSIONS: i32 = 64;
/** RFC 8915 §4.1.6, §5.7: as many as a server sends, and a client keeps. */
export const COOKIES: i32 = 8;
/** A longer cookie leaves no room in a packet that no path fragments. */
export const COOKIE_LIMIT: i32 = 768;
/** RFC 8915 §5.3: at least 32 octets. */
const UNIQUE_ID_LENGTH: i32 = 32;
const NONCE_ROOM: i32 = 16;
/** UDP payload of the 1280 octets that every IPv6 path carries. */
const PACKET_LIMIT: i32 = 1280 - 40 - 8;

/** What a reply turned out to be. */
export const NTS_FORGED: i32 = 0;
export const NTS_AUTHENTIC: i32 = 1;
/** Unauthenticated: the server could not open our cookie, or somebody says so. */
export const NTS_NAK: i32 = 2;

/** One server's keys and cookies. Read by hosts through the exported NTS_* offsets. */
@unmanaged
export class Session {
  /** AEAD algorithm (IANA); 0: no keys. */
  aead: i32;
  /** Cookies left. */
  cookies: i32;
  /** Of the ring, the oldest. */
  oldest: i32;
  /** How many cookies to keep: 1..8. */
  wanted: i32;
  /** A kiss NTSN came since the last authentic reply. */
  refused: i32;
  /** Counters since the session was opened. */
  naks: u32;
  forged: u32;
}

const COOKIE_STRIDE: usize = 4 + 768;
const AT_UNIQUE_ID: usize = offsetof<Session>();
const AT_SEAL: usize = (AT_UNIQUE_ID + 32 + 15) & ~15;
const AT_OPEN: usize = AT_SEAL + <usize>AEAD_CONTEXT_SIZE;
const AT_COOKIES: usize = AT_OPEN + <usize>AEAD_CONTEXT_SIZE;
const STRIDE: usize = (AT_COOKIES + <usize>COOKIES * COOKIE_STRIDE + 15) & ~15;

const sessions: usize = memory.data(SESSIONS * STRIDE, 16);
/** 48 random octets that the host renews before each request: unique identifier and nonce. */
export const ntsRandom: usize = memory.data(UNIQUE_ID_LENGTH + NONCE_ROOM, 8);
const authenticator = changetype<Authenticator>(memory.data(offsetof<Authenticator>(), 8));
/** What was sealed in a reply. */
const opened: usize = memory.data(2048, 8);

export function ntsOut(session: i32): usize {
  return sessions + <usize>(session & (SESSIONS - 1)) * STRIDE;
}

function sessionAt(session: i32): Session {
  return changetype<Session>(ntsOut(session));
}

function cookieAt(session: i32, place: i32): usize {
  return ntsOut(session) + AT_COOKIES + <usize>(place & (COOKIES - 1)) * COOKIE_STRIDE;
}

/** Begin with the keys of a key establishment, without cookies; `wanted`, 1..8, are kept. Returns 0 for an algorithm not known. */
export function ntsOpen(session: i32, aead: i32, clientKey: usize, serverKey: usize, wanted: i32): i32 {
  ntsClose(session);
  if (aeadKeyLength(aead) == 0) return 0;
  aeadKey(aead, clientKey, ntsOut(session) + AT_SEAL);
  aeadKey(aead, serverKey, ntsOut(session) + AT_OPEN);
  sessionAt(session).aead = aead;
  sessionAt(session).wanted = max(1, min(wanted, COOKIES));
  return 1;
}

/** Forget keys and cookies. */
export function ntsClose(session: i32): void {
  memory.fill(ntsOut(session), 0, STRIDE);
}

/** Keep a cookie. Returns 0 when there are enough, or when it is none: its length must be a multiple of four. */
export function ntsCookie(session: i32, cookie: usize, length: i32): i32 {
  const state = sessionAt(session);
  if (state.cookies >= COOKIES || length < 4 || length > COOKIE_LIMIT || (length & 3) != 0) return 0;
  const at = cookieAt(session, state.oldest + state.cookies);
  store<i32>(at, length);
  memory.copy(at + 4, cookie, length);
  state.cookies += 1;
  return 1;
}

/** Whether new keys must be established before the next request. */
export function ntsNeedsKeys(session: i32): bool {
  const state = sessionAt(session);
  return state.aead == 0 || state.cookies == 0 || state.refused != 0;
}

/** Append unique identifier, cookie, placeholders and authenticator. Returns the whole length; 0 without keys or cookies. */
export function ntsRequest(session: i32, packet: usize, length: i32): i32 {
  const state = sessionAt(session);
  if (state.aead == 0 || state.cookies == 0) return 0;
  let at = length;
  memory.copy(ntsOut(session) + AT_UNIQUE_ID, ntsRandom, UNIQUE_ID_LENGTH);
  const identifier = packet + <usize>at;
  at += writeField(identifier, UNIQUE_IDENTIFIER_TYPE, UNIQUE_ID_LENGTH, false);
  memory.copy(identifier + FIELD_HEADER, ntsRandom, UNIQUE_ID_LENGTH);
  at += spendCookie(session, state, packet, at);
  return seal(session, state, packet, at);
}

/** The oldest cookie, and a placeholder for each that is missing once its successor has come. Returns their octets. */
function spendCookie(session: i32, state: Session, packet: usize, length: i32): i32 {
  const out = packet + <usize>length;
  const cookie = cookieAt(session, state.oldest);
  const size = load<i32>(cookie);
  let octets = writeField(out, COOKIE_TYPE, size, false);
  memory.copy(out + FIELD_HEADER, cookie + 4, size);
  memory.fill(cookie, 0, COOKIE_STRIDE);
  state.oldest = (state.oldest + 1) & (COOKIES - 1);
  state.cookies -= 1;
  const each = octets;
  const beside = length + authenticatorLength(NONCE_ROOM, 0);
  for (let missing = state.wanted - 1 - state.cookies; missing > 0 && beside + octets + each <= PACKET_LIMIT; missing--) {
    octets += writeField(out + <usize>octets, PLACEHOLDER_TYPE, size, false);
  }
  return octets;
}

/** The authenticator over everything before it; nothing of ours needs to be hidden. */
function seal(session: i32, state: Session, packet: usize, length: i32): i32 {
  // RFC 8915 §5.6: our nonces are as long as the server's may be, so that no additional padding is needed.
  const nonceLength = aeadNonceLength(state.aead);
  const whole = authenticatorLength(nonceLength, 0);
  writeAuthenticator(packet + <usize>length, whole, nonceLength, 0, authenticator);
  memory.copy(authenticator.nonce, ntsRandom + UNIQUE_ID_LENGTH, nonceLength);
  aeadSeal(ntsOut(session) + AT_SEAL, packet, length, authenticator.nonce, nonceLength, 0, 0, authenticator.sealed);
  return length + whole;
}

/**
 * Is this the server's reply to our last request? One of NTS_*. When it is authentic, its cookies are kept, and
 * {@link ntsCovered} tells where what was authenticated ends.
 *
 * The fields have been found well formed, and end at `fieldsEnd`.
 */
export function ntsReply(session: i32, packet: usize, fieldsEnd: i32): i32 {
  const state = sessionAt(session);
  if (state.aead == 0) return NTS_FORGED;
  const at = findAuthenticator(session, packet, fieldsEnd);
  if (at < 0) return NTS_FORGED;
  if (at == 0) return refusal(state, packet);
  const verdict = open(session, state, packet, at);
  if (verdict != NTS_AUTHENTIC) state.forged += 1;
  return verdict;
}

let covered: i32 = 0;

/** Where the fields that the authenticator of the last authentic reply vouches for end. */
export function ntsCovered(): i32 {
  return covered;
}

/** Where the authenticator lies; 0: there is none; -1: not our unique identifier, or that twice. Behind it nothing counts. */
function findAuthenticator(session: i32, packet: usize, fieldsEnd: i32): i32 {
  let identified = false;
  for (let at = HEADER_LENGTH; at < fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    const field = packet + <usize>at;
    const type = fieldType(field);
    if (type == AUTHENTICATOR_TYPE) return identified ? at : -1;
    if (type != UNIQUE_IDENTIFIER_TYPE) continue;
    if (identified || !isOurs(session, field)) return -1;
    identified = true;
  }
  return identified ? 0 : -1;
}

/** Whether a field has the unique identifier of the last request. It is no secret. */
function isOurs(session: i32, field: usize): bool {
  if (fieldLength(field) != FIELD_HEADER + UNIQUE_ID_LENGTH) return false;
  return memory.compare(field + FIELD_HEADER, ntsOut(session) + AT_UNIQUE_ID, UNIQUE_ID_LENGTH) == 0;
}

function refusal(state: Session, packet: usize): i32 {
  const nak = versionOf(packet) == VERSION_5 ? (bitsOf(packet) & BIT_AUTH_NAK) != 0 : read32(packet + AT_REFID) == KISS_NTSN;
  if (load<u8>(packet + AT_STRATUM) != 0 || !nak) return NTS_FORGED;
  state.refused = 1;
  state.naks += 1;
  return NTS_NAK;
}

function open(session: i32, state: Session, packet: usize, at: i32): i32 {
  const by = authenticator;
  if (!readAuthenticator(packet + <usize>at, by)) return NTS_FORGED;
  const length = aeadOpen(ntsOut(session) + AT_OPEN, packet, at, by.nonce, by.nonceLength, by.sealed, by.sealedLength, opened);
  if (length < 0) return NTS_FORGED;
  state.refused = 0;
  covered = at;
  // The unique identifier is spent: a copy of this reply is nobody's.
  memory.fill(ntsOut(session) + AT_UNIQUE_ID, 0, UNIQUE_ID_LENGTH);
  keepCookies(session, length);
  return NTS_AUTHENTIC;
}

/** Fields that were sealed may be shorter than those in the clear: RFC 7822's minimum does not hold here. */
function keepCookies(session: i32, length: i32): void {
  for (let at = 0; length - at >= FIELD_HEADER; ) {
    const field = opened + <usize>at;
    const size = fieldLength(field);
    if (size < FIELD_HEADER || (size & 3) != 0 || size > length - at) return;
    if (fieldType(field) == COOKIE_TYPE) ntsCookie(session, field + FIELD_HEADER, size - FIELD_HEADER);
    at += size;
  }
}
