// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system clock of Linux by clock_adjtime(CLOCK_REALTIME).
 *
 * Rate: the kernel adds `tick` (100 ppm a unit, ±10 %) and `freq` (2^-16 ppm, ±500 ppm) and applies both at once, in one
 * call. Small rates are all `freq`, so that the tick of an undisturbed clock stays nominal; larger ones have the
 * nearest tick and the rest in `freq`.
 *
 * The kernel's own loop (STA_PLL), its PPS discipline (STA_PPS*) and adjtime(3) would fight: the first change ends them.
 * Clearing STA_PLL alone is not enough, a remaining offset is worked off without it; it must be zeroed while STA_PLL is
 * set, because ADJ_OFFSET is ignored otherwise. Until its first change an actuator changes nothing.
 *
 * A slew outlives its process: the kernel keeps the last rate for ever. Whoever sets a large rate MUST set it for a
 * short span and renew it, and have {@link restoreOnExit} (steer.ts) put things back; only SIGKILL or a crash of the
 * runtime escapes that. Therefore a tick found more than 1000 ppm off is taken for the slew of someone who died,
 * and is not put back: no oscillator is that wrong.
 *
 * Also: STA_UNSYNC unset lets the kernel copy the time to the hardware clock every 11 minutes, and the kernel sets it
 * again when its maximum error, growing by 500 ppm, reaches 16 s: renew the status.
 *
 * 64-bit only. Tested by tests/native/steering-linux.test.ts (a fake kernel) and
 * tests/native/steering-real.test.ts.
 *
 * @module
 */

import type { ClockStatus, SteeringRefusal, SystemActuator, SystemClockStatus } from "../common/steering.ts";
import type { Ffi } from "./ffi.ts";
import { CLOCK_REALTIME } from "./linux.ts";
import { EINVAL, EPERM, ERROR_GROWTH_US, FREQ_UNIT, UNKNOWN_ERROR_US } from "./steer-common.ts";
import { clampRate, errnoError, errnoReader, errorMicroseconds, splitNanoseconds } from "./steer-common.ts";
import { readTimex, timexBlock, writeTimex, TIMEX_CONSTANTS as T } from "./timex.ts";
import type { Timex } from "./timex.ts";

/** µs each 1/100 s. */
const NOMINAL_TICK = 10_000;
const TICK_PPM = 100;
/** MAXFREQ of the kernel. */
const MAXIMUM_FREQUENCY_PPM = 500;
/** Beyond this a tick found is a slew nobody ended; 1000 ppm. */
const OSCILLATOR_TICKS = 10;
const MAXIMUM_SLEW = 0.1;

const LEAP_FLAGS = [0, T.STA_INS, T.STA_DEL] as const;
const LEAP_MASK = T.STA_INS | T.STA_DEL;
const SECONDS_PER_DAY = 86_400;

/** The clock's state, TIME_*, is what the call returns. */
type Answer = Timex & { readonly state: number };

/** clock_adjtime: what was answered, or errno. */
type Adjust = (request: Partial<Timex>) => Answer | number;

/** What a status can say, in the order of the bits. */
const FLAGS = Object.entries(T).filter(([name]) => name.startsWith("STA_"));

/** A rate as the kernel takes it; off by at most half a unit of `freq`, 2^-17 ppm. */
export function splitRate(rate: number): { tick: number; freq: number } {
  const ppm = clampRate(rate, MAXIMUM_SLEW) * 1e6;
  const coarse = Math.abs(ppm) <= MAXIMUM_FREQUENCY_PPM ? 0 : Math.round(ppm / TICK_PPM);
  return { tick: NOMINAL_TICK + coarse, freq: Math.round((ppm - coarse * TICK_PPM) * 65536) + 0 };
}

/** And back. */
export function joinRate({ tick, freq }: Pick<Timex, "tick" | "freq">): number {
  return (tick - NOMINAL_TICK) * TICK_PPM * 1e-6 + freq * FREQ_UNIT;
}

