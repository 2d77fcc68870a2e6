// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * One source asked once: every address of its name gets its turn, the first usable answer wins.
 *
 * A turn ends when its address has failed, answered unusably, or stayed silent for a while; earlier ones go on listening.
 * When all have had a turn, those that stayed silent are asked once more, no sooner than two seconds after the first
 * time. A server that answered, with a kiss or otherwise, is not asked again.
 *
 * It settles exactly once; with that every socket, timer and listener is gone, and nothing is sent any more. Tested in
 * inquiry.test.ts.
 *
 * @module
 */

import { coreModule } from "../core/core.ts";
import { NtpError } from "../errors.ts";
import type { Endpoint, Host } from "../host.ts";
import { Attempt, type Completable, type Outcome } from "./attempt.ts";
import type { Authentication } from "./authentication.ts";
import { ExchangeCore } from "./exchange.ts";
import type { SymmetricKey } from "./keys.ts";
import type { KeyRing } from "./keyring.ts";
import { endpointsOf, type Family } from "./resolve.ts";
import type { Sample } from "./sample.ts";
import { formatEndpoint } from "../address.ts";
import type { Source } from "./source.ts";
import { drafts, type NtpVersion } from "./version.ts";

/** What to ask, and for how long; checked by the caller. */
export interface Question {
  readonly source: Source;
  /** s */
  readonly timeout: number;
  readonly version: NtpVersion;
  readonly family: Family | undefined;
  readonly fineRoot: boolean;
  /** Ask again until an interleaved reply completes an exchange; without one, the basic sample will do. */
  readonly interleaved: boolean;
  /** Believe only what this key vouches for. */
  readonly key: SymmetricKey | undefined;
  /** How keys are established for an `nts:` source; cookies left over are used by the next question. */
  readonly nts: KeyRing | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a silent address is given before the next has its turn, ms: more than nearly every round trip on Earth. */
const TURN_MS = 400;
/** Least time between two requests to one address, ms: the spacing of a burst (RFC 5905 §13.2). */
const REPEAT_AFTER_MS = 2000;
/** Exchanges to get an interleaved sample: some servers begin to remember only those who ask a second time. */
const INTERLEAVED_EXCHANGES = 3;

/** One instance of the core serves all one-shot requests of this process. */
let sharedCore: ExchangeCore | undefined;

/** An address that waits for its turn. */
interface Turn {
  readonly endpoint: Endpoint;
  /** When it is asked for the second time: the first. */
  readonly first?: Attempt;
}

export class Inquiry {
  /** The first usable sample, else an unfit one, else an {@link NtpError}. */
  readonly sample: Promise<Sample>;
  readonly #host: Host;
  readonly #core: ExchangeCore;
  readonly #question: Question;
  readonly #settled = new AbortController();
  readonly #attempts: Attempt[] = [];
  /** Attempts that may still bring an answer. */
  readonly #open = new Set<Attempt>();
  readonly #failures: { readonly endpoint: Endpoint; readonly error: Error }[] = [];
  #turns: Turn[] = [];
  #turnTimer: ReturnType<typeof setTimeout> | undefined;
  /** The first answer that was no use; better than nothing at the end. */
  #unfit: Sample | undefined;
  /** A usable sample in basic mode, while an interleaved one is hoped for. */
  #basic: Sample | undefined;
  #exchanges = 0;
  /** How many drafts of NTPv5 were tried in vain. */
  #draft = 0;
  #resolve!: (sample: Sample) => void;
  #reject!: (error: unknown) => void;

  constructor(host: Host, question: Question) {
    this.#host = host;
    // A page may have loaded more of the core since.
    if (!sharedCore?.hasRoom || sharedCore.module !== coreModule()) sharedCore = new ExchangeCore();
    this.#core = sharedCore;
    this.#question = question;
    this.sample = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (question.signal?.aborted) this.#abort();
    else this.#start();
  }

  #start(): void {
    const { timeout, signal } = this.#question;
    const deadline = setTimeout(() => this.#giveUp(), Math.round(timeout * 1000));
    const onAbort = () => this.#abort();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#settled.signal.addEventListener("abort", () => {
      clearTimeout(deadline);
      clearTimeout(this.#turnTimer);
      signal?.removeEventListener("abort", onAbort);
      for (const attempt of this.#attempts) attempt.close();
    }, { once: true });
    this.#endpoints().then(
      (endpoints) => {
        this.#turns = endpoints.map((endpoint) => ({ endpoint }));
        this.#nextTurn();
      },
      (error: unknown) => this.#settle(() => this.#reject(error)),
    );
  }

  /** Where to ask: with NTS, where the key establishment says. */
  async #endpoints(): Promise<Endpoint[]> {
    const { source, nts, family } = this.#question;
    const { signal } = this.#settled;
    const where = nts ? await nts.target(signal) : source;
    return endpointsOf(this.#host, where, family, signal);
  }

