// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Leap seconds of the clock being steered: a kernel that knows them is only watched, any other clock is stepped at the
 * moment. Either way the servers do the same, so that nothing is to be corrected afterwards.
 *
 * Tested in leapkeeper.test.ts.
 *
 * @module
 */

import { endOfDay, leapToArm } from "../clock/leap.ts";
import type { SteeredClock } from "../clock/steered.ts";
import type { DisciplineCore } from "./discipline.ts";

const NS_PER_SECOND = 1_000_000_000n;
/** A timer is set when the moment is nearer than this; the keeper is called once a second. */
const NEAR_NS = 2n * NS_PER_SECOND;

export class LeapKeeper {
  readonly #clock: SteeredClock;
  readonly #core: Pick<DisciplineCore, "expectLeap" | "drop">;
  readonly #leapt: () => void;
  /** What is due, and when. */
  #due: { readonly leap: 1 | 2; readonly atNs: bigint } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `leapt` is called after a step that the keeper made. */
  constructor(clock: SteeredClock, core: Pick<DisciplineCore, "expectLeap" | "drop">, leapt: () => void) {
    this.#clock = clock;
    this.#core = core;
    this.#leapt = leapt;
  }

  /** Call once a second with what the survivors announce (0..3). */
  tick(announced: number): void {
    const now = this.#clock.now();
    // Once due it stays due: the servers fall silent about it a moment before or after.
    if (this.#due && now < this.#due.atNs + NEAR_NS) return;
    const leap = leapToArm(announced, now);
    const atNs = endOfDay(now);
    if (leap === 0 || atNs - now > NEAR_NS) {
      this.#due = undefined;
      return;
    }
    this.#due = { leap, atNs };
    if (this.#clock.actuator.insertsLeapSeconds) this.#core.expectLeap(leap, atNs);
    else this.#timer = setTimeout(() => this.#leap(), Number(atNs - now) / 1e6);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #leap(): void {
    if (!this.#due) return;
    this.#clock.actuator.step(this.#due.leap === 1 ? -NS_PER_SECOND : NS_PER_SECOND);
    this.#core.drop();
    this.#leapt();
  }
}
