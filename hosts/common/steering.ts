// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What can be steered: the system clock where the process may, or the virtual clock of clock/virtual.ts where it may not.
 *
 * The discipline in the core says rate and step; an actuator only obeys. hosts/native has one for each system; clock/system.ts
 * is the system's clock as programs have it.
 * Tested in hosts/common/clock/steered.test.ts.
 *
 * @module
 */

/** Why a clock cannot be steered. */
export interface SteeringRefusal {
  /** For people; said once. */
  readonly reason: string;
  /** `CLOCK`: this process may not; `UNSUPPORTED`: it cannot be done here. */
  readonly code: "CLOCK" | "UNSUPPORTED";
  /** What the system says of its clock, where that can be read nonetheless. */
  read?(): SystemClockStatus;
}

/** What the kernel or the virtual clock is told about its own quality. Seconds. */
export interface ClockStatus {
  /** Whether anybody may rely on it. */
  readonly synchronised: boolean;
  /** Expected error. */
  readonly estimatedError: number;
  /** Bound of the error. */
  readonly maximumError: number;
  /** Leap second at the end of the UTC day: 0 none, 1 insert, 2 delete. */
  readonly leap: 0 | 1 | 2;
}

/** A clock that can be steered. A system call that fails throws an NtpError of code `CLOCK`. */
export interface ClockActuator {
  /** How it steers, for people: "clock_adjtime (koffi)", "virtual". */
  readonly description: string;
  /** The fastest slew as a relative rate, for instance 0.1 for Linux with tick. */
  readonly maximumSlew: number;
  /** Largest lasting frequency correction, relative: 500e-6 on most systems. */
  readonly maximumFrequency: number;
  /** Whether it inserts and deletes leap seconds by itself once told by {@link setStatus}. */
  readonly insertsLeapSeconds: boolean;
  /** The relative rate in force now, on top of the oscillator's own: 20e-6 makes the clock gain 20 µs each second. */
  rate(): number;
  /**
   * Set it; it takes effect at once and stays until the next call. Clamped to the limits. `monotonicNs` is the moment, just
   * past, for which it was worked out: a clock that can begin the new rate then, does; the others begin now.
   */
  setRate(rate: number, monotonicNs?: bigint): void;
  /** Add to the clock at once. The kernel then forgets its status and an armed leap second: tell it again. */
  step(offsetNs: bigint): void;
  /** Tell the kernel how good the clock is; to be renewed, as its idea of the error grows by 500 µs each second. */
  setStatus(status: ClockStatus): void;
  /** Put everything back as it was when the actuator was opened (frequency, tick, status), but not the time. Idempotent. */
  restore(): void;
}

/** What the system says of its clock. What a system does not keep is absent: macOS knows no leap seconds, Windows only the rate. */
export interface SystemClockStatus {
  /** The rate in force on top of the oscillator's own, ppm: the frequency, and what a slew adds to it. */
  readonly ratePpm: number;
  /** Whether anybody may rely on it: Linux vouches for it (not TIME_ERROR). */
  readonly synchronised?: boolean;
  /** Expected error, s. */
  readonly estimatedError?: number;
  /** Bound of the error, s; it grows by 500 µs each second from what was told last, and 16 is "unknown". */
  readonly maximumError?: number;
  /** What the system's own loop (STA_PLL) has still to slew away, s. */
  readonly remaining?: number;
  /** Leap second that it makes at the end of the UTC day: 0 none, 1 insert, 2 delete. */
  readonly leap?: 0 | 1 | 2;
  /** TAI − UTC, s; 0: nobody told. */
  readonly taiOffset?: number;
  /** Its flags that are set, as C calls them: "STA_NANO". */
  readonly flags?: readonly string[];
}

/** The system's clock: beside what any steered clock can, it says what the system makes of it. */
export interface SystemActuator extends ClockActuator {
  /** Whether the system keeps what {@link ClockActuator.setStatus} tells. */
  readonly keepsStatus: boolean;
  /** The system takes up a new rate at most this long after it was set, always at the same point of its seconds, s. 0: at once. */
  readonly rateInterval: number;
  /** Whether the runtime's monotonic clock runs at its rate, and timers with it (Linux's CLOCK_MONOTONIC). */
  readonly slewsMonotonic: boolean;
  read(): SystemClockStatus;
}

/** What a host lends of the system's clock. */
export interface HostSystemClock {
  /** The clock for steering, or why it cannot be steered. Changes nothing yet, never throws. */
  open(): SystemActuator | SteeringRefusal;
  /** Restore it when the process ends, however it does. Returns how to take that back, without restoring. */
  restoreOnExit(clock: Pick<ClockActuator, "restore">): () => void;
}
