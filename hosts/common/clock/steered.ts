// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock that an engine steers, whichever it is: readings, the host's stamps carried over to it, and its actuator.
 * Tested in steered.test.ts.
 *
 * @module
 */

import type { HostClock } from "../host.ts";
import type { ClockActuator } from "../steering.ts";
import { VirtualClock, ageOf } from "./virtual.ts";

export interface SteeredClock {
  readonly actuator: ClockActuator;
  /** Its time, ns since 1970. */
  now(): bigint;
  /** A monotonic clock that runs at its rate, ns. */
  monotonic(): bigint;
  /** A stamp of the host's wall clock, taken lately, on both. */
  carry(wallNs: bigint): { time: bigint; monotonic: bigint };
  /** Take over what the host's wall clock did behind our back, where this clock is another one. To be called each second. */
  followHost?(): void;
}

/** A virtual clock over the host's timer. */
export function steeredVirtual(host: HostClock): SteeredClock {
  const clock = new VirtualClock(host);
  return {
    actuator: clock,
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    carry: (wallNs) => clock.carry(wallNs),
    followHost: () => clock.followHost(),
  };
}

/** The system clock: stamps are its own readings, and its monotonic clock is slewed along with it. */
export function steeredSystem(host: HostClock, actuator: ClockActuator): SteeredClock {
  return {
    actuator,
    now: () => host.now(),
    monotonic: () => host.monotonic(),
    carry(wallNs) {
      const before = host.monotonic();
      const age = ageOf(wallNs, host.now());
      return { time: wallNs, monotonic: (before + host.monotonic()) / 2n - age };
    },
  };
}

/** The frequency of a clock that somebody else has steered before: its rate, but for a slew that nobody has ended. */
export function frequencyFound(actuator: ClockActuator): number {
  const limit = actuator.maximumFrequency;
  return Math.max(-limit, Math.min(limit, actuator.rate()));
}