/** The clock for steering, or why it cannot be steered. Changes nothing, never throws. */
export function openLinuxActuator(ffi: Ffi): SystemActuator | SteeringRefusal {
  try {
    const adjust = bindAdjust(ffi);
    const found = adjust({ modes: 0 });
    if (typeof found === "number") return refusal(found);
    // A tick of 0 is never obeyed: the kernel refuses it for want of permission first, for its value second. Unlike
    // writing back what was read, this cannot undo what somebody else sets in between.
    const answer = adjust({ modes: T.ADJ_TICK, tick: 0 });
    if (answer !== EINVAL) return { ...refusal(answer), read: () => statusOf(must(adjust({ modes: 0 }))) };
    return new LinuxActuator(`clock_adjtime (${ffi.name})`, adjust, found);
  } catch (error) {
    return { code: "UNSUPPORTED", reason: `clock_adjtime cannot be called: ${String(error)}` };
  }
}

function refusal(answer: Answer | number): SteeringRefusal {
  if (answer === EPERM) {
    return { code: "CLOCK", reason: "clock_adjtime is not permitted: needs CAP_SYS_TIME (root, a capability of the unit or container)" };
  }
  if (typeof answer === "number") return { code: "UNSUPPORTED", reason: `clock_adjtime failed with errno ${answer}: the kernel lends no clock` };
  return { code: "UNSUPPORTED", reason: "clock_adjtime accepts what no kernel accepts: something stands between this process and the kernel" };
}

/** @throws {NtpError} `CLOCK` */
function must(answer: Answer | number): Answer {
  if (typeof answer === "number") throw errnoError("clock_adjtime", answer);
  return answer;
}

/** What the kernel says, in our words. */
function statusOf(answer: Answer): SystemClockStatus {
  const { tick, freq, state, status, maxerror, esterror, offset, tai } = answer;
  return {
    ratePpm: (tick - NOMINAL_TICK) * TICK_PPM + freq / 65536,
    // Of PPS signals that were lost STA_UNSYNC says nothing, the state does.
    synchronised: state !== T.TIME_ERROR,
    estimatedError: esterror / 1e6,
    maximumError: maxerror / 1e6,
    remaining: offset / ((status & T.STA_NANO) !== 0 ? 1e9 : 1e6),
    // Both at once insert (kernel/time/ntp.c asks for STA_INS first).
    leap: (status & T.STA_INS) !== 0 ? 1 : (status & T.STA_DEL) !== 0 ? 2 : 0,
    taiOffset: tai,
    flags: FLAGS.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name),
  };
}

function bindAdjust(ffi: Ffi): Adjust {
  const { clock_adjtime } = ffi.open(null, { clock_adjtime: ["i32", "i32", "pointer"] });
  const errno = errnoReader(ffi, "__errno_location");
  const block = timexBlock(ffi);
  return (request) => {
    writeTimex(block, request);
    const state = clock_adjtime(CLOCK_REALTIME, block.address);
    return state < 0 ? errno() : { ...readTimex(block), state };
  };
}

class LinuxActuator implements SystemActuator {
  readonly maximumSlew = MAXIMUM_SLEW;
  readonly maximumFrequency = MAXIMUM_FREQUENCY_PPM * 1e-6;
  readonly insertsLeapSeconds = true;
  readonly keepsStatus = true;
  readonly rateInterval = 0;
  readonly slewsMonotonic = true;
  readonly description: string;
  readonly #tryAdjust: Adjust;
  readonly #found: Timex;
  readonly #foundAt = performance.now();
  /** Whether anything was changed since it was opened or restored. */
  #steering = false;

  constructor(description: string, adjust: Adjust, found: Timex) {
    this.description = description;
    this.#tryAdjust = adjust;
    this.#found = found;
  }

