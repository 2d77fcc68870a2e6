// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The Roughtime server (RFC 10049 §5.2, §5.3): up to 64 requests, one tree and one signature for each version, the answers.
 *
 *   1. the host puts requests into the slots     roughtimeTake(slot, length, least)     which version to answer, or 0
 *   2. for each version that was taken           roughtimeSeal(version, MIDP, RADI)     how much of SEALED to sign
 *   3. the host signs and puts the signature     roughtimeAnswer(slot, …)               the answer's length, in the slot
 *
 * A request is answered only if it is well-formed, names this server or none, is long enough, and no shorter than its
 * answer. An odd node is paired with itself, so that INDX is the leaf's place. Tested in roughtime.test.ts.
 */

import { SLOT_COUNT, SLOT_SIZE, packetAt } from "./slots";
import { leafHash, nodeHash } from "../proto/roughtime-merkle";
import { OFFERS_1, OFFERS_DRAFT, RoughtimeRequest, readRequest } from "../proto/roughtime-request";
import {
  FRAME_LENGTH, HASH_LENGTH, SIGNATURE_LENGTH, TAG_CERT, TAG_DELE, TAG_INDX, TAG_MAXT, TAG_MIDP, TAG_MINT, TAG_NONC, TAG_PATH, TAG_PUBK, TAG_RADI,
  TAG_ROOT, TAG_SIG, TAG_SREP, TAG_TYPE, TAG_VER, TAG_VERS, VERSION_1, VERSION_DRAFT, putTag, startMessage, startPacket,
} from "../proto/roughtime";

/** Header of three tags, PUBK, MINT, MAXT. */
const DELEGATION_LENGTH: i32 = 24 + HASH_LENGTH + 8 + 8;
/** Header of two tags, SIG, DELE. */
const CERTIFICATE_LENGTH: i32 = 16 + SIGNATURE_LENGTH + DELEGATION_LENGTH;
/** Header of five tags, VER, RADI, MIDP, VERS, ROOT. */
const SREP_LENGTH: i32 = 40 + 4 + 4 + 8 + 8 + HASH_LENGTH;

/** What a slot's request was. */
@unmanaged
class Taken {
  nonce0: u64;
  nonce1: u64;
  nonce2: u64;
  nonce3: u64;
  /** 0: not to be answered. */
  version: u32;
  typed: i32;
  length: i32;
  leaf: i32;
}

const taken: usize = memory.data(SLOT_COUNT * offsetof<Taken>(), 8);
const request = changetype<RoughtimeRequest>(memory.data(offsetof<RoughtimeRequest>(), 8));
/** All levels, leaves first; an odd level has its last node twice. */
const tree: usize = memory.data(HASH_LENGTH * (2 * SLOT_COUNT + 8), 8);
let leaves: i32 = 0;

const identity: usize = memory.data(HASH_LENGTH, 8);
const certificate: usize = memory.data(CERTIFICATE_LENGTH, 8);
const sealed: usize = memory.data(SREP_LENGTH, 8);
const signature: usize = memory.data(SIGNATURE_LENGTH, 8);

/** Where the host puts the server's identity (SRV), its certificate (CERT) and each signature, and finds what to sign. */
export function roughtimeIdentity(): usize { return identity; }
export function roughtimeCertificate(): usize { return certificate; }
export function roughtimeSealed(): usize { return sealed; }
export function roughtimeSignature(): usize { return signature; }

function slotTaken(slot: i32): Taken {
  return changetype<Taken>(taken + <usize>slot * offsetof<Taken>());
}

/** Write a DELE value at `out`, for the public key at `key` in Unix seconds; returns its length. */
export function roughtimeDelegationWrite(out: usize, key: usize, notBefore: u64, notAfter: u64): i32 {
  startMessage(out, 3);
  memory.copy(putTag(TAG_PUBK, HASH_LENGTH), key, HASH_LENGTH);
  store<u64>(putTag(TAG_MINT, 8), notBefore);
  store<u64>(putTag(TAG_MAXT, 8), notAfter);
  return DELEGATION_LENGTH;
}

/** Write a CERT value at `out` of the DELE at `delegation` and the signature at `seal`; returns its length. */
export function roughtimeCertificateWrite(out: usize, delegation: usize, seal: usize): i32 {
  startMessage(out, 2);
  memory.copy(putTag(TAG_SIG, SIGNATURE_LENGTH), seal, SIGNATURE_LENGTH);
  memory.copy(putTag(TAG_DELE, DELEGATION_LENGTH), delegation, DELEGATION_LENGTH);
  return CERTIFICATE_LENGTH;
}

/**
 * Look at the request of `length` octets in a slot. Returns the version to answer it in, or 0 when it gets no answer.
 * `least`: octets of message that it must have.
 */