  /** Give the next address its turn as soon as it may have it. Without one, wait for answers while any may come. */
  #nextTurn(): void {
    // MUST do nothing once settled: a resolver that cannot be cancelled comes back late.
    if (this.#settled.signal.aborted) return;
    clearTimeout(this.#turnTimer);
    const turn = this.#turns[0];
    if (!turn) return this.#open.size === 0 ? this.#giveUp() : undefined;
    const early = turn.first ? REPEAT_AFTER_MS - turn.first.silence : 0;
    if (early > 0) return this.#nextTurnIn(early);
    this.#turns.shift();
    this.#ask(turn);
    this.#nextTurnIn(TURN_MS);
  }

  #nextTurnIn(ms: number): void {
    this.#turnTimer = setTimeout(() => this.#nextTurn(), ms);
  }

  #ask({ endpoint, first }: Turn): void {
    if (first?.refused) this.#question.nts?.refused();
    // Who is silent may speak another draft of NTPv5.
    if (first) this.#draft += 1;
    const attempt = this.#attempt(endpoint);
    if (!first) this.#turns.push({ endpoint, first: attempt });
  }

  #attempt(endpoint: Endpoint, completing?: Completable): Attempt {
    const { source, version, fineRoot, interleaved, nts } = this.#question;
    const draft = version === 5 ? ((nts?.keys.draft ?? 0) + this.#draft) % drafts().length : 0;
    const authentication = this.#authentication();
    const attempt = new Attempt({ host: this.#host, core: this.#core, source: source.text, endpoint, version, draft, interleaved, fineRoot, completing, authentication });
    this.#attempts.push(attempt);
    this.#open.add(attempt);
    void attempt.outcome.then((outcome) => this.#onOutcome(attempt, outcome));
    return attempt;
  }

  #authentication(): Authentication | undefined {
    const { key, nts } = this.#question;
    if (key) return { kind: "key", key };
    return nts ? { kind: "nts", keys: nts.keys } : undefined;
  }

  #onOutcome(attempt: Attempt, outcome: Outcome): void {
    if (outcome.kind === "sample" && outcome.sample.usable) return this.#onUsable(attempt, outcome.sample, outcome.completable);
    // Better a basic sample than to wait for one that does not come.
    if (this.#basic) return attempt === this.#attempts.at(-1) ? this.#giveUp() : undefined;
    if (outcome.kind === "sample") this.#unfit ??= outcome.sample;
    else this.#failures.push({ endpoint: attempt.endpoint, error: outcome.error });
    this.#open.delete(attempt);
    // It is not silent: no second turn.
    this.#turns = this.#turns.filter(({ endpoint }) => endpoint !== attempt.endpoint);
    if (attempt === this.#attempts.at(-1) || this.#open.size === 0) this.#nextTurn();
  }

  #onUsable({ endpoint }: Attempt, sample: Sample, completable: Completable): void {
    this.#exchanges += 1;
    const enough = !this.#question.interleaved || sample.interleaved || this.#exchanges >= INTERLEAVED_EXCHANGES;
    if (enough) return this.#settle(() => this.#resolve(sample));
    // From now on only this server is asked.
    this.#basic = sample;
    this.#turns = [];
    clearTimeout(this.#turnTimer);
    this.#turnTimer = setTimeout(() => this.#attempt(endpoint, completable), REPEAT_AFTER_MS);
  }

  #abort(): void {
    const { source, signal } = this.#question;
    const error = new NtpError("ABORTED", `the request to "${source.text}" was aborted by its caller`, { source: source.text, cause: signal?.reason });
    this.#settle(() => this.#reject(error));
  }

  /** What there is when no usable answer came: an unfit sample, or an error that says what happened. */
  #giveUp(): void {
    const sample = this.#basic ?? this.#unfit;
    this.#settle(() => (sample ? this.#resolve(sample) : this.#reject(this.#failure())));
  }

  #settle(how: () => void): void {
    if (this.#settled.signal.aborted) return;
    this.#settled.abort();
    how();
  }

  // --- what to say ---

  #failure(): NtpError {
    const { source: { text: source }, timeout } = this.#question;
    const asked = list(this.#attempts.map(({ endpoint }) => formatEndpoint(endpoint)));
    const first = this.#failures[0]?.error;
    if (first && this.#failures.length === this.#attempts.length) {
      if (first instanceof NtpError) return first;
      return new NtpError("UNREACHABLE", `no NTP server can be reached at "${source}" (asked ${asked}): ${first.message}`, { source, cause: first });
    }
    const missing = this.#question.nts ? "its keys were not established in time" : "its name did not resolve in time";
    const whom = asked || `nobody: ${missing}`;
    const message = `no answer from "${source}" within ${timeout} s (asked ${whom})${this.#failedText()}${this.#ignoredText()}; check that UDP to this port is let through`;
    return new NtpError("TIMEOUT", message, { source, cause: first });
  }

  #failedText(): string {
    const failed = list(this.#failures.map(({ endpoint, error }) => `${formatEndpoint(endpoint)}: ${error.message}`));
    return failed && `; failed ${failed}`;
  }

  #ignoredText(): string {
    const counts = new Map<string, number>();
    for (const { ignored } of this.#attempts) for (const [why, times] of ignored) counts.set(why, (counts.get(why) ?? 0) + times);
    return counts.size === 0 ? "" : `; passed over ${[...counts].map(([why, times]) => `${times} × ${why}`).join(", ")}`;
  }
}

/** Each once. */
function list(texts: readonly string[]): string {
  return [...new Set(texts)].join(", ");
}
