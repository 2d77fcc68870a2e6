// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Roughtime request (RFC 10049 §5.1), written and read.
 *
 *   VER   the versions we speak, ascending
 *   SRV   H(0xff || long-term key): whose answer is wanted (read: optional)
 *   NONC  32 octets
 *   TYPE  0 (drafts 12 and 13: absent)
 *   ZZZZ  zeros, so that the message has 1024 octets and no answer is larger than it
 *
 * Whether a request is answered is server/roughtime.ts' business. Tested in roughtime.test.ts.
 */

import {
  FRAME_LENGTH, HASH_LENGTH, TAG_NONC, TAG_SRV, TAG_TYPE, TAG_VER, TAG_ZZZZ, VERSION_1, VERSION_DRAFT, packetWellFormed, putTag, startMessage,
  startPacket, valueLength, findValue, versionListed, versionsInOrder,
} from "./roughtime";

/** §5.1: shorter ones need not be answered. */
export const REQUEST_MESSAGE_LENGTH: i32 = 1024;
/** Header of five tags, two versions, SRV, NONC, TYPE. */
const ZEROS: i32 = REQUEST_MESSAGE_LENGTH - 40 - 8 - HASH_LENGTH - HASH_LENGTH - 4;

export const OFFERS_1: i32 = 1;
export const OFFERS_DRAFT: i32 = 2;

/** What a server or a judge needs of a request. Addresses, not offsets. */
@unmanaged
export class RoughtimeRequest {
  nonce: usize;
  /** 0 when it names no server. */
  server: usize;
  versions: usize;
  versionsLength: i32;
  /** Of OFFERS_1 and OFFERS_DRAFT. */
  offers: i32;
  /** 1 when it has a TYPE. */
  typed: i32;
}

/**
 * Write a request; returns its length. `versions` is OFFERS_1, OFFERS_DRAFT or both, `server` and `nonce` are the addresses
 * of 32 octets each.
 */
export function roughtimeRequestWrite(packet: usize, versions: i32, server: usize, nonce: usize): i32 {
  const both = versions == (OFFERS_1 | OFFERS_DRAFT);
  const saved = both ? 0 : 4;
  startMessage(startPacket(packet, REQUEST_MESSAGE_LENGTH), 5);
  const list = putTag(TAG_VER, both ? 8 : 4);
  store<u32>(list, versions & OFFERS_1 ? VERSION_1 : VERSION_DRAFT);
  if (both) store<u32>(list, VERSION_DRAFT, 4);
  memory.copy(putTag(TAG_SRV, HASH_LENGTH), server, HASH_LENGTH);
  memory.copy(putTag(TAG_NONC, HASH_LENGTH), nonce, HASH_LENGTH);
  store<u32>(putTag(TAG_TYPE, 4), 0);
  memory.fill(putTag(TAG_ZZZZ, ZEROS + saved), 0, ZEROS + saved);
  return FRAME_LENGTH + REQUEST_MESSAGE_LENGTH;
}

/** Take a request apart. False when it is none that may be answered: malformed, a mandatory tag missing or of wrong length. */
export function readRequest(packet: usize, length: i32, request: RoughtimeRequest): bool {
  if (!packetWellFormed(packet, length)) return false;
  const message = packet + FRAME_LENGTH;
  const octets = length - FRAME_LENGTH;
  request.versions = findValue(message, octets, TAG_VER);
  request.versionsLength = valueLength();
  if (request.versions == 0 || !versionsInOrder(request.versions, request.versionsLength)) return false;
  request.nonce = findValue(message, octets, TAG_NONC);
  if (request.nonce == 0 || valueLength() != HASH_LENGTH) return false;
  request.server = findValue(message, octets, TAG_SRV);
  if (request.server != 0 && valueLength() != HASH_LENGTH) return false;
  const type = findValue(message, octets, TAG_TYPE);
  if (type != 0 && (valueLength() != 4 || load<u32>(type) != 0)) return false;
  request.typed = type != 0 ? 1 : 0;
  // Only the drafts do without a TYPE.
  request.offers = (type != 0 && versionListed(request.versions, request.versionsLength, VERSION_1) ? OFFERS_1 : 0)
    | (versionListed(request.versions, request.versionsLength, VERSION_DRAFT) ? OFFERS_DRAFT : 0);
  return true;
}

const looked = changetype<RoughtimeRequest>(memory.data(offsetof<RoughtimeRequest>(), 8));

/** Where a request's nonce begins, from its first octet; -1 when it is no request. */
export function roughtimeRequestNonce(packet: usize, length: i32): i32 {
  return readRequest(packet, length, looked) ? <i32>(looked.nonce - packet) : -1;
}
