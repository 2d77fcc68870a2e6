// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The table of clients: one record for an address (IPv4 /32, IPv6 /64) or a prefix (IPv4 /24, IPv6 /48), for the client log and
 * for the rate limits, so that a packet costs one look-up.
 *
 *   set     8 tags, 8 times          one cache line: found or not, and who is the oldest, without touching a record
 *   record  64 octets                one cache line
 *
 * A client belongs to one set of eight, chosen by a keyed hash; a new one takes an empty place or that of the client of the
 * set not heard of for longest. So both memory and work are bounded whatever addresses come, and nobody without the key can aim
 * at the set of somebody else. Nothing is kept unless a feature that needs it is on: gate.ts asks only then.
 *
 * Times are on the clock that does not step, as far as the host keeps one (Server.monoOffset). Tested in clients.test.ts.
 */

import { hashWords } from "../crypto/siphash";
import { counters } from "./counters";
import { Timestamp } from "../proto/timestamp";

/** 2^13 sets of 8: 65,536 records, 4.5 MiB. MUST be a power of two. */
const SETS: i32 = 8192;
const WAYS: i32 = 8;
export const CLIENTS_MAXIMUM: i32 = SETS * WAYS;
const SET_SIZE: usize = 64;
const AT_TIMES: usize = 32;
const RECORD_SIZE: usize = 64;

/** What a record stands for. */
export const KIND_ADDRESS: i32 = 0;
export const KIND_PREFIX: i32 = 1;

/** Hosts read it through the exported CLIENT_* offsets. */
@unmanaged
export class Client {
  high: u64;
  low: u64;
  /** When its bucket is full again (ratelimit.ts). */
  full: Timestamp;
  /** When it may be kissed again. */
  kissable: Timestamp;
  /** When it was last heard of. */
  last: Timestamp;
  requests: u32;
  /** Of those, not answered with time for the rate limit. */
  dropped: u32;
  /** Of those, with a good MAC or good NTS. */
  authenticated: u32;
  interleaved: u32;
  /** Mean of log2 of the seconds between requests, in 1/256; meaningless before the second. */
  interval: i16;
  kind: u8;
}

const sets: usize = memory.data(SETS * 64, 64);
const records: usize = memory.data(SETS * WAYS * 64, 64);

function recordAt(index: i32): Client {
  return changetype<Client>(records + <usize>index * RECORD_SIZE);
}

/** The first eight octets of an address without what is beyond its /64 or, for a prefix, its /48; IPv4's are all in `low`. */
function keyHigh(high: u64, low: u64, kind: i32): u64 {
  return isIPv4(high, low) || kind == KIND_ADDRESS ? high : high & 0xffff_ffff_ffff_0000;
}

function keyLow(high: u64, low: u64, kind: i32): u64 {
  if (!isIPv4(high, low)) return 0;
  return kind == KIND_ADDRESS ? low : low & ~(<u64>0xff);
}

export function isIPv4(high: u64, low: u64): bool {
  return high == 0 && low >>> 32 == 0xffff;
}

/** The hash of an address or prefix, never 0. The kind goes in, lest 192.0.2.0 and 192.0.2.0/24 be one. */
export function clientHash(high: u64, low: u64, kind: i32): u64 {
  return hashWords(keyHigh(high, low, kind), keyLow(high, low, kind) ^ (<u64>kind << 63)) | <u64>1 << 32;
}

/** Read what a look-up of this hash will read first, so that it is near by then. The result means nothing, but MUST be used. */
export function clientTouch(hash: u64): u32 {
  const set = <i32>(<u32>hash & (SETS - 1));
  const tag = <u32>(hash >>> 32);
  const line = sets + <usize>set * SET_SIZE;
  for (let way = 0; way < WAYS; way++) {
    if (load<u32>(line + (<usize>way << 2)) == tag) return load<u32>(changetype<usize>(recordAt(set * WAYS + way)));
  }
  return 0;
}

