// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * `startClock()` and `watch()`: a disciplined clock for any process, without privileges.
 *
 * The clock is a virtual one over the monotonic timer. Once it has started it never goes backwards: corrections are slews, or
 * steps forward.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import { steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import { Engine, type EngineEvent, type EngineOptions, type SourceOptions, type SourceState, type TrackingState } from "./engine.ts";
import { DEFAULT_SOURCES } from "./survey.ts";

export interface ClockOptions extends Omit<EngineOptions, "sources"> {
  /** What to follow. Default {@link DEFAULT_SOURCES}. */
  readonly sources?: readonly (string | URL | SourceOptions)[];
  /** Stop when it fires. */
  readonly signal?: AbortSignal;
  /** How long startClock waits for the first agreement, s; 0: not at all. Default 30. */
  readonly timeout?: number;
}

/** State of a disciplined clock at one moment. */
export interface ClockState extends TrackingState {
  readonly event: EngineEvent["kind"];
  readonly sources: readonly SourceState[];
}

/** A steady, bounded clock. Events: "change" (a {@link ClockState} in `detail`). */
export class Clock extends EventTarget implements AsyncDisposable {
  readonly #clock: SteeredClock;
  readonly #engine: Engine;
  #latest = 0n;

  constructor(clock: SteeredClock, engine: Engine) {
    super();
    this.#clock = clock;
    this.#engine = engine;
    engine.listen((event) => this.dispatchEvent(Object.assign(new Event("change"), { detail: this.#state(event.kind) })));
  }

  /** The time, nanoseconds since 1970. Never less than it was. */
  nowNs(): bigint {
    const now = this.#clock.now();
    if (now > this.#latest) this.#latest = now;
    return this.#latest;
  }

  /** The time, in milliseconds. */
  now(): Date {
    return new Date(Number(this.nowNs() / 1_000_000n));
  }

  /** How far {@link nowNs} may be off now, s: Infinity before the sources agree, growing while they are silent. */
  get uncertainty(): number {
    return this.#engine.tracking().uncertainty;
  }

  get synchronised(): boolean {
    return this.#engine.tracking().synchronised;
  }

  /** Everything that is known now. */
  get state(): ClockState {
    return this.#state("updated");
  }

  #state(event: EngineEvent["kind"]): ClockState {
    return { ...this.#engine.tracking(), event, sources: this.#engine.sources() };
  }

  /** Stop following the sources. The clock runs on, ever less certain. Idempotent. */
  close(): void {
    this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

const DEFAULT_TIMEOUT = 30;

function launch(host: Host, options: ClockOptions): { clock: Clock; engine: Engine } {
  const { sources = DEFAULT_SOURCES, ...rest } = options;
  const followed = sources.map((source) => (typeof source === "string" || source instanceof URL ? { source } : source));
  const steered = steeredVirtual(host.clock);
  const engine = new Engine(host, steered, { ...rest, sources: followed });
  return { clock: new Clock(steered, engine), engine };
}

/** See {@link Escapement.startClock}. */
export async function startClock(host: Host, options: ClockOptions = {}): Promise<Clock> {
  options.signal?.throwIfAborted();
  const { clock, engine } = launch(host, options);
  options.signal?.addEventListener("abort", () => clock.close(), { once: true });
  const agreed = agreement(clock, engine, options);
  void engine.start();
  try {
    await agreed;
    return clock;
  } catch (error) {
    clock.close();
    throw error;
  }
}

/** Resolves at the first agreement. @throws {NtpError} `NO_AGREEMENT`, `ABORTED` */
function agreement(clock: Clock, engine: Engine, { timeout = DEFAULT_TIMEOUT, signal }: ClockOptions): Promise<void> {
  if (timeout === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const end = (act: () => void) => {
      clearTimeout(timer);
      stop();
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    const onAbort = () => end(() => reject(new NtpError("ABORTED", "startClock was aborted by its caller", { cause: signal?.reason })));
    const late = () => new NtpError("NO_AGREEMENT", `expected sources that agree within ${timeout} s, got ${told(clock.state)}; give more sources, or a longer timeout`);
    const timer = setTimeout(() => end(() => reject(late())), timeout * 1000);
    const stop = engine.listen(({ kind }) => {
      if (kind === "synchronised") end(resolve);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function told({ sources }: ClockState): string {
  return sources.map(({ source, selection, used, sent, lastError }) => `${source}: ${used}/${sent} answers, ${selection}${lastError ? `, ${lastError}` : ""}`).join("; ") || "none";
}

/** See {@link Escapement.watch}. */
export async function* watch(host: Host, options: ClockOptions = {}): AsyncGenerator<ClockState, void, void> {
  const { clock, engine } = launch(host, options);
  const waiting: ClockState[] = [];
  let wake: () => void = () => {};
  clock.addEventListener("change", (event) => {
    waiting.push((event as Event & { detail: ClockState }).detail);
    wake();
  });
  const onAbort = () => {
    clock.close();
    wake();
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  void engine.start();
  try {
    while (!options.signal?.aborted) {
      const state = waiting.shift();
      if (state) yield state;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    clock.close();
  }
}
