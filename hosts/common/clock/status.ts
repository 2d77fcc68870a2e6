// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Keeps the kernel told how good the clock is: at once when that changes in kind, and now and then as the error grows.
 *
 * A step makes the kernel forget its status, hence {@link StatusTeller.forget}. Tested in status.test.ts.
 *
 * @module
 */

import type { TrackingState } from "../client/engine-types.ts";
import type { ClockActuator } from "../steering.ts";
import { leapToArm } from "./leap.ts";

/** The kernel lets the error it was told grow by 500 ppm: 8 ms in this time. */
const RENEW_S = 16;
/** What the kernel takes for "unknown", s. */
const UNKNOWN_ERROR = 16;

export class StatusTeller {
  readonly #actuator: Pick<ClockActuator, "setStatus">;
  #told = "";
  #countdown = 0;

  constructor(actuator: Pick<ClockActuator, "setStatus">) {
    this.#actuator = actuator;
  }

  /** Call once a second. */
  tick(tracking: Pick<TrackingState, "synchronised" | "uncertainty" | "leap"> & { readonly rmsOffset?: number | undefined }, nowNs: bigint): void {
    const { synchronised, uncertainty, leap, rmsOffset } = tracking;
    const kind = { synchronised, leap: synchronised ? leapToArm(leap, nowNs) : 0 } as const;
    const text = JSON.stringify(kind);
    this.#countdown -= 1;
    if (text === this.#told && this.#countdown > 0) return;
    this.#told = text;
    this.#countdown = RENEW_S;
    const maximumError = Math.min(uncertainty, UNKNOWN_ERROR);
    this.#actuator.setStatus({ ...kind, maximumError, estimatedError: Math.min(rmsOffset ?? UNKNOWN_ERROR, maximumError) });
  }

  /** The kernel has forgotten: tell it anew. */
  forget(): void {
    this.#told = "";
  }
}
