// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system clock by clock_gettime: exact nanoseconds for the price of a function call (the vDSO answers without
 * entering the kernel).
 *
 * The monotonic clock is CLOCK_MONOTONIC, not its two siblings:
 *
 * - It is slewed together with CLOCK_REALTIME, so their difference moves only when the wall clock is *stepped* or the
 *   machine slept. Both are what a watcher must notice, and one subtraction notices both.
 * - CLOCK_MONOTONIC_RAW runs at the crystal's own rate, up to 500 ppm away from the wall clock while anyone
 *   disciplines it; intervals taken by it would not fit intervals taken by the kernel's packet stamps (REALTIME).
 * - CLOCK_BOOTTIME counts on during sleep and so would hide it, and differs from what `performance.now()` and the
 *   runtimes' timers follow.
 *
 * Layout, struct timespec on 64-bit Linux: i64 seconds at 0, i64 nanoseconds at 8.
 *
 * Tested by clock.test.ts and tests/native.
 *
 * @module
 */

import type { HostClock } from "../common/host.ts";
import type { Ffi } from "./ffi.ts";
import { bindLibc } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "./linux.ts";
import { Block } from "./memory.ts";

const NS_PER_SECOND = 1_000_000_000n;

/** Readings thrown away before the measurement, so that the compiler has done its work. */
const WARM_UP = 500;
/** Readings of the measurement. */
const READINGS = 300;

const clocks = new WeakMap<Ffi, HostClock | undefined>();

/** The system clock through `ffi`, made once; `undefined` where libc cannot be bound. Never throws. */
export function nativeClock(ffi: Ffi): HostClock | undefined {
  if (!clocks.has(ffi)) clocks.set(ffi, makeClock(ffi));
  return clocks.get(ffi);
}

function makeClock(ffi: Ffi): HostClock | undefined {
  const libc = bindLibc(ffi);
  if (libc === undefined) return undefined;
  const now = reader(libc, CLOCK_REALTIME);
  const monotonic = reader(libc, CLOCK_MONOTONIC);
  const precision = measurePrecision(monotonic, resolution(libc));
  return { now, monotonic, precision, description: `clock_gettime (${ffi.name})` };
}

/** A function that reads one clock. Each has a block of its own, so readings never share state. */
function reader(libc: Libc, clock: number): () => bigint {
  const timespec = new Block(libc.ffi, 16);
  const { address, view } = timespec;
  // The whole second as a BigInt is kept: one BigInt addition per reading instead of a multiplication as well.
  let second = -1;
  let secondNs = 0n;
  return () => {
    libc.clock_gettime(clock, address);
    const seconds = view.getUint32(0, true) + view.getInt32(4, true) * 0x1_0000_0000;
    if (seconds !== second) {
      second = seconds;
      secondNs = BigInt(seconds) * NS_PER_SECOND;
    }
    return secondNs + BigInt(view.getUint32(8, true));
  };
}

/** What the kernel claims to be the least step, in seconds: 1 ns with high-resolution timers, 1-10 ms without. */
function resolution(libc: Libc): number {
  const timespec = new Block(libc.ffi, 16);
  if (libc.clock_getres(CLOCK_REALTIME, timespec.address) !== 0) return 1e-9;
  return Number(timespec.view.getBigInt64(0, true)) + Number(timespec.view.getBigInt64(8, true)) * 1e-9;
}

/**
 * The precision of a clock in seconds (RFC 5905 §7.3): its least step, or the cost of a reading where that is larger.
 *
 * The steps between adjacent readings hold both: where the clock ticks finer than it can be read they are the cost, of
 * which the median is a fair figure that no interruption spoils; where it ticks coarser, most are 0 and the least
 * other one is the tick. It is taken from the monotonic clock, which ticks alike and cannot step meanwhile.
 *
 * @param floor the least step that may be claimed, in seconds
 */
export function measurePrecision(read: () => bigint, floor: number): number {
  for (let i = 0; i < WARM_UP; i++) read();
  const steps: number[] = [];
  let last = read();
  for (let i = 0; i < READINGS; i++) {
    const next = read();
    steps.push(Number(next - last));
    last = next;
  }
  steps.sort((a, b) => a - b);
  const cost = steps[READINGS / 2] ?? 0;
  const tick = steps.find((step) => step > 0) ?? 0;
  return Math.max(floor, Math.max(cost, tick) * 1e-9);
}
