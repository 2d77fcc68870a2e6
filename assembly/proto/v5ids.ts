// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reference identifiers of NTPv5: who a server's time comes from, all the way up, as a Bloom filter of 4096 bits.
 *
 * An identifier is 120 bits, ten numbers of 12 bits, each the place of one bit. A server's filter is its own identifier together
 * with the filters of the sources it follows. A client that finds all ten of its own bits in a server's filter would follow
 * itself. By chance that happens to one in 10^12 with 26 servers on the way, to one in 10^6 with 118.
 *
 *   bit n   octet n / 8, 1 << n % 8    as ntpd-rs has it; the draft does not say, and a random identifier need not know
 *
 * Ours is random, its ten numbers distinct. A server that speaks older versions has the first 120 bits of its address's MD5.
 * Tested in v5ids.test.ts.
 */

import { md5Finish, md5Start, md5Update } from "../crypto/md5";

export const FILTER_OCTETS: i32 = 512;
/** Numbers of one identifier, and their octets in memory. */
const PLACES: i32 = 10;
export const ID_SIZE: i32 = 20;
const PLACE_MASK: u32 = 0xfff;
/** Random octets that {@link referenceIdChoose} takes: more than enough to find ten distinct numbers. */
export const ID_RANDOM: i32 = 64;

const own: usize = memory.data(20, 8);
/** What a server tells: hosts may write here what another instance has found. */
export const referenceIds: usize = memory.data(512, 8);
const digest: usize = memory.data(16, 8);

function placeAt(id: usize, index: i32): u32 {
  return <u32>load<u16>(id + (<usize>index << 1)) & PLACE_MASK;
}

function has(id: usize, count: i32, place: u32): bool {
  for (let i = 0; i < count; i++) if (placeAt(id, i) == place) return true;
  return false;
}

/** Choose our own identifier from 64 random octets, which are then wiped, and tell it and nothing else. */
export function referenceIdChoose(random: usize): void {
  for (let i = 0; i < PLACES; i++) {
    let place = <u32>0;
    for (let draw = i; draw < 32; draw += PLACES) {
      place = <u32>load<u16>(random + (<usize>draw << 1)) & PLACE_MASK;
      if (!has(own, i, place)) break;
    }
    // Whatever the octets are, the numbers are distinct.
    while (has(own, i, place)) place = (place + 1) & PLACE_MASK;
    store<u16>(own + (<usize>i << 1), <u16>place);
  }
  memory.fill(random, 0, ID_RANDOM);
  referenceIdsReset();
}

/** Tell our own identifier alone. */
export function referenceIdsReset(): void {
  memory.fill(referenceIds, 0, FILTER_OCTETS);
  filterAdd(referenceIds, own);
}

/** The identifier of a server at the address of 4 or 16 octets, into `id`. */
export function idOfAddress(address: usize, length: i32, id: usize): void {
  md5Start();
  md5Update(address, length);
  md5Finish(digest);
  // Three octets are two numbers, most significant first.
  for (let pair = 0; pair < PLACES / 2; pair++) {
    const at = digest + <usize>(pair * 3);
    const bits = (<u32>load<u8>(at) << 16) | (<u32>load<u8>(at, 1) << 8) | <u32>load<u8>(at, 2);
    store<u16>(id + (<usize>pair << 2), <u16>(bits >> 12));
    store<u16>(id + (<usize>pair << 2), <u16>(bits & PLACE_MASK), 2);
  }
}

/** Put an identifier into a filter. */
export function filterAdd(filter: usize, id: usize): void {
  for (let i = 0; i < PLACES; i++) {
    const place = placeAt(id, i);
    const octet = filter + <usize>(place >> 3);
    store<u8>(octet, <u8>(<u32>load<u8>(octet) | (<u32>1 << (place & 7))));
  }
}

/** Whether a filter holds our own identifier, or seems to. */
export function filterHoldsUs(filter: usize): bool {
  for (let i = 0; i < PLACES; i++) {
    const place = placeAt(own, i);
    if ((<u32>load<u8>(filter + <usize>(place >> 3)) & (<u32>1 << (place & 7))) == 0) return false;
  }
  return true;
}

/** Put all of one filter into another. */
export function filterJoin(filter: usize, other: usize): void {
  for (let i: usize = 0; i < <usize>FILTER_OCTETS; i += 8) store<u64>(filter + i, load<u64>(filter + i) | load<u64>(other + i));
}
