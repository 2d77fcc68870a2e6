// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The clock's side of an engine: the core's steering is obeyed, its timer kept, and the clock watched for what others do to it.
 * What happens to the clock is told. It decides nothing.
 *
 * Tested in engine.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { SteeredClock } from "../clock/steered.ts";
import type { DisciplineCore, Steering } from "./discipline.ts";
import type { EngineEvent } from "./engine-types.ts";

/** Wall and monotonic time are to be read together; well below the jump that counts, 50 ms. */
const LONGEST_LOOK_NS = 10_000_000n;
/** What the core's clock watch calls a leap second. */
const LEAPT = 3;
/** Flags of the steering, and what each means. */
const STEP_REFUSED = 1;
const NEAR = [[2, "sum"], [4, "single"], [8, "startup"]] as const;

/** Who is told what happened, and who asks all sources when the clock was moved by somebody else. */
interface Heed {
  readonly tell: (event: EngineEvent) => void;
  readonly askNow: () => void;
}

export class Steerer {
  readonly #clock: SteeredClock;
  readonly #core: DisciplineCore;
  readonly #heed: Heed;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Why the clock would not be steered last. */
  #refusal: string | undefined;
  #synchronised = false;
  #flags = 0;
  #closed = false;

  constructor(clock: SteeredClock, core: DisciplineCore, heed: Heed) {
    this.#clock = clock;
    this.#core = core;
    this.#heed = heed;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /**
   * Obey the steering that the core made of what it was told at `nowNs`, and call it back when it wants. `sampled`: it was
   * told a source's sample.
   */
  steer(nowNs: bigint, sampled = false): void {
    if (this.#closed) return;
    const steering = this.#core.steering();
    this.#act(steering, nowNs);
    clearTimeout(this.#timer);
    if (steering.untilNs !== undefined) {
      const delay = Number(steering.untilNs - this.#clock.monotonic()) / 1e6;
      this.#timer = setTimeout(() => {
        const now = this.#clock.monotonic();
        this.#core.steeringTimer(now);
        this.steer(now);
      }, Math.max(0, delay));
    }
    // Last, as a listener may close the engine.
    this.#tellChanges(steering, sampled);
  }

  /** A clock that refuses is told of, once for each reason; the next sample shows what it did or did not do. */
  #act({ stepNs, rate }: Steering, nowNs: bigint): void {
    try {
      if (stepNs !== 0n) {
        this.#clock.actuator.step(stepNs);
        this.#core.drop();
        // At once: a jump before the next look would pass for the watch's first reading.
        this.watch();
      }
      this.#clock.actuator.setRate(rate, nowNs);
      this.#refusal = undefined;
    } catch (error) {
      if (!(error instanceof NtpError)) throw error;
      if (error.message !== this.#refusal) this.#heed.tell({ kind: "clock-refused", error });
      this.#refusal = error.message;
    }
  }

  /** Did somebody else move the clock, or did the machine sleep? */
  watch(): void {
    this.#clock.followHost?.();
    const before = this.#clock.monotonic();
    const time = this.#clock.now();
    const now = this.#clock.monotonic();
    // Held up between the readings, they say nothing of each other: the next look will tell.
    if (now - before > LONGEST_LOOK_NS) return;
    const disturbed = this.#core.watchClock(time, now);
    if (disturbed === 0) return;
    if (disturbed === LEAPT) return this.#heed.tell({ kind: "leapt" });
    this.steer(now);
    this.#heed.askNow();
    this.#heed.tell({ kind: "disturbed", how: disturbed === 1 ? "stepped back" : "stepped ahead or slept" });
  }

  /** Sources that fall silent, or disagree, are noticed within a second. */
  tellSynchronised(): void {
    const synchronised = this.#core.system(this.#clock.monotonic()).peer >= 0;
    if (synchronised === this.#synchronised) return;
    this.#synchronised = synchronised;
    this.#heed.tell({ kind: synchronised ? "synchronised" : "unsynchronised" });
  }

  #tellChanges({ flags, remaining, stepNs }: Steering, sampled: boolean): void {
    if (stepNs !== 0n) this.#heed.tell({ kind: "stepped", offsetNs: stepNs });
    this.tellSynchronised();
    const raised = flags & ~this.#flags;
    this.#flags = flags;
    if (raised & STEP_REFUSED) this.#heed.tell({ kind: "step-limit", how: "refused" });
    for (const [flag, limit] of NEAR) if (raised & flag) this.#heed.tell({ kind: "step-limit", how: "near", limit });
    this.#heed.tell({ kind: "updated", ...(sampled ? { offset: remaining + Number(stepNs) / 1e9 } : {}) });
  }
}
