// SPDX-License-Identifier: MIT OR Apache-2.0
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `startClock()` over plain sources: the clock that a page reads. Its readings keep hosts/common/client/start.ts's promise:
 * never backwards, never standing still; a correction back is shown as a slew and counts as uncertainty until it is done.
 * Tested in pageclock.test.ts and engine.test.ts.
 *
 * @module
 */

import { NtpError } from "../common/errors.ts";
import { PageEngine, type PageState } from "./engine.ts";
import { PageCore } from "./pagecore.ts";
import { withoutRelay } from "./relayless.ts";
import { coarseClock } from "./timer.ts";
import { openTimeSource } from "./timesource.ts";
import { loadPageCore } from "./wasm.ts";

export interface PageClockOptions {
  /** A relay, whose own time is followed: `wss://relay.example.org/`. */
  readonly relay?: string | URL;
  /** Relays (`wss:`) and servers of HTTP time (`https:`); default the relay. */
  readonly sources?: readonly (string | URL)[];
  /** log2 s. Defaults 4 and 10. */
  readonly minPoll?: number;
  readonly maxPoll?: number;
  /** For the first agreement, s; 0: not at all. Default 30. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** The least speed at which time is shown while it has to come back. */
const SLOWEST_TENTHS = 9n;

/** A steady, bounded clock. Events: "change". */
export class PageClock extends EventTarget implements AsyncDisposable {
  readonly #engine: PageEngine;
  #shown: { readonly time: bigint; readonly at: bigint } | undefined;

  /** Use {@link startPageClock}. */
  constructor(core: PageCore, sources: readonly string[], { minPoll = 4, maxPoll = 10 }: PageClockOptions) {
    super();
    const opened = sources.map((source) => [source, openTimeSource(source)] as const);
    this.#engine = new PageEngine(core, coarseClock(), opened, { minPoll, maxPoll, changed: () => this.dispatchEvent(new Event("change")) });
  }

  /** The time, nanoseconds since 1970. Never less than it was, and never standing still. */
  nowNs(): bigint {
    const { time, at } = this.#read();
    this.#shown = { time, at };
    return time;
  }

  #read(): { time: bigint; at: bigint; ahead: bigint } {
    const now = this.#engine.clock.now();
    const at = this.#engine.clock.monotonic();
    const least = this.#shown === undefined ? now : this.#shown.time + ((at - this.#shown.at) * SLOWEST_TENTHS) / 10n;
    return least > now ? { time: least, at, ahead: least - now } : { time: now, at, ahead: 0n };
  }

  /** The time, in milliseconds. */
  now(): Date {
    return new Date(Number(this.nowNs() / 1_000_000n));
  }

  /** How far {@link nowNs} may be off now, s: Infinity before the sources agree, growing while they are silent. */
  get uncertainty(): number {
    return this.#engine.state().uncertainty + Number(this.#read().ahead) / 1e9;
  }

  get synchronised(): boolean {
    return this.#engine.state().synchronised;
  }

  /** Everything that is known now. */
  get state(): PageState {
    return { ...this.#engine.state(), uncertainty: this.uncertainty };
  }

  /** Ask the sources now, as far as they bear it. */
  askNow(): void {
    this.#engine.askNow();
  }

  /** Stop following the sources. The clock runs on, ever less certain. Idempotent. */
  close(): void {
    this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** @throws {NtpError} `NO_AGREEMENT`, `ABORTED`, `UNSUPPORTED`, `INVALID_ARGUMENT` */
export async function startPageClock(sources: readonly string[], options: PageClockOptions): Promise<PageClock> {
  if (sources.length === 0) throw withoutRelay();
  const clock = new PageClock(new PageCore(await loadPageCore()), sources, options);
  try {
    await agreement(clock, options);
    return clock;
  } catch (error) {
    clock.close();
    throw error;
  }
}

/** Also closes the clock when the caller's signal fires, then or later. */
async function agreement(clock: PageClock, { timeout = 30, signal }: PageClockOptions): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clock.close();
      reject(new NtpError("ABORTED", "startClock was aborted by its caller", { cause: signal?.reason }));
    };
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    if (timeout === 0) return resolve();
    clock.addEventListener("change", () => {
      if (clock.synchronised) resolve();
    });
    const late = () => {
      const told = clock.state.sources.map(({ source, used, lastError }) => `${source}: ${used} answers${lastError ? `, ${lastError}` : ""}`).join("; ");
      reject(new NtpError("NO_AGREEMENT", `expected sources that agree within ${timeout} s, got ${told}`));
    };
    timer = setTimeout(late, Math.min(timeout * 1000, 2 ** 31 - 1));
  }).finally(() => clearTimeout(timer));
}
