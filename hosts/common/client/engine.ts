// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The engine: several sources (following.ts), one discipline (the core), one clock (steerer.ts). What the sources tell feeds the
 * core, and the core's steering is obeyed. It decides nothing.
 *
 * Tested in engine.test.ts, engine-clock.test.ts and engine-closing.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { SteeredClock } from "../clock/steered.ts";
import { DisciplineCore } from "./discipline.ts";
import type { EngineEvent, EngineOptions, SourceState, TrackingState } from "./engine-types.ts";
import { checkSources, isReference, pollOf } from "./followed.ts";
import { Following } from "./following.ts";
import { LeapKeeper } from "./leapkeeper.ts";
import { RefclockRunner } from "./refclock-runner.ts";
import { sourceState } from "./states.ts";
import { Steerer } from "./steerer.ts";

export type { EngineEvent, EngineOptions, Followed, ManycastSource, ReferenceSource, SourceOptions, SourceState, TrackingState } from "./engine-types.ts";

/** How often wall and monotonic time are compared, ms. */
const WATCH_MS = 1000;

export class Engine {
  readonly #clock: SteeredClock;
  readonly #core = new DisciplineCore();
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #following: Following;
  readonly #steerer: Steerer;
  readonly #leaps: LeapKeeper;
  #watchTimer: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  constructor(host: Host, clock: SteeredClock, options: EngineOptions) {
    checkSources(options.sources);
    const references = options.sources.filter(isReference);
    if (!host.openUdp && references.length < options.sources.length) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets to follow sources with`);
    this.#clock = clock;
    const { algorithm = "estimator", frequency = 0, skew = 0, minPoll: leastPoll = 6, maxPoll = 10 } = options;
    // Who tells the time often is to be heeded as often.
    const minPoll = Math.min(leastPoll, ...references.map(pollOf));
    this.#core.reset({ algorithm, frequency, skew, precision: host.clock.precision });
    const { maximumSlew, maximumFrequency } = clock.actuator;
    this.#core.limits({ slew: maximumSlew, frequency: maximumFrequency, minPoll, maxPoll });
    const { least, count } = options.makeStep ?? { least: 0.1, count: 3 };
    this.#core.stepPolicy(least, count);
    const { single, startup, sum } = options.stepLimits ?? { single: 1000, startup: 0, sum: 0 };
    this.#core.stepLimits(single, startup, sum);
    this.#core.identify((bytes) => host.random(bytes));
    clock.actuator.setRate(frequency);
    const tell = (event: EngineEvent) => this.#tell(event);
    this.#leaps = new LeapKeeper(clock, this.#core, () => tell({ kind: "leapt" }));
    this.#steerer = new Steerer(clock, this.#core, { tell, askNow: () => this.askNow() });
    this.#following = new Following({ host, clock, core: this.#core, options, watch: () => this.#steerer.watch(), steer: (nowNs) => this.#steerer.steer(nowNs, true), tell });
  }

  /** Be told what happens. Returns how to stop being told. */
  listen(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begin to follow the sources. Resolves when their names were looked up; a name that fails is tried again later. */
  async start(): Promise<void> {
    this.#steerer.watch();
    this.#watchTimer = setInterval(() => {
      this.#steerer.watch();
      this.#steerer.tellSynchronised();
      this.#following.tellReferences();
      this.#leaps.tick(this.#core.system(this.#clock.monotonic()).leap);
    }, WATCH_MS);
    await this.#following.start();
  }

  /** Stop following. The clock keeps its frequency correction and ends its slew. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#steerer.close();
    clearInterval(this.#watchTimer);
    this.#leaps.close();
    // What is known is kept before the sources go: the bound grows from here.
    this.#core.system(this.#clock.monotonic());
    this.#following.close();
    this.#clock.actuator.setRate(this.#core.steering().frequency);
  }

  /** Ask every source now. */
  askNow(): void {
    this.#following.askNow();
  }

  tracking(): TrackingState {
    const now = this.#clock.monotonic();
    const { remaining, frequency, skew, poll } = this.#core.steering();
    const { bound, ...system } = this.#core.system(now);
    return {
      ...system,
      synchronised: system.peer >= 0,
      refid: this.#refidOf(system.peer, system.local),
      offset: remaining,
      uncertainty: bound,
      frequencyPpm: frequency * 1e6,
      skewPpm: skew * 1e6,
      poll,
    };
  }

  /** NTPv5's reference identifiers, ours and those of all that we follow, for a server of ours to tell. */
  referenceIds(): Uint8Array {
    this.#core.system(this.#clock.monotonic());
    return this.#core.referenceIds();
  }

  sources(): SourceState[] {
    const now = this.#clock.monotonic();
    const { peer } = this.#core.system(now);
    return this.#following.runners.map((runner) => sourceState(runner, this.#core, { peer, now }));
  }

  /** Whom the clock follows; undefined: nobody. */
  systemPeer(): SourceState | undefined {
    const now = this.#clock.monotonic();
    const { peer } = this.#core.system(now);
    const runner = this.#following.runners[peer];
    return runner && sourceState(runner, this.#core, { peer, now });
  }

  /** Address of whom we follow, or a reference clock's identifier. */
  #refidOf(peer: number, local: boolean): string {
    const runner = this.#following.runners[peer];
    if (runner instanceof RefclockRunner) return runner.refid;
    return runner?.endpoint?.address ?? (local ? "LOCL" : "");
  }

  #tell(event: EngineEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        // A listener's fault is its own: it MUST NOT stop the steering of the clock, nor pass unseen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
