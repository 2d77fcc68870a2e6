// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `struct timex` of 64-bit little-endian Linux, by which clock_adjtime(2) is asked and answers, and its constants.
 *
 *      0 modes    u32   what of this is to be set (ADJ_*)
 *      8 offset   i64   the PLL's remaining offset: ns under STA_NANO, else µs
 *     16 freq     i64   2^-16 ppm
 *     24 maxerror i64   µs
 *     32 esterror i64   µs
 *     40 status   i32   STA_*
 *     48 constant i64   the PLL's time constant, log2 s
 *     56 precision, 64 tolerance
 *     72 time     i64 seconds, at 80 i64 ns under STA_NANO or ADJ_NANO, else µs
 *     88 tick     i64   µs each 1/100 s (USER_HZ): 10000, one more is 100 ppm faster
 *     96 ppsfreq, 104 jitter, 112 shift, 120 stabil, 128 jitcnt, 136 calcnt, 144 errcnt, 152 stbcnt
 *    160 tai      i32   s; then reserved octets up to 208
 *
 * MUST always be passed whole: the kernel copies all 208 octets in and out.
 *
 * Tested by tests/native/steering-timex.test.ts, which compares with the headers of the C library and of the kernel.
 *
 * @module
 */

import type { Ffi } from "./ffi.ts";
import { Block } from "./memory.ts";

export const TIMEX_BYTES = 208;

/** Offsets of the members in use. */
export const TIMEX_OFFSETS = {
  modes: 0,
  offset: 8,
  freq: 16,
  maxerror: 24,
  esterror: 32,
  status: 40,
  constant: 48,
  tv_sec: 72,
  tv_usec: 80,
  tick: 88,
  tai: 160,
} as const;

/** Under their C names. */
export const TIMEX_CONSTANTS = {
  ADJ_OFFSET: 0x0001,
  ADJ_FREQUENCY: 0x0002,
  ADJ_MAXERROR: 0x0004,
  ADJ_ESTERROR: 0x0008,
  ADJ_STATUS: 0x0010,
  ADJ_TIMECONST: 0x0020,
  ADJ_TAI: 0x0080,
  /** Add `time` to the clock. */
  ADJ_SETOFFSET: 0x0100,
  /** Sets STA_NANO, which lasts. */
  ADJ_MICRO: 0x1000,
  ADJ_NANO: 0x2000,
  ADJ_TICK: 0x4000,
  /** adjtime(3): a slew apart from all else. Alone, never with other modes. */
  ADJ_OFFSET_SINGLESHOT: 0x8001,
  ADJ_OFFSET_SS_READ: 0xa001,
  STA_PLL: 0x0001,
  STA_PPSFREQ: 0x0002,
  STA_PPSTIME: 0x0004,
  STA_FLL: 0x0008,
  STA_INS: 0x0010,
  STA_DEL: 0x0020,
  STA_UNSYNC: 0x0040,
  STA_FREQHOLD: 0x0080,
  STA_PPSSIGNAL: 0x0100,
  STA_PPSJITTER: 0x0200,
  STA_PPSWANDER: 0x0400,
  STA_PPSERROR: 0x0800,
  STA_CLOCKERR: 0x1000,
  STA_NANO: 0x2000,
  STA_MODE: 0x4000,
  STA_CLK: 0x8000,
  TIME_OK: 0,
  TIME_INS: 1,
  TIME_DEL: 2,
  TIME_OOP: 3,
  TIME_WAIT: 4,
  TIME_ERROR: 5,
} as const;

/** The members in use. All fit a Number: the kernel bounds each far below 2^53. */
export interface Timex {
  readonly modes: number;
  readonly offset: number;
  readonly freq: number;
  readonly maxerror: number;
  readonly esterror: number;
  readonly status: number;
  readonly constant: number;
  readonly tick: number;
  /** `time.tv_sec` */
  readonly seconds: number;
  /** `time.tv_usec`, which holds nanoseconds under STA_NANO. */
  readonly fraction: number;
  readonly tai: number;
}

/** Memory for one structure. */
export function timexBlock(ffi: Ffi): Block {
  return new Block(ffi, TIMEX_BYTES);
}

/** Read what the kernel has answered. */
export function readTimex({ view }: Pick<Block, "view">): Timex {
  const long = (at: number): number => Number(view.getBigInt64(at, true));
  return {
    modes: view.getUint32(TIMEX_OFFSETS.modes, true),
    offset: long(TIMEX_OFFSETS.offset),
    freq: long(TIMEX_OFFSETS.freq),
    maxerror: long(TIMEX_OFFSETS.maxerror),
    esterror: long(TIMEX_OFFSETS.esterror),
    status: view.getInt32(TIMEX_OFFSETS.status, true),
    constant: long(TIMEX_OFFSETS.constant),
    seconds: long(TIMEX_OFFSETS.tv_sec),
    fraction: long(TIMEX_OFFSETS.tv_usec),
    tick: long(TIMEX_OFFSETS.tick),
    tai: view.getInt32(TIMEX_OFFSETS.tai, true),
  };
}

/** Write a request. What it does not name is zero, not what the last call left behind. */
export function writeTimex({ bytes, view }: Pick<Block, "bytes" | "view">, request: Partial<Timex>): void {
  const long = (at: number, value = 0): void => view.setBigInt64(at, BigInt(value), true);
  bytes.fill(0);
  view.setUint32(TIMEX_OFFSETS.modes, request.modes ?? 0, true);
  long(TIMEX_OFFSETS.offset, request.offset);
  long(TIMEX_OFFSETS.freq, request.freq);
  long(TIMEX_OFFSETS.maxerror, request.maxerror);
  long(TIMEX_OFFSETS.esterror, request.esterror);
  view.setInt32(TIMEX_OFFSETS.status, request.status ?? 0, true);
  long(TIMEX_OFFSETS.constant, request.constant);
  long(TIMEX_OFFSETS.tv_sec, request.seconds);
  long(TIMEX_OFFSETS.tv_usec, request.fraction);
  long(TIMEX_OFFSETS.tick, request.tick);
  view.setInt32(TIMEX_OFFSETS.tai, request.tai ?? 0, true);
}
