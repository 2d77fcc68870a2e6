// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Roughtime's Merkle tree (RFC 10049 §5.3): H is the first 32 octets of SHA-512.
 *
 *   leaf = H(0x00 || request packet)      node = H(0x01 || left || right)      SRV = H(0xff || long-term key)
 *
 * Tested in roughtime-response.test.ts and assembly/server/roughtime.test.ts.
 */

import { SHA512_LENGTH, sha512Finish, sha512Start, sha512Update } from "../crypto/sha512";
import { HASH_LENGTH } from "./roughtime";

/** §5.2.4: hashes in a path. */
const HIGHEST: i32 = 32;

@lazy const LEAF: usize = memory.data<u8>([0x00]);
@lazy const NODE: usize = memory.data<u8>([0x01]);
@lazy const SERVER: usize = memory.data<u8>([0xff]);
const digest: usize = memory.data(SHA512_LENGTH, 8);

/** H(prefix || one || other) at `out`, which may be one of them. */
function hash(prefix: usize, one: usize, oneLength: i32, other: usize, otherLength: i32, out: usize): void {
  sha512Start();
  if (prefix != 0) sha512Update(prefix, 1);
  sha512Update(one, oneLength);
  if (otherLength > 0) sha512Update(other, otherLength);
  sha512Finish(digest);
  memory.copy(out, digest, HASH_LENGTH);
}

export function leafHash(packet: usize, length: i32, out: usize): void {
  hash(LEAF, packet, length, 0, 0, out);
}

export function nodeHash(left: usize, right: usize, out: usize): void {
  hash(NODE, left, HASH_LENGTH, right, HASH_LENGTH, out);
}

/** What a request calls a server by: 32 octets at `out` for the public key at `key`. */
export function roughtimeServerId(key: usize, out: usize): void {
  hash(SERVER, key, HASH_LENGTH, 0, 0, out);
}

/** The nonce that follows a response: H(response packet || rand) (§8.2). */
export function roughtimeNextNonce(response: usize, length: i32, rand: usize, out: usize): void {
  hash(0, response, length, rand, HASH_LENGTH, out);
}

/** Whether `length` octets can be a path. */
export function pathInOrder(length: i32): bool {
  return (length & (HASH_LENGTH - 1)) == 0 && length <= HIGHEST * HASH_LENGTH;
}

/** Climb from the leaf at `out`, which becomes the root. Returns what is left of the index: it MUST be 0 (§5.3.1). */
export function climb(path: usize, length: i32, index: u32, out: usize): u32 {
  // A shift by 32 would be one by 0, so the index is wider than its 32 bits.
  let bits = <u64>index;
  for (let at: i32 = 0; at < length; at += HASH_LENGTH) {
    const sibling = path + <usize>at;
    if (bits & 1) nodeHash(sibling, out, out);
    else nodeHash(out, sibling, out);
    bits >>= 1;
  }
  return <u32>bits;
}
