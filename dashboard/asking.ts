// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Asking the daemon each second while somebody looks, more and more seldom while it does not answer. Tested in asking.test.ts.
 *
 * @module
 */

/** ms between questions, at most after failures, and what an answer may take. */
const EVERY_MS = 1000;
const SELDOM_MS = 15_000;
const PATIENCE_MS = 4000;

export interface AskingOptions<T> {
  readonly ask: (signal: AbortSignal) => Promise<T>;
  readonly heard: (answer: T) => void;
  /** It has not answered for so long, s; called with each failure and each second after it. */
  readonly silent: (seconds: number) => void;
  /** Whether somebody looks. */
  readonly visible: () => boolean;
}

export class Asking<T> {
  readonly #options: AskingOptions<T>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #telling: ReturnType<typeof setInterval> | undefined;
  #failures = 0;
  #heardAt = performance.now();
  #asking = false;

  constructor(options: AskingOptions<T>) {
    this.#options = options;
  }

  /** Ask now, whatever was planned: at the start, and when somebody looks again. */
  now(): void {
    clearTimeout(this.#timer);
    if (this.#options.visible()) void this.#once();
    else this.#tell(false);
  }

  async #once(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const started = performance.now();
    const answer = await this.#options.ask(AbortSignal.timeout(PATIENCE_MS)).then((heard) => ({ heard }), () => undefined);
    this.#asking = false;
    this.#failures = answer ? 0 : this.#failures + 1;
    if (answer) this.#heardAt = performance.now();
    const wait = Math.min(SELDOM_MS, EVERY_MS * 2 ** Math.max(0, this.#failures - 1)) - (performance.now() - started);
    this.#timer = setTimeout(() => this.now(), Math.max(wait, EVERY_MS / 4));
    // Last: what cannot be shown is an error of the page, not of the daemon, and the page goes on.
    this.#tell(!answer);
    if (answer) this.#options.heard(answer.heard);
  }

  /** Say each second how long it has been silent, or stop to. */
  #tell(wrong: boolean): void {
    clearInterval(this.#telling);
    if (!wrong) return;
    const say = () => this.#options.silent((performance.now() - this.#heardAt) / 1000);
    say();
    this.#telling = setInterval(say, EVERY_MS);
  }
}
