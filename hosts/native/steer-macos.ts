// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The system clock of macOS (10.13 and later): ntp_adjtime(2) for frequency and status, adjtime(2) for faster slews,
 * settimeofday(2) for steps.
 *
 * Rate: ±500 ppm by the frequency. adjtime adds exactly ±500 ppm while 500 µs to 1 s of its amount are left (±5000 ppm
 * above, which would leave a gap between 1000 and 4500 ppm that no rate could have), so that ±1000 ppm can be set. An
 * adjtime of 1 s ends by itself after 2000 s, even if this process dies; each call renews it. Both take effect a
 * second after the call, when the kernel next computes its scale: begin and end of a slew are late alike.
 *
 * Steps are whole µs and lose what passes between reading and setting, some µs. The kernel knows no leap seconds.
 * As on Linux its PLL is ended at the first change, the offset zeroed while STA_PLL is set.
 *
 * `struct timex` of Darwin, 64-bit: modes u32 at 0, offset i64 at 8, freq (2^-16 ppm) i64 at 16, maxerror (µs) i64 at
 * 24, esterror (µs) i64 at 32, status i32 at 40, constant i64 at 48, precision 56, tolerance 64, ppsfreq 72, jitter 80,
 * shift i32 at 88, stabil 96, jitcnt 104, calcnt 112, errcnt 120, stbcnt 128; 136 octets.
 * `struct timeval`: tv_sec i64 at 0, tv_usec i32 at 8; 16 octets.
 *
 * Not yet run on hardware. Tested by tests/native/steering-macos.test.ts against a fake kernel.
 *
 * @module
 */

import type { ClockStatus, SteeringRefusal, SystemActuator, SystemClockStatus } from "../common/steering.ts";
import type { Ffi } from "./ffi.ts";
import { Block } from "./memory.ts";
import { EPERM, ERROR_GROWTH_US, FREQ_UNIT, UNKNOWN_ERROR_US } from "./steer-common.ts";
import { clampRate, errnoError, errnoReader, errorMicroseconds, splitNanoseconds } from "./steer-common.ts";

export const DARWIN_TIMEX_BYTES = 136;
const TIMEVAL_BYTES = 16;

/** Of <sys/timex.h>. */
export const DARWIN = {
  MOD_OFFSET: 0x0001,
  MOD_FREQUENCY: 0x0002,
  MOD_MAXERROR: 0x0004,
  MOD_ESTERROR: 0x0008,
  MOD_STATUS: 0x0010,
  /** Guarded like all modes, and otherwise without effect: macOS has no PPS. */
  MOD_PPSMAX: 0x0040,
  MOD_MICRO: 0x1000,
  MOD_NANO: 0x2000,
  STA_PLL: 0x0001,
  STA_UNSYNC: 0x0040,
  STA_FREQHOLD: 0x0080,
  STA_NANO: 0x2000,
} as const;

/** What a status can say. */
const FLAGS = Object.entries(DARWIN).filter(([name]) => name.startsWith("STA_"));

const FREQUENCY_PPM = 500;
/** What adjtime adds. */
const ADJTIME_PPM = 500;
/** The largest amount that is worked off at 500 ppm, and how long that takes. */
const ADJTIME_SECONDS = 1;
const ADJTIME_SPAN_MS = (ADJTIME_SECONDS / (ADJTIME_PPM * 1e-6)) * 1000;

const SYMBOLS = {
  ntp_adjtime: ["i32", "pointer"],
  adjtime: ["i32", "pointer", "pointer"],
  gettimeofday: ["i32", "pointer", "pointer"],
  settimeofday: ["i32", "pointer", "pointer"],
} as const;

/** The members in use. */
interface DarwinTimex {
  readonly modes: number;
  readonly offset: number;
  readonly freq: number;
  readonly maxerror: number;
  readonly esterror: number;
  readonly status: number;
}

/** The calls; a number is errno. */
interface Kernel {
  adjust(request: Partial<DarwinTimex>): DarwinTimex | number;
  /** Slew by whole seconds; 0 ends it. */
  slew(seconds: number): number;
  addToClock(offsetNs: bigint): number;
}

