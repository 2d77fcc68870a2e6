// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Whom an engine follows: a runner for each source, its place in the core, and who may join or leave while it runs (pools, peers
 * that come unasked, servers that manycast finds).
 *
 * Tested in engine.test.ts.
 *
 * @module
 */

import type { Endpoint, Host } from "../host.ts";
import type { SteeredClock } from "../clock/steered.ts";
import type { NtsOptions } from "../nts/options.ts";
import type { DisciplineCore } from "./discipline.ts";
import type { EngineEvent, EngineOptions, Followed, ManycastSource, ReferenceSource, SourceOptions } from "./engine-types.ts";
import { LOCAL_STRATUM, SOURCE_LIMIT, isReference } from "./followed.ts";
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
import type { SourceVersion } from "./version.ts";

/** Two clocks that differ by less judge certificates alike, and this host's own needs no TLS that can be told the time. */
const CLOCKS_AGREE_MS = 60_000;

export type Runner = SourceRunner | PeerRunner | BroadcastRunner | RefclockRunner;

/** The engine's parts that sources are followed with. */
interface Means {
  readonly host: Host;
  readonly clock: SteeredClock;
  readonly core: DisciplineCore;
  readonly options: EngineOptions;
  /** Look whether the clock was moved by somebody else. */
  readonly watch: () => void;
  /** Obey what the core made of the sample that it was told at this monotonic time. */
  readonly steer: (nowNs: bigint) => void;
  readonly tell: (event: EngineEvent) => void;
}

export class Following {
  readonly #means: Means;
  /** In the order of the core's indices; one whose server sent DENY stays, closed, to be shown. */
  readonly #runners: Runner[] = [];
  readonly #port: PeerPort;
  readonly #manycasts: ManycastRunner[] = [];
  /** Places of sources that manycast had found, free again. */
  readonly #free = new Set<number>();
  #closed = false;

  constructor(means: Means) {
    this.#means = means;
    this.#port = new PeerPort(means.host, means.options.peering ?? {}, (endpoint) => this.#welcome(endpoint));
  }

  get runners(): readonly Runner[] {
    return this.#runners;
  }

  /** Begin with all of them. Resolves when their names were looked up; a name that fails is tried again later. */
  async start(): Promise<void> {
    const { options, core } = this.#means;
    if (options.peering?.allow?.length) await this.#port.listen();
    if (this.#closed) return;
    const followed = options.sources.map((source) => this.#follow(source));
    lockPulses(this.#runners.filter((runner) => runner instanceof RefclockRunner), core);
    await Promise.all(followed);
  }

  close(): void {
    this.#closed = true;
    for (const manycast of this.#manycasts) manycast.close();
    for (const runner of this.#runners) runner.close();
    this.#port.close();
  }

  /** Ask every source now. */
  askNow(): void {
    for (const runner of this.#runners) runner.askNow();
  }

  /** Tell of reference clocks that fell silent, or are heard again. */
  tellReferences(): void {
    for (const runner of this.#runners) {
      const told = runner instanceof RefclockRunner ? runner.news(this.#means.clock.monotonic()) : undefined;
      if (told) this.#means.tell({ kind: "reference", ...told });
    }
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
    const found = pool > 1 ? await endpointsOf(this.#means.host, parsed).catch(() => []) : [];
    if (this.#closed) return;
    const taken = (endpoint: Endpoint) => this.#runners.some((runner) => runner.endpoint !== undefined && sameEndpoint(runner.endpoint, endpoint));
    const endpoints = found.filter((endpoint) => !taken(endpoint)).slice(0, pool);
    const members = endpoints.length > 0 ? endpoints.map((endpoint) => ({ endpoint, taken })) : [{}];
    await Promise.all(members.map((member) => {
      const index = this.#runners.length;
      const establish = this.#establishWith(parsed, followed.nts, version);
      const { serving = false } = this.#means.options;
      const runner = new SourceRunner(this.#context, { index, source: parsed, version, serving, interleaved, correction, key, establish, ...this.#polls(followed), ...member });
      this.#runners.push(runner);
      return runner.start();
    }));
  }

  #polls({ minPoll = this.#means.options.minPoll ?? 6, maxPoll = this.#means.options.maxPoll ?? 10 }: Pick<SourceOptions, "minPoll" | "maxPoll">) {
    return { minPoll, maxPoll };
  }

  #establishWith(source: Source, options: NtsOptions = {}, version: SourceVersion = 4): Establish | undefined {
    if (source.scheme !== "nts") return undefined;
    return keyEstablishment(this.#means.host, source, { ...options, version }, () => {
      const [clockMs, hostMs] = [this.#means.clock.now(), this.#means.host.clock.now()].map((ns) => Number(ns / 1_000_000n)) as [number, number];
      return { synchronised: this.#means.core.system(this.#means.clock.monotonic()).peer >= 0, ...(Math.abs(clockMs - hostMs) > CLOCKS_AGREE_MS ? { clockMs } : {}) };
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
      this.#means.core.refclocks.local(spec.stratum ?? LOCAL_STRATUM);
      return Promise.resolve();
    }
    const clock: RefClock = own?.clock ?? openRefClock(spec!, this.#means.host);
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
    const { minPoll = 6, maxPoll = 10 } = this.#means.options;
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
    const { host, core, clock, watch, steer, tell } = this.#means;
    return {
      host, core, clock, watch, steer,
      stopped: (runner: { readonly options: RunnerOptions }) => {
        tell({ kind: "stopped", source: runner.options.source.text });
        for (const other of this.#asking()) if (other.duplicateOf !== undefined) other.askNow();
      },
      trouble: ({ options: { source } }: { readonly options: RunnerOptions }, message: string, wrong: boolean) => tell({ kind: "source", source: source.text, message, wrong }),
      speaker: (runner: SourceRunner, endpoint: Endpoint) => speakerFor(runner, endpoint, this.#asking()),
      heard: (runner: SourceRunner) => {
        for (const other of this.#asking()) if (other !== runner) other.reconsider();
      },
    };
  }
}
