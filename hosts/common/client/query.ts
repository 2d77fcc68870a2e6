// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source asked once: every address of its name gets its turn, the first usable answer wins.
 *
 * A turn begins when the one before has failed, answered unusably, or stayed silent for a while; earlier ones go on
 * listening. When all have had a turn, those that stayed silent are asked once more, no sooner than two seconds after the
 * first time. A server that sent a kiss is not asked again. Tested in query.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { Attempt, type Outcome } from "./attempt.ts";
import { ExchangeCore } from "./exchange.ts";
import { endpointsOf, type Family } from "./resolve.ts";
import type { Sample } from "./sample.ts";
import { formatEndpoint, parseSource, type Source } from "./source.ts";

export interface QueryOptions {
  /** How long to wait for all in all, seconds, 0.01..300. Default 5. */
  timeout?: number;
  /** Give up when it fires. */
  signal?: AbortSignal;
  /** Protocol version of the request. Default 4. */
  version?: 3 | 4;
  /** Only addresses of this family. Default both. */
  family?: Family;
  /** Ask for root delay and dispersion in chrony's finer extension field (0xF323). Default false. */
  fineRoot?: boolean;
}

const DEFAULT_TIMEOUT = 5;
/** An answer later than this is no help, and a number this large is probably milliseconds. */
const LONGEST_TIMEOUT = 300;
/** What a silent address is given before the next has its turn, s: more than nearly every round trip on Earth. */
const TURN = 0.4;
/** Least time between two requests to one address, s: the spacing of a burst (RFC 5905 §13.2). */
const REPEAT_AFTER = 2;

let sharedCore: ExchangeCore | undefined;

/** The instance of the core that all one-shot requests of this process share. */
export function exchangeCore(): ExchangeCore {
  sharedCore ??= new ExchangeCore();
  return sharedCore;
}

/** See {@link Escapement.query}. */
export async function query(host: Host, source: string | URL, options: QueryOptions = {}): Promise<Sample> {
  const timeout = checkedTimeout(options.timeout);
  const parsed = parseSource(source);
  const deadline = AbortSignal.timeout(Math.ceil(timeout * 1000));
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const run = new Run(host, parsed, options, timeout);
  try {
    return await Promise.race([run.go(signal), rejection(signal)]);
  } catch (error) {
    if (options.signal?.aborted) throw new NtpError("ABORTED", `the request to "${parsed.text}" was aborted by its caller`, { source: parsed.text, cause: options.signal.reason });
    if (deadline.aborted && error === deadline.reason) return run.giveUp();
    throw error;
  } finally {
    run.close();
  }
}

