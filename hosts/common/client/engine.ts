// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The engine: several sources, one discipline, one clock. Sources' runners feed the core; the core's steering is obeyed
 * here. It decides nothing.
 *
 * Tested in engine.test.ts and, over a simulated day, in tests/simulation.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import type { SteeredClock } from "../clock/steered.ts";
import type { NtsOptions } from "../nts/options.ts";
import { DisciplineCore, type Steering } from "./discipline.ts";
import type { EngineEvent, EngineOptions, Followed, ManycastSource, ReferenceSource, SourceOptions, SourceState, TrackingState } from "./engine-types.ts";
import { LOCAL_STRATUM, SOURCE_LIMIT, checkSources, isReference, pollOf } from "./followed.ts";
import { LeapKeeper } from "./leapkeeper.ts";
import { formatEndpoint, sameAddress } from "../address.ts";
import { sameEndpoint, speakerFor } from "./duplicates.ts";
import { endpointsOf } from "./resolve.ts";
import { BroadcastRunner } from "./broadcast-runner.ts";
import { MANYCAST_SERVERS, ManycastRunner } from "./manycast-runner.ts";
import { PeerRunner } from "./peer-runner.ts";
import { PeerPort } from "./peering.ts";
import { openRefClock, parseRefClock } from "../refclock/open.ts";
import type { RefClock, RefClockTuning } from "../refclock/refclock.ts";
import { RefclockRunner, lockPulses } from "./refclock-runner.ts";
import { SourceRunner, type RunnerOptions } from "./runner.ts";
import { keyEstablishment, type Establish } from "./keyring.ts";
import { parseSource, type Source } from "./source.ts";
import { sourceState } from "./states.ts";
import type { SourceVersion } from "./version.ts";

export type { EngineEvent, EngineOptions, Followed, ManycastSource, ReferenceSource, SourceOptions, SourceState, TrackingState } from "./engine-types.ts";

/** How often wall and monotonic time are compared, ms. */
const WATCH_MS = 1000;
/** Two clocks that differ by less judge certificates alike, and this host's own needs no TLS that can be told the time. */
const CLOCKS_AGREE_MS = 60_000;
/** Wall and monotonic time are to be read together; well below the jump that counts, 50 ms. */
const LONGEST_LOOK_NS = 10_000_000n;
/** What the core's clock watch calls a leap second. */
const LEAPT = 3;
/** Flags of the steering, and what each means. */
const STEP_REFUSED = 1;
const NEAR = [[2, "sum"], [4, "single"], [8, "startup"]] as const;

export class Engine {
  readonly #host: Host;
  readonly #clock: SteeredClock;
  readonly #core = new DisciplineCore();
  readonly #options: EngineOptions;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  /** In the order of the core's indices; one whose server sent DENY stays, closed, to be shown. */
  readonly #runners: (SourceRunner | PeerRunner | BroadcastRunner | RefclockRunner)[] = [];
  readonly #port: PeerPort;
  readonly #manycasts: ManycastRunner[] = [];
  /** Places of sources that manycast had found, free again. */
  readonly #free = new Set<number>();
  #steerTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setInterval> | undefined;
  readonly #leaps: LeapKeeper;
  /** Why the clock would not be steered last. */
  #refusal: string | undefined;
  #synchronised = false;
  #flags = 0;
  #closed = false;

  constructor(host: Host, clock: SteeredClock, options: EngineOptions) {
    checkSources(options.sources);
    const references = options.sources.filter(isReference);
    if (!host.openUdp && references.length < options.sources.length) throw new NtpError("UNSUPPORTED", `${host.runtime} has no UDP sockets to follow sources with`);
    this.#host = host;
    this.#clock = clock;
    this.#options = options;
    this.#port = new PeerPort(host, options.peering ?? {}, (endpoint) => this.#welcome(endpoint));
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
    this.#leaps = new LeapKeeper(clock, this.#core, () => this.#tell({ kind: "leapt" }));
  }

