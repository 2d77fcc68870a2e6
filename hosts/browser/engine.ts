// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A page's disciplined clock over plain sources (relays' own time, HTTP time): feeds the core for pages, obeys its steering.
 *
 * The same discipline as hosts/common/client/engine.ts runs, for a tenth of its size: no sockets, no names, no NTS. It decides
 * nothing. What it adds is a page's life: it looks again when the page is shown, resumed or back online, and each second
 * whether the computer slept or somebody moved its clock. Tested in engine.test.ts and, in Chromium, in tests/browser.
 *
 * @module
 */

import { PiecewiseClock } from "../common/clock/piecewise.ts";
import type { CoarseClock } from "./timer.ts";
import { BOUND, DUE, FLOOR, FREQUENCY, LAST_PROBLEMS, LEAP, OFFSET, PEER, RATE, REACH, REMAINING, SELECTION, STEP, STRATUM, SURVIVORS, UNTIL, USED, WANTS } from "./pagecore.ts";
import { SEND, STEER, STOP, TIMER, type Moment, type PageCore } from "./pagecore.ts";
import type { Answer, TimeSource } from "./timesource.ts";
import { onWake } from "./wake.ts";

/** State of a page's clock at one moment. */
export interface PageState {
  readonly synchronised: boolean;
  readonly stratum: number;
  readonly leap: number;
  readonly survivors: number;
  /** How far the clock may be off, s. */
  readonly uncertainty: number;
  /** Still being slewed away, s. */
  readonly offset: number;
  /** What the sources' last sample showed the clock to be off by, s. */
  readonly lastOffset: number | undefined;
  /** To be added to `Date.now()`, s, to half a millisecond: positive when the computer's clock is behind. */
  readonly systemOffset: number;
  readonly frequencyPpm: number;
  readonly sources: readonly PageSourceState[];
}

export interface PageSourceState {
  readonly source: string;
  readonly reach: number;
  readonly used: number;
  readonly lastProblems: number;
  readonly survivor: boolean;
  /** What is believed of it, s. */
  readonly offset: number;
  /** Least delay, and that of the last answer, s. */
  readonly delay: number;
  readonly lastDelay: number | undefined;
  readonly lastError: string | undefined;
}

interface Followed {
  readonly name: string;
  readonly source: TimeSource;
  /** Numbers the questions: an earlier one has nothing to say any more. */
  question: number;
  askedNs: bigint;
  timer?: ReturnType<typeof setTimeout>;
  lastDelay?: number;
  lastError?: string | undefined;
  stopped?: boolean;
}

export interface PageEngineOptions {
  readonly minPoll: number;
  readonly maxPoll: number;
  readonly changed: () => void;
}

const WATCH_MS = 1000;
/** No two questions are closer than those of a burst, 2 s (RFC 5905 §13.2). */
const LEAST_GAP = 2;
/** Clocks that are not read together say nothing of each other. */
const LONGEST_LOOK_NS = 10_000_000n;
/** What the core says of a source that has a say (assembly/discipline/memory.ts). */
const SURVIVOR = 1;
/**
 * Questions in a row, for the answer with the shortest way. After a pause everything on the way has to be woken, and more of it on
 * the way out than on the way back (the browser's network process, the relay; of HTTP the connection, too): error that no clock
 * can see. The later questions find them awake. docs/browser.md has what that brings.
 */
const ROW = 4;
/** Beside such a trip it is of no account who had to be woken; and a row of them would reach into the next question. */
const LONG_TRIP_NS = 100_000_000n;

/** ns */
const tripOf = ({ sent, came }: Answer<Moment>): bigint => came.monotonic - sent.monotonic;

export class PageEngine {
  readonly clock: PiecewiseClock;
  readonly #core: PageCore;
  readonly #sources: readonly Followed[];
  readonly #changed: () => void;
  readonly #watchTimer: ReturnType<typeof setInterval>;
  readonly #awake = new AbortController();
  #steerTimer: ReturnType<typeof setTimeout> | undefined;
  #lastOffset: number | undefined;
  #closed = false;

