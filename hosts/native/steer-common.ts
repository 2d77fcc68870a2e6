// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What the actuators for Linux and macOS share: errno, the error that a failed call becomes, and units.
 *
 * Tested by tests/native/steering-linux.test.ts and tests/native/steering-macos.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import { SystemError } from "./errno.ts";
import type { Ffi } from "./ffi.ts";
import { Block } from "./memory.ts";

/** Linux and Darwin number these alike. */
export const EPERM = 1;
export const EINVAL = 22;

/** NTP_PHASE_LIMIT of both kernels: an error of 16 s or more says "unknown". In µs. */
export const UNKNOWN_ERROR_US = 16_000_000;

/** How fast both kernels let a claimed maximum error grow, in µs each second (RFC 5905's 15 ppm is not theirs). */
export const ERROR_GROWTH_US = 500;

/** One unit of timex.freq as a relative rate: 2^-16 ppm. */
export const FREQ_UNIT = 1e-6 / 65536;

const NS_PER_SECOND = 1_000_000_000n;

/** A function that reads errno of the call that has just failed. `locate` is the C library's name for its place. */
export function errnoReader(ffi: Ffi, locate: "__errno_location" | "__error"): () => number {
  const c = ffi.open(null, { [locate]: ["pointer"], memcpy: ["pointer", "pointer", "pointer", "usize"] } as const);
  const copy = new Block(ffi, 8);
  // A fixed place per thread, and an actuator never leaves its thread.
  const place = (c[locate] as () => number)();
  return () => {
    (c["memcpy"] as (...args: number[]) => number)(copy.address, place, 4);
    return copy.view.getInt32(0, true);
  };
}

/** The error of a steering call that failed after the clock had been opened for steering. */
export function steeringError(call: string, cause: Error): NtpError {
  const message = `expected ${call} to be obeyed, it failed: ${cause.message}; the clock keeps the rate it had`;
  return new NtpError("CLOCK", message, { cause });
}

/** The same for a call that left its reason in errno. */
export function errnoError(call: string, errno: number): NtpError {
  return steeringError(call, new SystemError(call, errno));
}

/** A rate that may be set: within ±limit. A rate that is no number is the caller's mistake, and MUST NOT reach a kernel. */
export function clampRate(rate: number, limit: number): number {
  if (Number.isNaN(rate)) throw new NtpError("INVALID_ARGUMENT", "expected a relative rate, for instance 20e-6, got NaN");
  return Math.min(limit, Math.max(-limit, rate));
}

/** Seconds as the µs of timex: rounded up, because a bound must stay one, and "unknown" for what is no bound. */
export function errorMicroseconds(seconds: number): number {
  if (!(seconds >= 0)) return UNKNOWN_ERROR_US;
  return Math.min(UNKNOWN_ERROR_US, Math.ceil(seconds * 1e6));
}

/** Nanoseconds as C writes them: whole seconds rounded down, so that the rest is never negative. */
export function splitNanoseconds(ns: bigint): { seconds: bigint; nanoseconds: bigint } {
  const nanoseconds = ((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  return { seconds: (ns - nanoseconds) / NS_PER_SECOND, nanoseconds };
}