  /** Be told what happens. Returns how to stop being told. */
  listen(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begin to follow the sources. Resolves when their names were looked up; a name that fails is tried again later. */
  async start(): Promise<void> {
    this.#watch();
    this.#watchTimer = setInterval(() => {
      this.#watch();
      this.#tellSynchronised();
      this.#tellReferences();
      this.#leaps.tick(this.#core.system(this.#clock.monotonic()).leap);
    }, WATCH_MS);
    if (this.#options.peering?.allow?.length) await this.#port.listen();
    if (this.#closed) return;
    const followed = this.#options.sources.map((source) => this.#follow(source));
    lockPulses(this.#runners.filter((runner) => runner instanceof RefclockRunner), this.#core);
    await Promise.all(followed);
  }

  /** Stop following. The clock keeps its frequency correction and ends its slew. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#steerTimer);
    clearInterval(this.#watchTimer);
    this.#leaps.close();
    // What is known is kept before the sources go: the bound grows from here.
    this.#core.system(this.#clock.monotonic());
    for (const manycast of this.#manycasts) manycast.close();
    for (const runner of this.#runners) runner.close();
    this.#port.close();
    this.#clock.actuator.setRate(this.#core.steering().frequency);
  }

  /** Ask every source now. */
  askNow(): void {
    for (const runner of this.#runners) runner.askNow();
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

  /** Address of whom we follow, or a reference clock's identifier. */
  #refidOf(peer: number, local: boolean): string {
    const runner = this.#runners[peer];
    if (runner instanceof RefclockRunner) return runner.refid;
    return runner?.endpoint?.address ?? (local ? "LOCL" : "");
  }

  /** NTPv5's reference identifiers, ours and those of all that we follow, for a server of ours to tell. */
  referenceIds(): Uint8Array {
    this.#core.system(this.#clock.monotonic());
    return this.#core.referenceIds();
  }

  sources(): SourceState[] {
    const now = this.#clock.monotonic();
    const { peer } = this.#core.system(now);
    return this.#runners.map((runner) => sourceState(runner, this.#core, { peer, now }));
  }

  /** Whom the clock follows; undefined: nobody. */
  systemPeer(): SourceState | undefined {
    const now = this.#clock.monotonic();
    const { peer } = this.#core.system(now);
    const runner = this.#runners[peer];
    return runner && sourceState(runner, this.#core, { peer, now });
  }

  async #follow(followed: Followed): Promise<void> {
    if (isReference(followed)) return this.#followReference(followed);
    if (followed.mode === "manycast") return this.#manycast(followed);
    const { source, pool = 1, version = 4, interleaved = false, correction = false, mode = "client", listen = {}, key } = followed;
    const parsed = parseSource(source);
    if (mode === "broadcast") {
      const listener = new BroadcastRunner(this.#context, listen, { index: this.#runners.length, source: parsed, version, key, minPoll: 0, maxPoll: 0 });
      this.#runners.push(listener);
      return listener.start();
    }
    if (mode === "symmetric") {
      const peer = new PeerRunner(this.#context, this.#port, { index: this.#runners.length, source: parsed, version, key, passive: false, ...this.#polls(followed) });
      this.#runners.push(peer);
      return peer.start();
    }
    const found = pool > 1 ? await endpointsOf(this.#host, parsed).catch(() => []) : [];
    if (this.#closed) return;
    const taken = (endpoint: Endpoint) => this.#runners.some((runner) => runner.endpoint !== undefined && sameEndpoint(runner.endpoint, endpoint));
    const endpoints = found.filter((endpoint) => !taken(endpoint)).slice(0, pool);
    const members = endpoints.length > 0 ? endpoints.map((endpoint) => ({ endpoint, taken })) : [{}];
    await Promise.all(members.map((member) => {
      const index = this.#runners.length;
      const establish = this.#establishWith(parsed, followed.nts, version);
      const { serving = false } = this.#options;
      const runner = new SourceRunner(this.#context, { index, source: parsed, version, serving, interleaved, correction, key, establish, ...this.#polls(followed), ...member });
      this.#runners.push(runner);
      return runner.start();
    }));
  }

  #polls({ minPoll = this.#options.minPoll ?? 6, maxPoll = this.#options.maxPoll ?? 10 }: Pick<SourceOptions, "minPoll" | "maxPoll">) {
    return { minPoll, maxPoll };
  }

  #establishWith(source: Source, options: NtsOptions = {}, version: SourceVersion = 4): Establish | undefined {
    if (source.scheme !== "nts") return undefined;
    return keyEstablishment(this.#host, source, { ...options, version }, () => {
      const [clockMs, hostMs] = [this.#clock.now(), this.#host.clock.now()].map((ns) => Number(ns / 1_000_000n)) as [number, number];
      return { synchronised: this.#core.system(this.#clock.monotonic()).peer >= 0, ...(Math.abs(clockMs - hostMs) > CLOCKS_AGREE_MS ? { clockMs } : {}) };
    });
  }

  #manycast(followed: ManycastSource): Promise<void> {
    const { source: group, version = 4, interleaved = false, manycast = {}, key } = followed;
    const source = parseSource(group);
    const { limit = MANYCAST_SERVERS, hops = 1 } = manycast;
    const found = (endpoint: Endpoint) => {
      const index = this.#place();
      if (this.#closed || index >= SOURCE_LIMIT || this.#isFollowed(endpoint.address)) return undefined;
      const text = formatEndpoint(endpoint);
      const runner = new SourceRunner(this.#context, { index, source: parseSource(text), version, interleaved, key, ...this.#polls(followed), endpoint });
      this.#runners[index] = runner;
      this.#free.delete(index);
      return runner;
    };
    const context = { ...this.#context, found, release: (index: number) => void this.#free.add(index) };
    const runner = new ManycastRunner(context, { which: this.#manycasts.length, source, version, limit, hops });
    this.#manycasts.push(runner);
    return runner.start();
  }

  #followReference(followed: SourceOptions | ReferenceSource): Promise<void> {
    const own = followed.mode === "refclock" ? followed : undefined;
    const spec = own ? undefined : parseRefClock(followed.source);
    if (spec?.kind === "local") {
      this.#core.refclocks.local(spec.stratum ?? LOCAL_STRATUM);
      return Promise.resolve();
    }
    const clock: RefClock = own?.clock ?? openRefClock(spec!, this.#host);
    const tuning: RefClockTuning = own ? (own.tuning ?? {}) : spec!;
    const source = { text: String(followed.source).trim().replace(/\?.*$/, "") };
    const runner = new RefclockRunner(this.#context, { index: this.#runners.length, source, clock, tuning });
    this.#runners.push(runner);
    return runner.start();
  }

  #isFollowed(address: string): boolean {
    return this.#runners.some((runner) => {
      const over = !(runner instanceof BroadcastRunner) && runner.closed;
      return !over && runner.endpoint !== undefined && sameAddress(runner.endpoint.address, address);
    });
  }

  /** Where the next source goes: a place that another one left is taken over. */
  #place(): number {
    const [free] = this.#free;
    if (free !== undefined) return free;
    const left = this.#runners.findIndex((runner) => runner instanceof PeerRunner && runner.options.passive && runner.closed);
    return left < 0 ? this.#runners.length : left;
  }

  /** Somebody who may peers with us. */
  #welcome(endpoint: Endpoint): void {
    if (this.#closed) return;
    const index = this.#place();
    if (index >= SOURCE_LIMIT) return;
    this.#free.delete(index);
    const { minPoll = 6, maxPoll = 10 } = this.#options;
    const source = parseSource(formatEndpoint(endpoint));
    const peer = new PeerRunner(this.#context, this.#port, { index, source, version: 4, passive: true, minPoll, maxPoll, endpoint });
    this.#runners[index] = peer;
    void peer.start();
  }

  /** Sources that are asked, of which several may be one server. */
  #asking(): SourceRunner[] {
    return this.#runners.filter((runner) => runner instanceof SourceRunner);
  }

  get #context() {
    return {
      host: this.#host,
      core: this.#core,
      clock: this.#clock,
      watch: () => this.#watch(),
      steer: (nowNs: bigint) => this.#steer(nowNs, true),
      stopped: (runner: { readonly options: RunnerOptions }) => {
        this.#tell({ kind: "stopped", source: runner.options.source.text });
        for (const other of this.#asking()) if (other.duplicateOf !== undefined) other.askNow();
      },
      trouble: ({ options: { source } }: { readonly options: RunnerOptions }, message: string, wrong: boolean) => this.#tell({ kind: "source", source: source.text, message, wrong }),
      speaker: (runner: SourceRunner, endpoint: Endpoint) => speakerFor(runner, endpoint, this.#asking()),
      heard: (runner: SourceRunner) => {
        for (const other of this.#asking()) if (other !== runner) other.reconsider();
      },
    };
  }

  /**
   * Obey the steering that the core made of what it was told at `nowNs`, and call it back when it wants. `sampled`: it was
   * told a source's sample.
   */
  #steer(nowNs: bigint, sampled = false): void {
    if (this.#closed) return;
    const steering = this.#core.steering();
    this.#act(steering, nowNs);
    clearTimeout(this.#steerTimer);
    if (steering.untilNs !== undefined) {
      const delay = Number(steering.untilNs - this.#clock.monotonic()) / 1e6;
      this.#steerTimer = setTimeout(() => {
        const now = this.#clock.monotonic();
        this.#core.steeringTimer(now);
        this.#steer(now);
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
        this.#watch();
      }
      this.#clock.actuator.setRate(rate, nowNs);
      this.#refusal = undefined;
    } catch (error) {
      if (!(error instanceof NtpError)) throw error;
      if (error.message !== this.#refusal) this.#tell({ kind: "clock-refused", error });
      this.#refusal = error.message;
    }
  }

  /** Sources that fall silent, or disagree, are noticed within a second. */
  #tellSynchronised(): void {
    const { synchronised } = this.tracking();
    if (synchronised === this.#synchronised) return;
    this.#synchronised = synchronised;
    this.#tell({ kind: synchronised ? "synchronised" : "unsynchronised" });
  }

  #tellReferences(): void {
    for (const runner of this.#runners) {
      const told = runner instanceof RefclockRunner ? runner.news(this.#clock.monotonic()) : undefined;
      if (told) this.#tell({ kind: "reference", ...told });
    }
  }

  #tellChanges({ flags, remaining, stepNs }: Steering, sampled: boolean): void {
    if (stepNs !== 0n) this.#tell({ kind: "stepped", offsetNs: stepNs });
    this.#tellSynchronised();
    const raised = flags & ~this.#flags;
    this.#flags = flags;
    if (raised & STEP_REFUSED) this.#tell({ kind: "step-limit", how: "refused" });
    for (const [flag, limit] of NEAR) if (raised & flag) this.#tell({ kind: "step-limit", how: "near", limit });
    this.#tell({ kind: "updated", ...(sampled ? { offset: remaining + Number(stepNs) / 1e9 } : {}) });
  }

  /** Did somebody else move the clock, or did the machine sleep? */
  #watch(): void {
    this.#clock.followHost?.();
    const before = this.#clock.monotonic();
    const time = this.#clock.now();
    const now = this.#clock.monotonic();
    // Held up between the readings, they say nothing of each other: the next look will tell.
    if (now - before > LONGEST_LOOK_NS) return;
    const disturbed = this.#core.watchClock(time, now);
    if (disturbed === 0) return;
    if (disturbed === LEAPT) return this.#tell({ kind: "leapt" });
    this.#steer(now);
    this.askNow();
    this.#tell({ kind: "disturbed", how: disturbed === 1 ? "stepped back" : "stepped ahead or slept" });
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
