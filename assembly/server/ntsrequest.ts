// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS requests between their arrival and their sealed answer: which fields they have, and what has been found out.
 *
 * A request is read here and nothing in it believed; ntsopen.ts opens its cookie and verifies it, ntsreply.ts answers and
 * seals. There is an entry for each packet on the way, at most as many as a batch has; nothing is kept of a client.
 *
 * Tested in nts.test.ts.
 */

import { AEAD_CONTEXT_SIZE } from "../crypto/aead";
import { randomReady } from "../crypto/random";
import { Trailer, fieldLength, fieldSpan, fieldType } from "../proto/extension";
import { FIELD_HEADER } from "../proto/extension";
import { HEADER_LENGTH, MODE_CLIENT } from "../proto/header";
import { AUTHENTICATOR_TYPE, Authenticator, COOKIE_TYPE, PLACEHOLDER_TYPE, UNIQUE_IDENTIFIER_TYPE } from "../proto/nts";
import { UNIQUE_IDENTIFIER_MINIMUM, readAuthenticator } from "../proto/nts";
import { VERSION_5, octetsBehind } from "../proto/v5";
import { COOKIE_KEYS_MAXIMUM } from "./ntscookies";

// How far a request has come.
export const NTS_FREE: i32 = 0;
/** Its fields are what they should be. */
export const NTS_READ: i32 = 1;
/** The cookie is open; who sent it is not yet proven. */
export const NTS_OPEN: i32 = 2;
/** It is authentic. */
export const NTS_VERIFIED: i32 = 3;
/** The cookie or the authenticator is wrong. */
export const NTS_REFUSED: i32 = 4;
/** Its answer stands in its place, and wants only the transmit timestamp and the authenticator. */
export const NTS_ANSWERED: i32 = 5;

// What readNts says.
export const NTS_NONE: i32 = 0;
export const NTS_MALFORMED: i32 = -1;
export const NTS_TAKEN: i32 = 1;

/** Offsets count from the packet's first octet. */
@unmanaged
export class NtsRequest {
  packet: usize;
  state: i32;
  length: i32;
  /** The field with type and length. */
  uniqueAt: i32;
  uniqueLength: i32;
  /** The cookie itself. */
  cookieAt: i32;
  cookieLength: i32;
  authenticatorAt: i32;
  nonce: usize;
  nonceLength: i32;
  sealed: usize;
  sealedLength: i32;
  aead: i32;
  /** The generation that sealed its cookie. */
  generation: usize;
  /** The first of its jobs in the present stage. */
  job: i32;
  /** Of the answer: how much is authenticated, how many cookies it brings, which generation seals them. */
  adLength: i32;
  cookies: i32;
  sealing: usize;
  /** NTPv5: octets behind what is authenticated, which `length` does not count. */
  behind: i32;
}

// Behind the fields: the two keys; the CMAC chain over them, the same for every cookie they are sealed into by one generation;
// the last octets of a text; an AEAD's context.
export const REQUEST_KEYS: usize = 96;
export const REQUEST_CHAIN: usize = REQUEST_KEYS + <usize>COOKIE_KEYS_MAXIMUM;
export const REQUEST_TAIL: usize = REQUEST_CHAIN + 16;
export const REQUEST_CONTEXT: usize = REQUEST_TAIL + 32;
const REQUEST_SIZE: usize = REQUEST_CONTEXT + <usize>AEAD_CONTEXT_SIZE + 16;
const REQUESTS_MAXIMUM: i32 = 64;

const requests: usize = memory.data(REQUESTS_MAXIMUM * <i32>REQUEST_SIZE, 16);
const authenticator = changetype<Authenticator>(memory.data(offsetof<Authenticator>(), 8));
let used: i32 = 0;

export function requestAt(index: i32): NtsRequest {
  return changetype<NtsRequest>(requests + <usize>index * REQUEST_SIZE);
}

/** Entries in use stand first. */
export function requestCount(): i32 {
  return used;
}

/** The entry for `packet`; null when there is none. */
export function requestOf(packet: usize): NtsRequest {
  for (let i = 0; i < used; i++) if (requestAt(i).packet == packet) return requestAt(i);
  return changetype<NtsRequest>(0);
}