  rate(): number {
    return joinRate(this.#adjust({ modes: 0 }));
  }

  read(): SystemClockStatus {
    return statusOf(this.#adjust({ modes: 0 }));
  }

  setRate(rate: number): void {
    const request = splitRate(rate);
    this.#takeOver();
    this.#adjust({ modes: T.ADJ_TICK | T.ADJ_FREQUENCY, ...request });
  }

  /** The kernel itself then says STA_UNSYNC and 16 s, and forgets a leap second: the next status tells it anew. */
  step(offsetNs: bigint): void {
    if (offsetNs === 0n) return;
    this.#takeOver();
    const { status } = this.#adjust({ modes: 0 });
    // An armed kernel that is stepped stays armed for a moment that it has forgotten, and cannot be armed again.
    if ((status & LEAP_MASK) !== 0) this.#resetLoop(T.STA_UNSYNC);
    const { seconds, nanoseconds } = splitNanoseconds(offsetNs);
    this.#adjust({ modes: T.ADJ_SETOFFSET | T.ADJ_NANO, seconds: Number(seconds), fraction: Number(nanoseconds) });
  }

  setStatus({ synchronised, estimatedError, maximumError, leap }: ClockStatus): void {
    this.#takeOver();
    this.#adjust({
      modes: T.ADJ_STATUS | T.ADJ_MAXERROR | T.ADJ_ESTERROR,
      // All other flags that can be written are thereby cleared: PLL, FLL, PPS, FREQHOLD.
      status: (synchronised ? 0 : T.STA_UNSYNC) | LEAP_FLAGS[leap],
      maxerror: errorMicroseconds(maximumError),
      esterror: errorMicroseconds(estimatedError),
    });
  }

  restore(): void {
    if (!this.#steering) return;
    const { status, freq, tick, maxerror, esterror } = this.#found;
    const grown = maxerror + ((performance.now() - this.#foundAt) / 1000) * ERROR_GROWTH_US;
    this.#adjust({
      modes: T.ADJ_TICK | T.ADJ_FREQUENCY | T.ADJ_STATUS | T.ADJ_MAXERROR | T.ADJ_ESTERROR |
        ((status & T.STA_NANO) !== 0 ? T.ADJ_NANO : T.ADJ_MICRO),
      tick: Math.abs(tick - NOMINAL_TICK) <= OSCILLATOR_TICKS ? tick : NOMINAL_TICK,
      freq,
      status: status & ~this.#staleLeap(),
      maxerror: Math.min(UNKNOWN_ERROR_US, Math.ceil(grown)),
      esterror,
    });
    this.#steering = false;
  }

  /** A leap second announced on another day has happened; armed again, it would happen twice. */
  #staleLeap(): number {
    const day = (seconds: number): number => Math.floor(seconds / SECONDS_PER_DAY);
    return day(this.#adjust({ modes: 0 }).seconds) === day(this.#found.seconds) ? 0 : LEAP_MASK;
  }

  /** End what else steers. Synchronisation and leap stay as they are until a status is told. */
  #takeOver(): void {
    if (this.#steering) return;
    const { status } = this.#adjust({ modes: 0 });
    this.#steering = true;
    this.#adjust({ modes: T.ADJ_OFFSET_SINGLESHOT, offset: 0 });
    this.#resetLoop(status & (T.STA_UNSYNC | LEAP_MASK));
  }

  /** Zero the loop's offset and leave with `status`; passing through STA_PLL also resets the leap second's state. */
  #resetLoop(status: number): void {
    const modes = T.ADJ_STATUS | T.ADJ_OFFSET | T.ADJ_NANO;
    // An offset of 0 does not change the frequency, and with FREQHOLD not even a rounding can.
    this.#adjust({ modes, status: status | T.STA_PLL | T.STA_FREQHOLD, offset: 0 });
    this.#adjust({ modes: T.ADJ_STATUS, status });
  }

  #adjust(request: Partial<Timex>): Answer {
    return must(this.#tryAdjust(request));
  }
}