/** @throws {NtpError} `INVALID_ARGUMENT` */
export function checkedTimeout(timeout = DEFAULT_TIMEOUT): number {
  if (timeout >= 0.01 && timeout <= LONGEST_TIMEOUT) return timeout;
  throw new NtpError("INVALID_ARGUMENT", `expected a timeout of 0.01..${LONGEST_TIMEOUT} seconds, got ${timeout}`);
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** The attempts of one query. */
class Run {
  readonly #attempts: Attempt[] = [];
  readonly #failures: Error[] = [];
  /** The first answer that was no use; better than nothing at the end. */
  #unfit: Sample | undefined;

  readonly host: Host;
  readonly source: Source;
  readonly options: QueryOptions;
  readonly timeout: number;
  readonly #done = new Map<Attempt, Outcome>();

  constructor(host: Host, source: Source, options: QueryOptions, timeout: number) {
    this.host = host;
    this.source = source;
    this.options = options;
    this.timeout = timeout;
  }

  async go(signal: AbortSignal): Promise<Sample> {
    const endpoints = await endpointsOf(this.host, this.source, this.options.family, signal);
    const silent: { endpoint: Endpoint; askedAt: number }[] = [];
    for (const endpoint of endpoints) {
      const askedAt = performance.now();
      const sample = await this.#turn(endpoint, signal);
      if (sample) return sample;
      if (this.#isSilent(endpoint)) silent.push({ endpoint, askedAt });
    }
    for (const { endpoint, askedAt } of silent) {
      const sample = await this.#anyWithin(askedAt / 1000 + REPEAT_AFTER - performance.now() / 1000, signal);
      if (sample) return sample;
      if (!this.#isSilent(endpoint)) continue;
      const again = await this.#turn(endpoint, signal);
      if (again) return again;
    }
    return (await this.#anyWithin(Infinity, signal)) ?? this.giveUp();
  }

  /** Ask one address; the sample when anything usable came before its turn was over. */
  async #turn(endpoint: Endpoint, signal: AbortSignal): Promise<Sample | undefined> {
    const { host, source, options } = this;
    const attempt = new Attempt({
      host,
      core: exchangeCore(),
      source: source.text,
      endpoint,
      version: options.version ?? 4,
      fineRoot: options.fineRoot ?? false,
    });
    this.#attempts.push(attempt);
    return this.#anyWithin(TURN, signal, attempt);
  }

  /**
   * Wait for a usable sample of any attempt under way. Undefined after `seconds`, once `attempt` has ended uselessly, or
   * when nothing is under way.
   */
  async #anyWithin(seconds: number, signal: AbortSignal, attempt?: Attempt): Promise<Sample | undefined> {
    const timer = timeoutPromise(seconds, signal);
    try {
      for (;;) {
        const open = this.#attempts.filter((candidate) => !this.#done.has(candidate));
        if (open.length === 0 || (attempt && this.#done.has(attempt))) return undefined;
        const ended = await Promise.race([timer.promise, ...open.map((candidate) => candidate.outcome.then((outcome) => ({ candidate, outcome })))]);
        if (!ended) return undefined;
        this.#done.set(ended.candidate, ended.outcome);
        const sample = this.#useful(ended.outcome);
        if (sample) return sample;
      }
    } finally {
      timer.cancel();
    }
  }

  #useful(outcome: Outcome): Sample | undefined {
    if (outcome.kind === "failed") {
      this.#failures.push(outcome.error);
      return undefined;
    }
    if (outcome.sample.usable) return outcome.sample;
    this.#unfit ??= outcome.sample;
    return undefined;
  }

  #isSilent(endpoint: Endpoint): boolean {
    return this.#attempts.every((attempt) => attempt.endpoint !== endpoint || !this.#done.has(attempt));
  }

  /** What there is when no usable answer came: an unfit sample, or an error that says what happened. */
  giveUp(): Sample {
    if (this.#unfit) return this.#unfit;
    const { text } = this.source;
    const asked = [...new Set(this.#attempts.map(({ endpoint }) => formatEndpoint(endpoint.address, endpoint.port)))].join(", ");
    const failure = this.#failures[0];
    if (failure && this.#failures.length === this.#attempts.length) {
      if (failure instanceof NtpError) throw failure;
      throw new NtpError("UNREACHABLE", `no NTP server can be reached at "${text}" (asked ${asked}): ${failure.message}`, { source: text, cause: failure });
    }
    throw new NtpError("TIMEOUT", `no answer from "${text}" within ${this.timeout} s (asked ${asked || "nobody: its name did not resolve in time"})${this.#ignoredText()}; check that UDP to this port is let through`, { source: text });
  }

  #ignoredText(): string {
    const counts = new Map<string, number>();
    for (const attempt of this.#attempts) for (const [why, times] of attempt.ignored) counts.set(why, (counts.get(why) ?? 0) + times);
    if (counts.size === 0) return "";
    return `; passed over ${[...counts].map(([why, times]) => `${times} × ${why}`).join(", ")}`;
  }

  close(): void {
    for (const attempt of this.#attempts) attempt.close();
  }
}

/** Resolves to undefined after `seconds`; never when they are infinite. Rejects when the signal fires. */
function timeoutPromise(seconds: number, signal: AbortSignal): { promise: Promise<undefined>; cancel(): void } {
  let cancel = () => {};
  const promise = new Promise<undefined>((resolve, reject) => {
    const timer = Number.isFinite(seconds) ? setTimeout(resolve, Math.max(0, seconds * 1000), undefined) : undefined;
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    cancel = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
  });
  return { promise, cancel };
}
