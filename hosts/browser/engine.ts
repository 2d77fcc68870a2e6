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

import { VirtualClock } from "../common/clock/virtual.ts";
import type { HostClock } from "../common/host.ts";
import { PageCore, type Moment, type Wants } from "./pagecore.ts";
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
  askedNs: bigint | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  lastDelay: number | undefined;
  lastError: string | undefined;
  stopped: boolean;
}

export interface PageEngineOptions {
  readonly minPoll: number;
  readonly maxPoll: number;
  readonly changed: () => void;
}

const WATCH_MS = 1000;
/** No two questions are closer than those of a burst, 2 s (RFC 5905 §13.2). */
const LEAST_GAP_NS = 2_000_000_000n;
/** Clocks that are not read together say nothing of each other. */
const LONGEST_LOOK_NS = 10_000_000n;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
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
  readonly clock: VirtualClock;
  readonly #core: PageCore;
  readonly #sources: readonly Followed[];
  readonly #changed: () => void;
  readonly #watchTimer: ReturnType<typeof setInterval>;
  readonly #asleep: () => void;
  #steerTimer: ReturnType<typeof setTimeout> | undefined;
  #lastOffset: number | undefined;
  #closed = false;

  constructor(core: PageCore, host: HostClock, sources: readonly (readonly [string, TimeSource])[], options: PageEngineOptions) {
    this.#core = core;
    this.#changed = options.changed;
    this.clock = new VirtualClock(host);
    const { maximumSlew: slew, maximumFrequency: frequency } = this.clock;
    core.start(host.precision, { slew, frequency, minPoll: options.minPoll, maxPoll: options.maxPoll });
    this.#sources = sources.map(([name, source], index) => {
      core.open(index, options.minPoll, options.maxPoll);
      return { name, source, question: 0, askedNs: undefined, timer: undefined, lastDelay: undefined, lastError: undefined, stopped: false };
    });
    core.watch(this.#moment());
    this.#watchTimer = setInterval(() => this.#watch(), WATCH_MS);
    this.#asleep = onWake(() => {
      this.#watch();
      this.askNow();
    });
    this.#sources.forEach((_, index) => this.#ask(index));
  }

  /** Ask every source, but no sooner than servers bear. */
  askNow(): void {
    this.#sources.forEach(({ askedNs = 0n }, index) => this.#schedule(index, askedNs + LEAST_GAP_NS));
  }

  state(): PageState {
    const { rate: _, untilNs: __, stepNs: ___, frequency, offset } = this.#core.steering();
    return {
      ...this.#core.system(this.clock.monotonic()),
      offset,
      frequencyPpm: frequency * 1e6,
      lastOffset: this.#lastOffset,
      systemOffset: Number(this.clock.now() - BigInt(Date.now()) * 1_000_000n) / 1e9 - 0.0005,
      sources: this.#sources.map(({ name, lastDelay, lastError }, index) => ({ source: name, ...this.#core.source(index), lastDelay, lastError })),
    };
  }

  /** The clock keeps its frequency correction. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#core.system(this.clock.monotonic());
    this.#closed = true;
    this.#asleep();
    clearInterval(this.#watchTimer);
    clearTimeout(this.#steerTimer);
    for (const { source, timer } of this.#sources) {
      clearTimeout(timer);
      source.close();
    }
    this.clock.setRate(this.#core.steering().frequency);
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
    const wants = this.#core.timer(index, now, random);
    this.#obey(index, wants, now);
    if (wants.send) void this.#question(index, wants.send, ++followed.question);
  }

  /** Never rejects: no answer is a state, which the core knows how to live with. */
  async #question(index: number, request: Uint8Array<ArrayBuffer>, question: number): Promise<void> {
    const followed = this.#sources[index]!;
    let best: Answer<Moment> | undefined;
    try {
      for (let i = 0; i < ROW; i++) {
        const answer = await followed.source.ask(request, () => this.#moment());
        if (!best || tripOf(answer) < tripOf(best)) best = answer;
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
      this.#obey(index, this.#core.reply(index, best.packet, { ...best, now }), now);
    }
    this.#changed();
  }

  #schedule(index: number, timeNs: bigint): void {
    const followed = this.#sources[index]!;
    clearTimeout(followed.timer);
    followed.timer = this.#at(timeNs, () => this.#ask(index));
  }

  #at(timeNs: bigint, act: () => void): ReturnType<typeof setTimeout> {
    return setTimeout(act, Math.max(0, Math.min(LONGEST_TIMER_MS, Number(timeNs - this.clock.monotonic()) / 1e6)));
  }

  #obey(index: number, wants: Wants, nowNs: bigint): void {
    if (wants.stop) this.#sources[index]!.stopped = true;
    if (wants.timerNs !== undefined) this.#schedule(index, wants.timerNs);
    if (wants.steer) this.#steer(nowNs, true);
  }

  #steer(nowNs: bigint, sampled: boolean): void {
    if (this.#closed) return;
    const { rate, untilNs, stepNs, offset } = this.#core.steering();
    if (stepNs !== 0n) {
      this.clock.step(stepNs);
      this.#core.drop(this.#moment());
    }
    this.clock.setRate(rate, nowNs);
    if (sampled) this.#lastOffset = offset + Number(stepNs) / 1e9;
    clearTimeout(this.#steerTimer);
    if (untilNs === undefined) return;
    this.#steerTimer = this.#at(untilNs, () => {
      const now = this.clock.monotonic();
      this.#core.steeringTimer(now);
      this.#steer(now, false);
    });
  }

  /** Did somebody move the computer's clock, or did it sleep? */
  #watch(): void {
    if (this.#closed) return;
    this.clock.followHost();
    const before = this.clock.monotonic();
    const moment = this.#moment();
    if (moment.monotonic - before > LONGEST_LOOK_NS) return;
    if (this.#core.watch(moment) === 0) return;
    this.#steer(moment.monotonic, false);
    this.askNow();
    this.#changed();
  }
}