/** The clock for steering, or why it cannot be steered. Changes nothing, never throws. */
export function openMacosActuator(ffi: Ffi): SystemActuator | SteeringRefusal {
  try {
    const kernel = bindKernel(ffi);
    const found = kernel.adjust({ modes: 0 });
    const permitted = typeof found === "number" ? found : kernel.adjust({ modes: DARWIN.MOD_PPSMAX });
    if (typeof found !== "number" && typeof permitted !== "number") {
      return new MacosActuator(`ntp_adjtime (${ffi.name})`, kernel, found);
    }
    if (permitted === EPERM) return { code: "CLOCK", reason: "ntp_adjtime is not permitted: needs root", read: () => statusOf(must(kernel.adjust({ modes: 0 }))) };
    return { code: "UNSUPPORTED", reason: `ntp_adjtime failed with errno ${String(permitted)}: the kernel lends no clock` };
  } catch (error) {
    return { code: "UNSUPPORTED", reason: `ntp_adjtime cannot be called (macOS 10.13 and later have it): ${String(error)}` };
  }
}

function bindKernel(ffi: Ffi): Kernel {
  const c = ffi.open(null, SYMBOLS);
  const errno = errnoReader(ffi, "__error");
  const timex = new Block(ffi, DARWIN_TIMEX_BYTES);
  const timeval = new Block(ffi, TIMEVAL_BYTES);
  const writeTimeval = (ns: bigint): void => {
    const { seconds, nanoseconds } = splitNanoseconds(ns);
    timeval.bytes.fill(0);
    timeval.view.setBigInt64(0, seconds, true);
    timeval.view.setInt32(8, Number(nanoseconds) / 1000, true);
  };
  return {
    adjust(request) {
      writeTimex(timex, request);
      return c.ntp_adjtime(timex.address) < 0 ? errno() : readTimex(timex);
    },
    slew(seconds) {
      writeTimeval(BigInt(seconds) * 1_000_000_000n);
      return c.adjtime(timeval.address, 0) < 0 ? errno() : 0;
    },
    addToClock(offsetNs) {
      const wholeNs = ((offsetNs + (offsetNs < 0n ? -500n : 500n)) / 1000n) * 1000n;
      if (c.gettimeofday(timeval.address, 0) < 0) return errno();
      const nowNs = timeval.view.getBigInt64(0, true) * 1_000_000_000n + BigInt(timeval.view.getInt32(8, true)) * 1000n;
      writeTimeval(nowNs + wholeNs);
      return c.settimeofday(timeval.address, 0) < 0 ? errno() : 0;
    },
  };
}

function readTimex({ view }: Block): DarwinTimex {
  const long = (at: number): number => Number(view.getBigInt64(at, true));
  return {
    modes: view.getUint32(0, true),
    offset: long(8),
    freq: long(16),
    maxerror: long(24),
    esterror: long(32),
    status: view.getInt32(40, true),
  };
}

function writeTimex({ bytes, view }: Block, request: Partial<DarwinTimex>): void {
  const long = (at: number, value = 0): void => view.setBigInt64(at, BigInt(value), true);
  bytes.fill(0);
  view.setUint32(0, request.modes ?? 0, true);
  long(8, request.offset);
  long(16, request.freq);
  long(24, request.maxerror);
  long(32, request.esterror);
  view.setInt32(40, request.status ?? 0, true);
}

/** @throws {NtpError} `CLOCK` */
function must(answer: DarwinTimex | number): DarwinTimex {
  if (typeof answer === "number") throw errnoError("ntp_adjtime", answer);
  return answer;
}

/** What the kernel says, in our words. What adjtime adds cannot be read without being ended. */
function statusOf({ freq, status, maxerror, esterror, offset }: DarwinTimex, slew = 0): SystemClockStatus {
  return {
    ratePpm: freq / 65536 + slew * 1e6,
    synchronised: (status & DARWIN.STA_UNSYNC) === 0,
    estimatedError: esterror / 1e6,
    maximumError: maxerror / 1e6,
    remaining: offset / ((status & DARWIN.STA_NANO) !== 0 ? 1e9 : 1e6),
    flags: FLAGS.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name),
  };
}

