// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chrony's experimental field 0xF323: root delay and dispersion 4096 times finer than the header's, and the receive time
 * on a clock that never steps. NTPv5 took the idea over; chrony 4.2 and later speak it with `extfield F323`.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * 0 |          0xF323               |             28                |
 * 4 |                      Magic 0xF5BEDD9A                         |
 * 8 |                   Root delay (4.28 s)                         |
 * 12|                Root dispersion (4.28 s)                       |
 * 16|              Monotonic receive timestamp                 (64) |
 * 24|                     Monotonic epoch                           |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * In a request all behind the magic is zero. Tested live against chronyd in tests/interop.
 * Tested in assembly/association/exchange.test.ts and tests/fuzz/packets.test.ts.
 */

import { FIELD_HEADER, writeField } from "./extension";
import { read32, read64, write32, write64 } from "./header";
import { register } from "./registry";
import { Interval, Timestamp } from "./timestamp";

export const MONO_ROOT_TYPE: i32 = 0xf323;
const MONO_ROOT_MAGIC: u32 = 0xf5bedd9a;
const VALUE_LENGTH: i32 = 24;
export const MONO_ROOT_LENGTH: i32 = FIELD_HEADER + VALUE_LENGTH;

/** What a field said, or what the server is to say. */
@unmanaged
export class MonoRoot {
  /** 1 once a well-formed field was read. */
  present: i32;
  epoch: u32;
  rootDelay: Interval;
  rootDispersion: Interval;
  receive: Timestamp;
}

/** The field of the reply being read. */
export const replyMonoRoot: MonoRoot = changetype<MonoRoot>(memory.data(offsetof<MonoRoot>(), 8));
/** What the server says of itself. */
export const serverMonoRoot: MonoRoot = changetype<MonoRoot>(memory.data(offsetof<MonoRoot>(), 8));

/** 4.28 seconds from an interval, rounded up as dispersion must not shrink; saturates at 16 s. */
function write428(at: usize, interval: Interval): void {
  if (interval < 0) interval = 0;
  write32(at, interval >= 0xffffffff0 ? u32.MAX_VALUE : <u32>((interval + 15) >> 4));
}

function isMonoRoot(field: usize, length: i32): bool {
  return length == MONO_ROOT_LENGTH && read32(field + FIELD_HEADER) == MONO_ROOT_MAGIC;
}

/** Append the client's field. Returns its length. */
export function writeMonoRootRequest(out: usize): i32 {
  const length = writeField(out, MONO_ROOT_TYPE, VALUE_LENGTH, true);
  write32(out + 4, MONO_ROOT_MAGIC);
  return length;
}

function answer(field: usize, length: i32, out: usize): i32 {
  if (!isMonoRoot(field, length)) return 0;
  writeField(out, MONO_ROOT_TYPE, VALUE_LENGTH, true);
  write32(out + 4, MONO_ROOT_MAGIC);
  write428(out + 8, serverMonoRoot.rootDelay);
  write428(out + 12, serverMonoRoot.rootDispersion);
  write64(out + 16, serverMonoRoot.receive);
  write32(out + 24, serverMonoRoot.epoch);
  return MONO_ROOT_LENGTH;
}

/** Another program may use the type for something else; what does not look like ours is passed over, not refused. */
function accept(field: usize, length: i32, _out: usize): i32 {
  if (!isMonoRoot(field, length)) return 1;
  replyMonoRoot.present = 1;
  replyMonoRoot.rootDelay = <i64>read32(field + 8) << 4;
  replyMonoRoot.rootDispersion = <i64>read32(field + 12) << 4;
  replyMonoRoot.receive = read64(field + 16);
  replyMonoRoot.epoch = read32(field + 24);
  return 1;
}

if (!isDefined(PLAIN)) register(MONO_ROOT_TYPE, answer, accept);