export function roughtimeTake(slot: i32, length: i32, least: i32): u32 {
  if (<u32>slot >= <u32>SLOT_COUNT) return 0;
  const entry = slotTaken(slot);
  entry.version = 0;
  if (length < 0 || length > SLOT_SIZE || length - FRAME_LENGTH < least) return 0;
  if (!readRequest(packetAt(slot), length, request)) return 0;
  if (request.server != 0 && memory.compare(request.server, identity, HASH_LENGTH) != 0) return 0;
  entry.version = request.offers & OFFERS_1 ? VERSION_1 : request.offers & OFFERS_DRAFT ? VERSION_DRAFT : 0;
  entry.typed = request.typed;
  entry.length = length;
  memory.copy(changetype<usize>(entry), request.nonce, HASH_LENGTH);
  return entry.version;
}

/** Forget the request in a slot. */
export function roughtimeDrop(slot: i32): void {
  if (<u32>slot < <u32>SLOT_COUNT) slotTaken(slot).version = 0;
}

/** Build the tree of all requests of a version and write what it says into SEALED; returns its length, 0 without requests. */
export function roughtimeSeal(version: u32, midpoint: u64, radius: u32): i32 {
  leaves = 0;
  for (let slot: i32 = 0; slot < SLOT_COUNT; slot++) {
    const entry = slotTaken(slot);
    if (entry.version != version) continue;
    leafHash(packetAt(slot), entry.length, tree + <usize>(leaves * HASH_LENGTH));
    entry.leaf = leaves;
    leaves += 1;
  }
  if (leaves == 0 || version == 0) return 0;
  startMessage(sealed, 5);
  store<u32>(putTag(TAG_VER, 4), version);
  store<u32>(putTag(TAG_RADI, 4), radius);
  store<u64>(putTag(TAG_MIDP, 8), midpoint);
  const versions = putTag(TAG_VERS, 8);
  store<u32>(versions, VERSION_1);
  store<u32>(versions, VERSION_DRAFT, 4);
  memory.copy(putTag(TAG_ROOT, HASH_LENGTH), growTree(), HASH_LENGTH);
  return SREP_LENGTH;
}

/** Hash level upon level; returns the root. */
function growTree(): usize {
  let level = tree;
  let count = leaves;
  while (count > 1) {
    if (count & 1) {
      memory.copy(level + <usize>(count * HASH_LENGTH), level + <usize>((count - 1) * HASH_LENGTH), HASH_LENGTH);
      count += 1;
    }
    const next = level + <usize>(count * HASH_LENGTH);
    for (let i: i32 = 0; i < count >> 1; i++) {
      const left = level + <usize>(2 * i * HASH_LENGTH);
      nodeHash(left, left + HASH_LENGTH, next + <usize>(i * HASH_LENGTH));
    }
    level = next;
    count >>= 1;
  }
  return level;
}

/** Octets of a path in the tree that was built last. */
function pathLength(): i32 {
  return leaves <= 1 ? 0 : (32 - <i32>clz<u32>(<u32>(leaves - 1))) * HASH_LENGTH;
}

/** Write the path of a leaf at `out`. */
function writePath(leaf: i32, out: usize): void {
  let level = tree;
  let count = leaves;
  while (count > 1) {
    memory.copy(out, level + <usize>((leaf ^ 1) * HASH_LENGTH), HASH_LENGTH);
    out += HASH_LENGTH;
    count += count & 1;
    level += <usize>(count * HASH_LENGTH);
    count >>= 1;
    leaf >>= 1;
  }
}

/** Write the answer over the request in a slot, with SEALED, the signature and the certificate. Returns its length, or 0. */
export function roughtimeAnswer(slot: i32, version: u32): i32 {
  if (<u32>slot >= <u32>SLOT_COUNT) return 0;
  const entry = slotTaken(slot);
  if (version == 0 || entry.version != version) return 0;
  entry.version = 0;
  const tags: i32 = entry.typed ? 7 : 6;
  const path = pathLength();
  const length = (tags << 3) + SIGNATURE_LENGTH + HASH_LENGTH + (entry.typed ? 4 : 0) + path + SREP_LENGTH + CERTIFICATE_LENGTH + 4;
  // MUST NOT answer with more than was asked with (§9.7).
  if (FRAME_LENGTH + length > entry.length) return 0;
  startMessage(startPacket(packetAt(slot), length), tags);
  memory.copy(putTag(TAG_SIG, SIGNATURE_LENGTH), signature, SIGNATURE_LENGTH);
  memory.copy(putTag(TAG_NONC, HASH_LENGTH), changetype<usize>(entry), HASH_LENGTH);
  if (entry.typed) store<u32>(putTag(TAG_TYPE, 4), 1);
  writePath(entry.leaf, putTag(TAG_PATH, path));
  memory.copy(putTag(TAG_SREP, SREP_LENGTH), sealed, SREP_LENGTH);
  memory.copy(putTag(TAG_CERT, CERTIFICATE_LENGTH), certificate, CERTIFICATE_LENGTH);
  store<u32>(putTag(TAG_INDX, 4), entry.leaf);
  return FRAME_LENGTH + length;
}