/** The record of who sent from this address `now`, found or made, but not in place of `keep` (0: any). Never fails. */
export function clientOf(high: u64, low: u64, kind: i32, hash: u64, now: Timestamp, keep: usize): Client {
  const first = keyHigh(high, low, kind);
  const second = keyLow(high, low, kind);
  const set = <i32>(<u32>hash & (SETS - 1));
  const line = sets + <usize>set * SET_SIZE;
  const tag = <u32>(hash >>> 32);
  for (let way = 0; way < WAYS; way++) {
    if (load<u32>(line + (<usize>way << 2)) != tag) continue;
    const record = recordAt(set * WAYS + way);
    if (record.high != first || record.low != second || <i32>record.kind != kind) continue;
    store<u32>(line + (<usize>way << 2), <u32>(now >>> 32), AT_TIMES);
    return record;
  }
  const way = oldestOf(line, <u32>(now >>> 32), wayOf(keep, set));
  if (load<u32>(line + (<usize>way << 2)) != 0) counters.evicted += 1;
  store<u32>(line + (<usize>way << 2), tag);
  store<u32>(line + (<usize>way << 2), <u32>(now >>> 32), AT_TIMES);
  const record = recordAt(set * WAYS + way);
  memory.fill(changetype<usize>(record), 0, RECORD_SIZE);
  record.high = first;
  record.low = second;
  record.kind = <u8>kind;
  // A new client's bucket is full: its first packet MUST pass.
  record.full = now;
  record.kissable = now;
  record.last = now;
  return record;
}

/** Which place of the set a record has; -1 when it is none of its. */
function wayOf(record: usize, set: i32): i32 {
  const index = <i32>((record - records) / RECORD_SIZE) - set * WAYS;
  return record != 0 && index >= 0 && index < WAYS ? index : -1;
}

/** An empty place of the set, or that of the client not heard of for longest, except `keep`. */
function oldestOf(line: usize, second: u32, keep: i32): i32 {
  let oldest = keep == 0 ? 1 : 0;
  let most: u32 = 0;
  for (let way = 0; way < WAYS; way++) {
    const at = line + (<usize>way << 2);
    if (load<u32>(at) == 0) return way;
    // Unsigned, so that times of a clock that was set back since are the oldest of all.
    const age = second - load<u32>(at, AT_TIMES);
    if (age >= most && way != keep) {
      most = age;
      oldest = way;
    }
  }
  return oldest;
}

/** A new interval's share of the mean: 1/8. */
const MEAN_SHIFT: i32 = 3;

/** Log a request of the client at `now`. */
export function clientHeard(client: Client, now: Timestamp): void {
  if (client.requests > 0) {
    const value = logOf(<i64>(now - client.last));
    const mean = <i32>client.interval;
    client.interval = <i16>(client.requests == 1 ? value : mean + ((value - mean) >> MEAN_SHIFT));
  }
  client.last = now;
  client.requests = client.requests == u32.MAX_VALUE ? client.requests : client.requests + 1;
}

/** log2 of an interval in seconds, in 1/256, the mantissa taken as its own logarithm: within 0.09. */
function logOf(interval: i64): i32 {
  if (interval <= 0) return -32 * 256;
  const zeros = <i32>clz<u64>(<u64>interval);
  const mantissa = <i32>((<u64>interval << zeros) >>> 55) & 0xff;
  return (31 - zeros) * 256 + mantissa;
}

/** The first record of a client, not of a prefix, with an index of `from` or above; -1 when there is none. For snapshots. */
export function clientNext(from: i32): i32 {
  for (let index = max(from, 0); index < CLIENTS_MAXIMUM; index++) {
    const set = index / WAYS;
    const tag = load<u32>(sets + <usize>set * SET_SIZE + (<usize>(index & (WAYS - 1)) << 2));
    if (tag != 0 && <i32>recordAt(index).kind == KIND_ADDRESS) return index;
  }
  return -1;
}

/** Where the record with this index lies. */
export function clientOut(index: i32): usize {
  return changetype<usize>(recordAt(index & (CLIENTS_MAXIMUM - 1)));
}

/** Forget all clients; when the features that need them are switched off. */
export function clientsForget(): void {
  memory.fill(sets, 0, <usize>SETS * SET_SIZE);
}
