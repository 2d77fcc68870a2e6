// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * How programs on one machine hand each other time: NTP's shared memory, and chrony's SOCK datagrams. Little-endian, 64 bit.
 *
 *   struct shmTime (ntpd's refclock 28), 96 octets            struct sock_sample (chrony's refclock_sock.c), 40 octets
 *    0 i32 mode                                                 0 i64 seconds   \ our clock when
 *    4 i32 count, raised before and after a writing (mode 1)    8 i64 µs        / the sample was taken
 *    8 i64 seconds, 16 i32 µs     the reference's time         16 f64 offset: how far the reference is ahead, s
 *   24 i64 seconds, 32 i32 µs     our clock's then             24 i32 pulse: of the offset only the part below a second counts
 *   36 i32 leap   40 i32 precision   44 i32 samples            28 i32 leap   32 i32 –   36 i32 0x534f434b
 *   48 i32 valid
 *   52 u32 ns, 56 u32 ns          finer than the µs, if they fit
 *
 * Refuses what does not fit: another length or magic, times that are no times. Tested in
 * tests/native/device-layout.test.ts, against gpsd and chronyd in tests/interop/refclock.test.ts.
 *
 * @module
 */

import type { ForeignSample } from "./devices.ts";

export const SHARED_MEMORY_OCTETS = 96;
export const SOCK_OCTETS = 40;
const SOCK_MAGIC = 0x534f434b;

const NS_PER_SECOND = 1_000_000_000n;
/** Beyond this many seconds a time is none: the year 2261, where ns in 64 bits end. */
const LAST_SECOND = 9_200_000_000n;
/** An offset that a double still tells to 0.1 µs, s: 30 years. */
const LARGEST_OFFSET = 1e9;

/** ns since 1970, or undefined for what is no time. */
function timeNs(seconds: bigint, nanoseconds: number): bigint | undefined {
  if (seconds < 0n || seconds > LAST_SECOND || !(nanoseconds >= 0 && nanoseconds < 1e9)) return undefined;
  return seconds * NS_PER_SECOND + BigInt(nanoseconds);
}

function leapOf(leap: number): 0 | 1 | 2 | 3 {
  // Whatever else stands there, nobody vouches for it.
  return leap === 0 || leap === 1 || leap === 2 ? leap : 3;
}

/** ns where they are the finer part of the µs; old writers leave the field alone. */
function finer(microseconds: number, nanoseconds: number): number {
  return Math.floor(nanoseconds / 1000) === microseconds ? nanoseconds : microseconds * 1000;
}

/** One reading of the segment, or why it is none. `again`: it was being written (mode 1). */
export function readSharedMemory(view: DataView): ForeignSample | "none" | "again" | "bad" {
  const mode = view.getInt32(0, true);
  if (view.getInt32(48, true) === 0) return "none";
  if (mode !== 0 && mode !== 1) return "bad";
  const reference = timeNs(view.getBigInt64(8, true), finer(view.getInt32(16, true), view.getUint32(52, true)));
  const received = timeNs(view.getBigInt64(24, true), finer(view.getInt32(32, true), view.getUint32(56, true)));
  if (reference === undefined || received === undefined) return "bad";
  return { timeNs: reference, receivedNs: received, leap: leapOf(view.getInt32(36, true)), precision: view.getInt32(40, true), pulse: false };
}

/** Write a sample as a mode-1 writer does; the caller raises `count` before and after. */
export function writeSharedMemory(view: DataView, { timeNs: reference, receivedNs, leap, precision }: ForeignSample): void {
  const put = (at: number, finerAt: number, ns: bigint) => {
    view.setBigInt64(at, ns / NS_PER_SECOND, true);
    view.setInt32(at + 8, Number(ns % NS_PER_SECOND) / 1000, true);
    view.setUint32(finerAt, Number(ns % NS_PER_SECOND), true);
  };
  view.setInt32(0, 1, true);
  put(8, 52, reference);
  put(24, 56, receivedNs);
  view.setInt32(36, leap, true);
  view.setInt32(40, precision, true);
  view.setInt32(48, 1, true);
}

/** A datagram of chrony's; undefined for what is none. */
export function readSock(data: Uint8Array): ForeignSample | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length !== SOCK_OCTETS || view.getInt32(36, true) !== SOCK_MAGIC) return undefined;
  const microseconds = Number(view.getBigInt64(8, true));
  const received = timeNs(view.getBigInt64(0, true), microseconds * 1000);
  const offset = view.getFloat64(16, true);
  if (received === undefined || !(Math.abs(offset) <= LARGEST_OFFSET)) return undefined;
  const pulse = view.getInt32(24, true) !== 0;
  return { timeNs: received + BigInt(Math.round(offset * 1e9)), receivedNs: received, leap: leapOf(view.getInt32(28, true)), precision: -20, pulse };
}

/** A datagram for chrony. Its moment is told in µs; the offset, which holds as well a µs earlier, in full. */
export function writeSock({ timeNs: reference, receivedNs, leap, pulse }: ForeignSample): Uint8Array {
  const view = new DataView(new ArrayBuffer(SOCK_OCTETS));
  view.setBigInt64(0, receivedNs / NS_PER_SECOND, true);
  view.setBigInt64(8, (receivedNs % NS_PER_SECOND) / 1000n, true);
  view.setFloat64(16, Number(reference - receivedNs) / 1e9, true);
  view.setInt32(24, pulse ? 1 : 0, true);
  view.setInt32(28, leap, true);
  view.setInt32(36, SOCK_MAGIC, true);
  return new Uint8Array(view.buffer);
}
