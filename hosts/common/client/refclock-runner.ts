// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One reference clock kept running: its samples into the core as they come, and the core's timer. Obeys the core, decides
 * nothing. Tested in refclock-runner.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { RefClock, RefClockSample, RefClockTuning } from "../refclock/refclock.ts";
import type { DisciplineCore } from "./discipline.ts";
import type { SourceState } from "./engine-types.ts";
import { VERDICT_MEANINGS } from "./refclock-core.ts";
import type { RunnerContext } from "./runner.ts";
import { timerAt } from "./timer.ts";

export interface RefclockRunnerOptions {
  readonly index: number;
  readonly source: { readonly text: string };
  readonly clock: RefClock;
  readonly tuning: RefClockTuning;
}

/** Nothing is heard at once, pulses are numbered once somebody has told the time, and what comes and goes is told now and then. */
const PATIENCE_NS = 10_000_000_000n;
/** A reason that is another one each second. */
const QUIET_NS = 60_000_000_000n;

export class RefclockRunner {
  readonly options: RefclockRunnerOptions;
  /** It has no address. */
  readonly endpoint: undefined;
  readonly refid: string;
  readonly #context: RunnerContext;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #complaint = "";
  #dispute = "";
  /** The last that was told of it, and when. */
  #told: string | undefined;
  #toldAt: bigint | undefined;
  /** It was heard since then. */
  #recovered = false;

  constructor(context: RunnerContext, options: RefclockRunnerOptions) {
    const { index, clock, tuning } = options;
    this.#context = context;
    this.options = options;
    this.refid = tuning.refid ?? clock.refid;
    context.core.refclocks.open(index, tuning.poll ?? clock.poll, tuning.stratum ?? clock.stratum, tuning);
    context.core.reference(index, this.refid);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What others lock to. */
  get name(): string {
    return this.options.tuning.name ?? this.refid;
  }

  /** Why its samples are not used, or do not come. */
  get lastError(): string | undefined {
    const { health } = this.options.clock;
    if (health.state !== "good" && health.message) return health.message;
    return this.#dispute || this.#complaint || undefined;
  }

  /** Why it is not heard, or that it is again, where that is news at `now`. */
  news(now: bigint): { name: string; message: string | undefined } | undefined {
    this.#toldAt ??= now;
    const message = this.lastError;
    if (message === undefined) this.#recovered = true;
    const otherReason = message !== undefined && this.#told !== undefined && !this.#recovered;
    if (message === this.#told || now - this.#toldAt < (otherReason ? QUIET_NS : PATIENCE_NS)) return undefined;
    this.#told = message;
    this.#toldAt = now;
    this.#recovered = false;
    return { name: this.name, message };
  }

  start(): Promise<void> {
    this.#due();
    void this.#read();
    return Promise.resolve();
  }

  /** It tells the time when it wants to. */
  askNow(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.options.clock.close();
    this.#context.core.refclocks.close(this.options.index);
  }

  /** A driver of somebody else's may fail: then there are no samples any more, and why is told. Never rejects. */
  async #read(): Promise<void> {
    try {
      for await (const sample of this.options.clock) {
        if (this.#closed) return;
        this.#take(sample);
      }
    } catch (error) {
      this.#complaint = `the driver failed: ${(error as Error).message}`;
    }
  }

  #take(sample: RefClockSample): void {
    const { core, clock, watch } = this.#context;
    const { index, tuning } = this.options;
    watch();
    const taken = clock.carry(sample.receivedNs);
    const dispersion = (tuning.dispersion ?? sample.dispersion) + (tuning.precision ?? this.options.clock.precision);
    this.#complaint = VERDICT_MEANINGS[core.refclocks.sample(index, sample, { dispersion, taken, nowNs: clock.monotonic() })];
  }

  #due(): void {
    if (this.#closed) return;
    const { core, clock, steer, watch } = this.#context;
    watch();
    const now = clock.monotonic();
    const { timerNs, steer: steering, disputed } = core.refclocks.timer(this.options.index, now);
    this.#dispute = disputed ? VERDICT_MEANINGS.disputed : "";
    if (timerNs !== undefined) this.#timer = timerAt(clock, timerNs, () => this.#due());
    if (steering) steer(now);
  }
}

/** What only reference clocks have. */
export function referenceState({ name, options: { index, tuning } }: RefclockRunner, core: DisciplineCore, now: bigint): Partial<SourceState> {
  const last = tuning.noselect ? core.refclocks.last(index) : undefined;
  if (!last) return tuning.noselect ? { name, lastSample: undefined } : { name };
  return { name, watched: { offset: last.offset, bound: last.bound }, lastSample: Number(now - last.heardNs) / 1e9 };
}

/** Tells the core who numbers whose pulses. @throws {NtpError} for a name that none of them has */
export function lockPulses(clocks: readonly RefclockRunner[], core: DisciplineCore): void {
  for (const { options } of clocks) {
    const { lock } = options.tuning;
    const by = lock === undefined ? undefined : clocks.find(({ name }) => name.toLowerCase() === lock.toLowerCase());
    if (lock !== undefined && !by) {
      throw new NtpError("INVALID_ARGUMENT", `expected a reference clock called "${lock}" for ${options.source.text} to lock to, got ${clocks.map(({ name }) => name).join(", ")}`);
    }
    core.refclocks.lock(options.index, by?.options.index ?? -1);
  }
}