class MacosActuator implements SystemActuator {
  readonly maximumSlew = (FREQUENCY_PPM + ADJTIME_PPM) * 1e-6;
  readonly maximumFrequency = FREQUENCY_PPM * 1e-6;
  readonly insertsLeapSeconds = false;
  readonly keepsStatus = true;
  readonly rateInterval = 1;
  readonly slewsMonotonic = false;
  readonly description: string;
  readonly #kernel: Kernel;
  readonly #found: DarwinTimex;
  readonly #foundAt = performance.now();
  #steering = false;
  /** What adjtime adds, and until when (performance.now). It cannot be read without being ended. */
  #slew = { sign: 0, endsAt: 0 };

  constructor(description: string, kernel: Kernel, found: DarwinTimex) {
    this.description = description;
    this.#kernel = kernel;
    this.#found = found;
  }

  rate(): number {
    return this.#adjust({ modes: 0 }).freq * FREQ_UNIT + this.#slewing();
  }

  read(): SystemClockStatus {
    return statusOf(this.#adjust({ modes: 0 }), this.#slewing());
  }

  /** What adjtime adds now. */
  #slewing(): number {
    const { sign, endsAt } = this.#slew;
    return performance.now() < endsAt ? sign * ADJTIME_PPM * 1e-6 : 0;
  }

  setRate(rate: number): void {
    const ppm = clampRate(rate, this.maximumSlew) * 1e6;
    this.#takeOver();
    const sign = Math.abs(ppm) <= FREQUENCY_PPM ? 0 : Math.sign(ppm);
    if (sign !== 0 || this.#slew.sign !== 0) this.#slewBy(sign);
    this.#adjust({ modes: DARWIN.MOD_FREQUENCY, freq: Math.round((ppm - sign * ADJTIME_PPM) * 65536) + 0 });
  }

  step(offsetNs: bigint): void {
    if (offsetNs === 0n) return;
    this.#takeOver();
    const errno = this.#kernel.addToClock(offsetNs);
    if (errno !== 0) throw errnoError("settimeofday", errno);
  }

  /** A leap second is not told: this kernel has none. */
  setStatus({ synchronised, estimatedError, maximumError }: ClockStatus): void {
    this.#takeOver();
    this.#adjust({
      modes: DARWIN.MOD_STATUS | DARWIN.MOD_MAXERROR | DARWIN.MOD_ESTERROR,
      status: synchronised ? 0 : DARWIN.STA_UNSYNC,
      maxerror: errorMicroseconds(maximumError),
      esterror: errorMicroseconds(estimatedError),
    });
  }

  restore(): void {
    if (!this.#steering) return;
    const { status, freq, maxerror, esterror } = this.#found;
    const grown = maxerror + ((performance.now() - this.#foundAt) / 1000) * ERROR_GROWTH_US;
    this.#slewBy(0);
    this.#adjust({
      modes: DARWIN.MOD_FREQUENCY | DARWIN.MOD_STATUS | DARWIN.MOD_MAXERROR | DARWIN.MOD_ESTERROR |
        ((status & DARWIN.STA_NANO) !== 0 ? DARWIN.MOD_NANO : DARWIN.MOD_MICRO),
      freq,
      status,
      maxerror: Math.min(UNKNOWN_ERROR_US, Math.ceil(grown)),
      esterror,
    });
    this.#steering = false;
  }

  #takeOver(): void {
    if (this.#steering) return;
    const status = this.#adjust({ modes: 0 }).status & DARWIN.STA_UNSYNC;
    this.#steering = true;
    this.#slewBy(0);
    const modes = DARWIN.MOD_STATUS | DARWIN.MOD_OFFSET;
    this.#adjust({ modes, status: status | DARWIN.STA_PLL | DARWIN.STA_FREQHOLD, offset: 0 });
    this.#adjust({ modes: DARWIN.MOD_STATUS, status });
  }

  #slewBy(sign: number): void {
    const errno = this.#kernel.slew(sign * ADJTIME_SECONDS);
    if (errno !== 0) throw errnoError("adjtime", errno);
    this.#slew = { sign, endsAt: sign === 0 ? 0 : performance.now() + ADJTIME_SPAN_MS };
  }

  #adjust(request: Partial<DarwinTimex>): DarwinTimex {
    return must(this.#kernel.adjust(request));
  }
}