/** Wipe the secrets of a request; its entry is free. */
export function requestWipe(request: NtsRequest): void {
  memory.fill(changetype<usize>(request) + REQUEST_KEYS, 0, REQUEST_SIZE - REQUEST_KEYS);
  request.state = NTS_FREE;
  request.packet = 0;
}

/** Give back the entries at the end that are free. */
export function requestsTrim(): void {
  while (used > 0 && requestAt(used - 1).state == NTS_FREE) used -= 1;
}

/** Forget what was begun with `packet`: another datagram has come in its place. */
export function requestForget(packet: usize): void {
  for (let i = 0; i < used; i++) {
    const request = requestAt(i);
    if (request.packet == packet) requestWipe(request);
  }
  requestsTrim();
}

/** Forget all. */
export function requestsForget(): void {
  for (let i = 0; i < used; i++) requestWipe(requestAt(i));
  used = 0;
}

/** A free entry. Should there be none, the first is given up: its answer then leaves unsealed, and no client takes it. */
function requestNew(packet: usize): NtsRequest {
  let index = 0;
  while (index < used && requestAt(index).state != NTS_FREE) index += 1;
  if (index == REQUESTS_MAXIMUM) {
    index = 0;
    requestWipe(requestAt(0));
  }
  if (index == used) used += 1;
  const request = requestAt(index);
  memory.fill(changetype<usize>(request), 0, REQUEST_KEYS);
  request.packet = packet;
  return request;
}

/**
 * Take a request whose trailer has been read. NTS_NONE: it has no field of NTS but perhaps a unique identifier, and is
 * plain NTP; or this server was never seeded, does not do NTS, and passes over its fields. NTS_MALFORMED: it MUST NOT be answered, and not as plain NTP either.
 *
 * RFC 8915 §5.7: one unique identifier, one cookie, one authenticator, and nothing behind that, a MAC neither.
 */
export function readNts(packet: usize, length: i32, version: i32, mode: i32, trailer: Trailer): i32 {
  if (!randomReady() || !hasNts(packet, trailer)) return NTS_NONE;
  if ((version != 4 && version != VERSION_5) || mode != MODE_CLIENT || trailer.macLength != 0) return NTS_MALFORMED;
  const request = requestNew(packet);
  if (!readFields(packet, trailer.fieldsEnd, request)) {
    requestsTrim();
    return NTS_MALFORMED;
  }
  request.behind = octetsBehind(trailer);
  request.length = length - request.behind;
  request.state = NTS_READ;
  return NTS_TAKEN;
}

function hasNts(packet: usize, trailer: Trailer): bool {
  for (let at = HEADER_LENGTH; at < trailer.fieldsEnd; at += fieldSpan(packet + <usize>at)) {
    const type = fieldType(packet + <usize>at);
    if (type == COOKIE_TYPE || type == PLACEHOLDER_TYPE || type == AUTHENTICATOR_TYPE) return true;
  }
  return false;
}

function readFields(packet: usize, end: i32, request: NtsRequest): bool {
  for (let at = HEADER_LENGTH; at < end; ) {
    if (request.authenticatorAt != 0) return false;
    const field = packet + <usize>at;
    const type = fieldType(field);
    const length = fieldLength(field);
    if (type == UNIQUE_IDENTIFIER_TYPE) {
      if (request.uniqueAt != 0) return false;
      request.uniqueAt = at;
      request.uniqueLength = length;
    } else if (type == COOKIE_TYPE) {
      if (request.cookieAt != 0) return false;
      request.cookieAt = at + FIELD_HEADER;
      request.cookieLength = length - FIELD_HEADER;
    } else if (type == AUTHENTICATOR_TYPE) {
      if (!readAuthenticator(field, authenticator)) return false;
      request.authenticatorAt = at;
    }
    at += fieldSpan(field);
  }
  request.nonce = authenticator.nonce;
  request.nonceLength = authenticator.nonceLength;
  request.sealed = authenticator.sealed;
  request.sealedLength = authenticator.sealedLength;
  const unique = request.uniqueLength >= FIELD_HEADER + UNIQUE_IDENTIFIER_MINIMUM;
  return unique && request.cookieAt != 0 && request.authenticatorAt != 0;
}
