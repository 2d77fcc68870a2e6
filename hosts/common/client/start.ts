// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `startClock()` and `watch()`: a disciplined clock for any process, without privileges.
 *
 * The clock is a virtual one over the monotonic timer, unless the system's is given to be steered. Before `startClock()` resolves it is set as the sources say, forward or
 * back. Who then reads it never sees it go backwards nor stand still: a correction forward may be a step, one back is always
 * shown as a slew, at nine tenths of the speed however large it is, and counts as uncertainty until it is done. (The policy
 * `makeStep` is about the clock underneath: by default it is only stepped in its first three corrections, and after the
 * machine slept, when it follows the host's wall clock ahead.) Tested in start.test.ts,
 * started-clock.test.ts and watch.test.ts.
 *
 * @module
 */

import type { RelayChoice } from "../relay/by.ts";
import { NtpError } from "../errors.ts";
import type { Host } from "../host.ts";
import type { ClockReading } from "../server/reading.ts";
import { steeredVirtual, type SteeredClock } from "../clock/steered.ts";
import type { LentClock, SystemClock } from "../clock/system.ts";
import type { CardOptions } from "./cards.ts";
import { Engine, type EngineEvent, type EngineOptions, type Followed, type SourceState, type TrackingState } from "./engine.ts";
import { DEFAULT_SOURCES } from "./survey.ts";

export interface ClockOptions extends Omit<EngineOptions, "sources">, CardOptions {
  /** What to follow. Default {@link DEFAULT_SOURCES}. */
  readonly sources?: readonly (string | URL | Followed)[];
  /** Stop when it fires. */
  readonly signal?: AbortSignal;
  /** How long startClock waits for the first agreement, s; 0: not at all; Infinity: for ever. Default 30. */
  readonly timeout?: number;
  /**
   * Steer this clock instead of a virtual one: the system's, as {@link Escapement.openSystemClock} opens it. It is told how good it
   * is, and arms its leap seconds, as the daemon does; it stays open when this clock is closed. Default: a virtual one.
   */
  readonly steer?: SystemClock;
  /** Ask by this relay: its `ws:` or `wss:` URL. It need not be trusted with authenticated sources: docs/relay.md. Default none. */
  readonly relay?: RelayChoice;
}

/** State of a disciplined clock at one moment. */
export interface ClockState extends TrackingState {
  readonly event: EngineEvent["kind"];
  /** The event with all it carries: which limit is near, which source cannot be asked and why. Absent in {@link Clock.state}. */
  readonly details?: EngineEvent;
  readonly sources: readonly SourceState[];
}

/** A steady, bounded clock. Events: "change" (a {@link ClockState} in `detail`). */
export class Clock extends EventTarget implements AsyncDisposable {
  readonly #clock: SteeredClock;
  readonly #engine: Engine;
  /** What was read last, and the clock's monotonic time then. */
  #shown: { readonly time: bigint; readonly at: bigint } | undefined;

  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.close();

  readonly #wall: () => bigint;
  /** What else is to be done at the end. */
  readonly #release: (() => void) | undefined;

  constructor(clock: SteeredClock, engine: Engine, { wall, signal, lent }: { wall: () => bigint; signal?: AbortSignal | undefined; lent?: LentClock | undefined }) {
    super();
    this.#wall = wall;
    this.#release = lent?.follow(engine, () => this.close());
    this.#clock = clock;
    this.#engine = engine;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    engine.listen((event) => this.dispatchEvent(Object.assign(new Event("change"), { detail: { ...this.#state(event.kind), details: event } })));
  }

  /** The time, nanoseconds since 1970. Never less than it was, and never standing still. */
  nowNs(): bigint {
    const { time, at } = this.#read();
    this.#shown = { time, at };
    return time;
  }

  /** `ahead`: how much of a correction back is still to be shown, ns. */
  #read(): { time: bigint; at: bigint; ahead: bigint } {
    const now = this.#clock.now();
    const at = this.#clock.monotonic();
    if (this.#shown === undefined) return { time: now, at, ahead: 0n };
    const passed = at - this.#shown.at;
    const least = this.#shown.time + (passed * SLOWEST_TENTHS) / 10n;
    return least > now ? { time: least, at, ahead: least - now } : { time: now, at, ahead: 0n };
  }

  /** The time, in milliseconds. */
  now(): Date {
    return new Date(Number(this.nowNs() / 1_000_000n));
  }

  /** How far {@link nowNs} may be off now, s: Infinity before the sources agree, growing while they are silent. */
  get uncertainty(): number {
    return this.#engine.tracking().uncertainty + Number(this.#read().ahead) / 1e9;
  }

  /** This clock in terms of the host's wall clock, as it is now; for {@link serve}. Without the filter of {@link nowNs}. */
  reading(): ClockReading {
    const wallNs = this.#wall();
    return { wallNs, timeNs: this.#clock.carry(wallNs).time, rate: this.#clock.actuator.rate() };
  }

  /** NTPv5's reference identifiers, ours and those of all that it follows: what a server of this clock is to tell by `update()`. */
  referenceIds(): Uint8Array {
    return this.#engine.referenceIds();
  }

  get synchronised(): boolean {
    return this.#engine.tracking().synchronised;
  }

  /** Everything that is known now. */
  get state(): ClockState {
    return this.#state("updated");
  }

  #state(event: EngineEvent["kind"]): ClockState {
    return { ...this.#engine.tracking(), uncertainty: this.uncertainty, event, sources: this.#engine.sources() };
  }

  /** Stop following the sources. The clock runs on, ever less certain. Idempotent. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#engine.close();
    this.#release?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

const DEFAULT_TIMEOUT = 30;
/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** The least speed at which time is shown while it has to come back. */
const SLOWEST_TENTHS = 9n;
/** States kept for who is slow to look at them; the oldest go first. */
const WAITING_LIMIT = 256;

function launch(host: Host, options: ClockOptions): { clock: Clock; engine: Engine } {
  const { sources = DEFAULT_SOURCES, steer, signal, ...rest } = options;
  const followed = sources.map((source) => (typeof source === "string" || source instanceof URL ? { source } : source));
  const lent = steer?.lend();
  const steered = lent?.clock ?? steeredVirtual(host.clock);
  const engine = new Engine(host, steered, { ...(lent && { frequency: lent.frequency }), ...rest, sources: followed });
  return { clock: new Clock(steered, engine, { wall: () => host.clock.now(), signal, lent }), engine };
}

/** See {@link Escapement.startClock}. */
export async function startClock(host: Host, options: ClockOptions = {}): Promise<Clock> {
  const { signal, timeout = DEFAULT_TIMEOUT } = options;
  if (!(timeout >= 0)) throw new NtpError("INVALID_ARGUMENT", `expected a timeout of 0 s or more, got ${timeout}`);
  if (signal?.aborted) throw aborted(signal);
  const { clock, engine } = launch(host, options);
  const agreed = agreement(clock, engine, options);
  try {
    // A start that fails (a port that cannot be bound) ends the wait.
    engine.start().catch(agreed.fail);
    await agreed.promise;
    return clock;
  } catch (error) {
    clock.close();
    throw error;
  }
}

/** Resolves at the first agreement, or rejects with what `fail` is called with. @throws {NtpError} `NO_AGREEMENT`, `ABORTED` */
function agreement(clock: Clock, engine: Engine, { timeout = DEFAULT_TIMEOUT, signal }: ClockOptions) {
  let fail = (_: Error): void => {};
  if (timeout === 0) return { promise: Promise.resolve(), fail };
  const promise = new Promise<void>((resolve, reject) => {
    const end = (act: () => void) => {
      clearTimeout(timer);
      stop();
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    const onAbort = () => end(() => reject(aborted(signal)));
    const late = () => new NtpError("NO_AGREEMENT", `expected sources that agree within ${timeout} s, got ${told(clock.state)}; give more sources, or a longer timeout`);
    const timer = timeout * 1000 > LONGEST_TIMER_MS ? undefined : setTimeout(() => end(() => reject(late())), timeout * 1000);
    const stop = engine.listen(({ kind }) => {
      if (kind === "synchronised") end(resolve);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
    fail = (error) => end(() => reject(error));
  });
  return { promise, fail };
}

function aborted(signal: AbortSignal | undefined): NtpError {
  return new NtpError("ABORTED", "startClock was aborted by its caller", { cause: signal?.reason });
}

function told({ sources }: ClockState): string {
  return sources.map(toldOf).join("; ") || "none";
}

/** What a source did, and why that is not enough. */
function toldOf({ source, selection, used, sent, lastError, lastKiss, lastProblems }: SourceState): string {
  const reason = lastError ?? (lastKiss || lastProblems.map(({ message }) => message).join(", "));
  return `${source}: ${used}/${sent} answers, ${selection}${reason && `, ${reason}`}`;
}

/** See {@link Escapement.watch}. */
export async function* watch(host: Host, options: ClockOptions = {}): AsyncGenerator<ClockState, void, void> {
  if (options.signal?.aborted) return;
  const { clock, engine } = launch(host, options);
  const waiting: ClockState[] = [];
  let wake: () => void = () => {};
  clock.addEventListener("change", (event) => {
    if (waiting.length === WAITING_LIMIT) waiting.shift();
    waiting.push((event as Event & { detail: ClockState }).detail);
    wake();
  });
  const onAbort = () => wake();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  let failure: Error | undefined;
  engine.start().catch((error: Error) => {
    failure = error;
    wake();
  });
  try {
    while (!options.signal?.aborted) {
      if (failure) throw failure;
      const state = waiting.shift();
      if (state) yield state;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    clock.close();
  }
}
