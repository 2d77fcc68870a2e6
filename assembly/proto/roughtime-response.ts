// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A Roughtime response (RFC 10049 §5.2), judged against the request that it answers.
 *
 *   SIG                       over SREP, by PUBK
 *   NONC                      the request's
 *   TYPE                      1 (drafts 12 and 13: absent)
 *   PATH, INDX                from the request's leaf up to ROOT
 *   SREP  VER RADI MIDP VERS ROOT
 *   CERT  SIG                 over DELE, by the server's long-term key
 *         DELE  PUBK MINT MAXT
 *
 * Everything is checked here but the two signatures: the verdict is only "valid if these two hold", and the host MUST check
 * both before it believes a number (hosts/common/roughtime/response.ts). Tested in roughtime-response.test.ts.
 */

import { climb, leafHash, pathInOrder } from "./roughtime-merkle";
import { RoughtimeRequest, readRequest } from "./roughtime-request";
import {
  FRAME_LENGTH, HASH_LENGTH, SIGNATURE_LENGTH, TAG_CERT, TAG_DELE, TAG_INDX, TAG_MAXT, TAG_MIDP, TAG_MINT, TAG_NONC, TAG_PATH, TAG_PUBK, TAG_RADI,
  TAG_ROOT, TAG_SIG, TAG_SREP, TAG_TYPE, TAG_VER, TAG_VERS, VERSION_1, VERSION_DRAFT, messageWellFormed, packetWellFormed, valueLength, findValue,
  versionListed, versionsInOrder,
} from "./roughtime";

/** Verdicts; hosts/common/roughtime/verdicts.ts has them in words. */
export const VALID_IF_SIGNED: i32 = 0;
const MALFORMED: i32 = 1;
const NO_REQUEST: i32 = 2;
const MISSING: i32 = 3;
const NOT_A_RESPONSE: i32 = 4;
const OTHER_NONCE: i32 = 5;
const OTHER_VERSION: i32 = 6;
const VERSIONS_OUT_OF_ORDER: i32 = 7;
const NO_RADIUS: i32 = 8;
const NOT_DELEGATED: i32 = 9;
const PATH_OUT_OF_ORDER: i32 = 10;
const INDEX_LEFT_OVER: i32 = 11;
const OTHER_ROOT: i32 = 12;

/** What a response says. Offsets count from the packet's first octet. */
@unmanaged
export class RoughtimeResponse {
  /** Unix seconds. */
  midpoint: u64;
  notBefore: u64;
  notAfter: u64;
  /** s */
  radius: u32;
  version: u32;
  index: u32;
  /** The tag that verdict 3 is about. */
  missing: u32;
  /** Hashes in the path. */
  height: i32;
  signed: i32;
  signedLength: i32;
  signature: i32;
  delegation: i32;
  delegationLength: i32;
  delegationSignature: i32;
  onlineKey: i32;
  versions: i32;
  versionCount: i32;
}

const request = changetype<RoughtimeRequest>(memory.data(offsetof<RoughtimeRequest>(), 8));
const root: usize = memory.data(HASH_LENGTH, 8);

let missing: u32 = 0;

/** The value of a tag that must be there with so many octets (any number when negative); else 0, and `missing` says which. */
function need(message: usize, length: i32, tag: u32, octets: i32): usize {
  const value = findValue(message, length, tag);
  if (value != 0 && (octets < 0 || valueLength() == octets)) return value;
  missing = tag;
  return 0;
}

/** Judge a response to a request of ours; both are whole packets. Returns the verdict. */
export function roughtimeResponseRead(packet: usize, length: i32, asked: usize, askedLength: i32, response: RoughtimeResponse): i32 {
  memory.fill(changetype<usize>(response), 0, offsetof<RoughtimeResponse>());
  missing = 0;
  const verdict = judge(packet, length, asked, askedLength, response);
  response.missing = missing;
  return verdict;
}

function judge(packet: usize, length: i32, asked: usize, askedLength: i32, response: RoughtimeResponse): i32 {
  if (!readRequest(asked, askedLength, request)) return NO_REQUEST;
  if (!packetWellFormed(packet, length)) return MALFORMED;
  const message = packet + FRAME_LENGTH;
  const octets = length - FRAME_LENGTH;
  const signature = need(message, octets, TAG_SIG, SIGNATURE_LENGTH);
  if (signature == 0) return MISSING;
  response.signature = <i32>(signature - packet);
  const nonce = need(message, octets, TAG_NONC, HASH_LENGTH);
  if (nonce == 0) return MISSING;
  if (memory.compare(nonce, request.nonce, HASH_LENGTH) != 0) return OTHER_NONCE;
  const signed = need(message, octets, TAG_SREP, -1);
  if (signed == 0) return MISSING;
  response.signed = <i32>(signed - packet);
  response.signedLength = valueLength();
  const told = readSigned(packet, response);
  if (told != VALID_IF_SIGNED) return told;
  const typed = readType(message, octets, response.version);
  if (typed != VALID_IF_SIGNED) return typed;
  const certificate = need(message, octets, TAG_CERT, -1);
  if (certificate == 0) return MISSING;
  const delegated = readCertificate(packet, certificate, valueLength(), response);
  if (delegated != VALID_IF_SIGNED) return delegated;
  return readPath(message, octets, asked, askedLength, response);
}