  constructor(core: PageCore, host: CoarseClock, sources: readonly (readonly [string, TimeSource])[], options: PageEngineOptions) {
    this.#core = core;
    this.#changed = options.changed;
    this.clock = new PiecewiseClock(host);
    core.call.begin(sources.length, host.precision, options.minPoll, options.maxPoll);
    this.#sources = sources.map(([name, source]) => ({ name, source, question: 0, askedNs: 0n }));
    this.#look(this.#moment(), false);
    this.#watchTimer = setInterval(() => this.#watch(), WATCH_MS);
    onWake(() => {
      this.#watch();
      this.askNow();
    }, this.#awake.signal);
    this.#sources.forEach((_, index) => this.#ask(index));
  }

  /** Ask every source, but no sooner than servers bear. */
  askNow(): void {
    this.#sources.forEach(({ askedNs }, index) => this.#schedule(index, Number(askedNs) / 1e9 + LEAST_GAP));
  }

  state(): PageState {
    const { call, told } = this.#core;
    const now = this.clock.monotonic();
    call.look(0, now);
    return {
      synchronised: told[PEER]! >= 0,
      stratum: told[STRATUM]!,
      leap: told[LEAP]!,
      survivors: told[SURVIVORS]!,
      uncertainty: told[BOUND]!,
      offset: told[REMAINING]!,
      frequencyPpm: told[FREQUENCY]! * 1e6,
      lastOffset: this.#lastOffset,
      systemOffset: Number(this.clock.now() - BigInt(Date.now()) * 1_000_000n) / 1e9 - 0.0005,
      sources: this.#sources.map(({ name: source, lastDelay, lastError }, index) => {
        call.look(index, now);
        return {
          source,
          reach: told[REACH]!,
          used: told[USED]!,
          lastProblems: told[LAST_PROBLEMS]!,
          survivor: told[SELECTION] === SURVIVOR,
          offset: told[OFFSET]!,
          delay: told[FLOOR]!,
          lastDelay,
          lastError,
        };
      }),
    };
  }

  /** The clock keeps its frequency correction. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#core.call.look(0, this.clock.monotonic());
    this.#closed = true;
    this.#awake.abort();
    clearInterval(this.#watchTimer);
    clearTimeout(this.#steerTimer);
    for (const { source, timer } of this.#sources) {
      clearTimeout(timer);
      source.close();
    }
    this.clock.setRate(this.#core.told[FREQUENCY]!);
  }

  #moment(): Moment {
    // The two are of one timer's readings; the steps of it are in the precision.
    return { time: this.clock.now(), monotonic: this.clock.monotonic() };
  }

  #ask(index: number): void {
    const followed = this.#sources[index]!;
    if (this.#closed || followed.stopped) return;
    const random = crypto.getRandomValues(new BigUint64Array(1))[0]!;
    const now = (followed.askedNs = this.clock.monotonic());
    this.#core.call.timer(index, now, random);
    const wants = this.#obey(index, now);
    if (wants & SEND) void this.#question(index, this.#core.request(), ++followed.question);
  }

  /** Never rejects: no answer is a state, which the core knows how to live with. */
  async #question(index: number, request: Uint8Array<ArrayBuffer>, question: number): Promise<void> {
    const followed = this.#sources[index]!;
    let best: Answer<Moment> | undefined;
    try {
      for (let i = 0; i < ROW && !this.#closed; i++) {
        const answer = await followed.source.ask(request, () => this.#moment());
        if (!best || tripOf(answer) <= tripOf(best)) best = answer;
        if (tripOf(answer) > LONG_TRIP_NS) break;
      }
      followed.lastError = undefined;
    } catch (error) {
      followed.lastError = (error as Error).message;
    }
    if (this.#closed || followed.question !== question) return;
    if (best) {
      this.#watch();
      const now = this.clock.monotonic();
      followed.lastDelay = Number(tripOf(best)) / 1e9;
      this.#core.reply(index, best.packet, best.sent, best.came, now);
      this.#obey(index, now);
    }
    this.#changed();
  }

  /** `time`: s of the monotonic scale. */
  #schedule(index: number, time: number): void {
    const followed = this.#sources[index]!;
    clearTimeout(followed.timer);
    followed.timer = this.#at(time, () => this.#ask(index));
  }

  #at(time: number, act: () => void): ReturnType<typeof setTimeout> {
    // Neither a poll nor a slew is as long as the longest timer, 2^31 ms.
    return setTimeout(act, time * 1e3 - Number(this.clock.monotonic()) / 1e6);
  }

  /** Do what the core wants after an event; returns that. */
  #obey(index: number, nowNs: bigint): number {
    const { told } = this.#core;
    const wants = told[WANTS]!;
    if (wants & STOP) this.#sources[index]!.stopped = true;
    if (wants & TIMER) this.#schedule(index, told[DUE]!);
    if (wants & STEER) {
      this.#lastOffset = told[REMAINING]! + told[STEP]!;
      this.#steer(nowNs);
    }
    return wants;
  }

  #steer(nowNs: bigint): void {
    if (this.#closed) return;
    const { [RATE]: rate, [UNTIL]: until, [STEP]: step } = this.#core.told as Record<number, number>;
    if (step !== 0) {
      // Whole seconds by themselves: a double has not the digits for both.
      this.clock.step(BigInt(Math.trunc(step!)) * 1_000_000_000n + BigInt(Math.round((step! % 1) * 1e9)));
      this.#look(this.#moment(), true);
    }
    this.clock.setRate(rate!, nowNs);
    clearTimeout(this.#steerTimer);
    if (until === 0) return;
    this.#steerTimer = this.#at(until!, () => {
      const now = this.clock.monotonic();
      this.#core.call.slewed(now);
      this.#steer(now);
    });
  }

  #look({ time, monotonic }: Moment, anew: boolean): void {
    this.#core.call.watch(time, monotonic, anew);
  }

  /** Did somebody move the computer's clock, or did it sleep? */
  #watch(): void {
    if (this.#closed) return;
    this.clock.followHost();
    const before = this.clock.monotonic();
    const moment = this.#moment();
    if (moment.monotonic - before > LONGEST_LOOK_NS) return;
    this.#look(moment, false);
    if (this.#core.told[WANTS] === 0) return;
    this.#steer(moment.monotonic);
    this.askNow();
    this.#changed();
  }
}