/** TYPE must be 1, and there; only the drafts may lack it. */
function readType(message: usize, length: i32, version: u32): i32 {
  const type = findValue(message, length, TAG_TYPE);
  if (type == 0) {
    if (version == VERSION_DRAFT) return VALID_IF_SIGNED;
    missing = TAG_TYPE;
    return MISSING;
  }
  return valueLength() == 4 && load<u32>(type) == 1 ? VALID_IF_SIGNED : NOT_A_RESPONSE;
}

function readSigned(packet: usize, response: RoughtimeResponse): i32 {
  const message = packet + <usize>response.signed;
  const length = response.signedLength;
  if (!messageWellFormed(message, length)) return MALFORMED;
  const version = need(message, length, TAG_VER, 4);
  if (version == 0) return MISSING;
  response.version = load<u32>(version);
  const known = response.version == VERSION_1 || response.version == VERSION_DRAFT;
  if (!known || !versionListed(request.versions, request.versionsLength, response.version)) return OTHER_VERSION;
  const versions = need(message, length, TAG_VERS, -1);
  if (versions == 0) return MISSING;
  if (!versionsInOrder(versions, valueLength()) || !versionListed(versions, valueLength(), response.version)) return VERSIONS_OUT_OF_ORDER;
  response.versions = <i32>(versions - packet);
  response.versionCount = valueLength() >> 2;
  const radius = need(message, length, TAG_RADI, 4);
  if (radius == 0) return MISSING;
  response.radius = load<u32>(radius);
  if (response.radius == 0) return NO_RADIUS;
  const midpoint = need(message, length, TAG_MIDP, 8);
  if (midpoint == 0) return MISSING;
  response.midpoint = load<u64>(midpoint);
  return VALID_IF_SIGNED;
}

function readCertificate(packet: usize, certificate: usize, length: i32, response: RoughtimeResponse): i32 {
  if (!messageWellFormed(certificate, length)) return MALFORMED;
  const signature = need(certificate, length, TAG_SIG, SIGNATURE_LENGTH);
  if (signature == 0) return MISSING;
  const delegation = need(certificate, length, TAG_DELE, -1);
  if (delegation == 0) return MISSING;
  const octets = valueLength();
  if (!messageWellFormed(delegation, octets)) return MALFORMED;
  const key = need(delegation, octets, TAG_PUBK, HASH_LENGTH);
  const notBefore = need(delegation, octets, TAG_MINT, 8);
  const notAfter = need(delegation, octets, TAG_MAXT, 8);
  if (key == 0 || notBefore == 0 || notAfter == 0) return MISSING;
  response.delegationSignature = <i32>(signature - packet);
  response.delegation = <i32>(delegation - packet);
  response.delegationLength = octets;
  response.onlineKey = <i32>(key - packet);
  response.notBefore = load<u64>(notBefore);
  response.notAfter = load<u64>(notAfter);
  return response.midpoint >= response.notBefore && response.midpoint <= response.notAfter ? VALID_IF_SIGNED : NOT_DELEGATED;
}

/** Whether the request is a leaf of the tree whose root was signed (§5.3.1). */
function readPath(message: usize, length: i32, asked: usize, askedLength: i32, response: RoughtimeResponse): i32 {
  const index = need(message, length, TAG_INDX, 4);
  if (index == 0) return MISSING;
  response.index = load<u32>(index);
  const path = need(message, length, TAG_PATH, -1);
  if (path == 0) return MISSING;
  const octets = valueLength();
  if (!pathInOrder(octets)) return PATH_OUT_OF_ORDER;
  response.height = octets / HASH_LENGTH;
  leafHash(asked, askedLength, root);
  if (climb(path, octets, response.index, root) != 0) return INDEX_LEFT_OVER;
  const signed = message - FRAME_LENGTH + <usize>response.signed;
  const claimed = need(signed, response.signedLength, TAG_ROOT, HASH_LENGTH);
  if (claimed == 0) return MISSING;
  return memory.compare(claimed, root, HASH_LENGTH) == 0 ? VALID_IF_SIGNED : OTHER_ROOT;
}
