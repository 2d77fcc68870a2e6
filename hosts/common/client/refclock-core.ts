// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The typed face of the core's reference clocks (assembly/association/refclock.ts): samples in, actions out. Decides nothing.
 * Tested in refclock-runner.test.ts.
 *
 * @module
 */

import { NtpError } from "../errors.ts";
import { unsigned, type Core } from "../core/core.ts";
import type { RefClockSample, RefClockTuning } from "../refclock/refclock.ts";
import type { CoreEvents, Moment } from "./events.ts";

/** What became of a sample, in the order of the core's SAMPLE_*. */
const VERDICTS = ["taken", "unfit", "unnumbered", "ambiguous", "disputed"] as const;
export type SampleVerdict = (typeof VERDICTS)[number];

/** What each means, for people. */
export const VERDICT_MEANINGS: Readonly<Record<SampleVerdict, string>> = {
  taken: "",
  unfit: "the reference says that it is not synchronised",
  unnumbered: "pulses come, but nobody tells which second they begin: is the clock locked to heard, or any other source?",
  ambiguous: "the clock that numbers the pulses is wrong by about half a second: set its offset",
  disputed: "it jumps by whole seconds against all that it said before: not used until it agrees again, or has said so for five minutes",
};

const NOSELECT = 1;
const PREFER = 2;
const NS_PER_SECOND = 1_000_000_000n;
/** Silent for longer, no source counts (assembly/discipline/memory.ts), s. */
const LONGEST_HOLDOVER = 8192;

export class RefclockCore {
  readonly #events: CoreEvents;
  readonly #core: Core;

  constructor(events: CoreEvents) {
    this.#events = events;
    this.#core = events.core;
  }

  /** @throws {NtpError} when there are too many. */
  open(index: number, poll: number, stratum: number, { offset = 0, delay = 0, holdover = 0, prefer, noselect }: RefClockTuning): void {
    const { exports } = this.#core;
    const options = (prefer ? PREFER : 0) | (noselect ? NOSELECT : 0);
    if (!exports.refclockOpen(index, poll, stratum, options)) {
      throw new NtpError("INVALID_ARGUMENT", `expected at most ${this.#core.constant("REFCLOCKS")} reference clocks, got more`);
    }
    exports.refclockTune(index, exports.intervalFromSeconds(offset), exports.intervalFromSeconds(delay), exports.intervalFromSeconds(Math.min(holdover, LONGEST_HOLDOVER)));
  }

  lock(index: number, to: number): void {
    this.#core.exports.refclockLock(index, to);
  }

  /** Our own clock's stratum when nobody can be followed; 0: unsynchronised. */
  local(stratum: number): void {
    this.#core.exports.systemLocal(stratum);
  }

  /** A sample of this dispersion, s, taken at `taken`; monotonic time now. */
  sample(index: number, { timeNs, pulse, leap = 0, health }: RefClockSample, { dispersion, taken, nowNs }: { dispersion: number; taken: Moment; nowNs: bigint }): SampleVerdict {
    const { exports } = this.#core;
    exports.refclockQuality(index, exports.intervalFromSeconds(dispersion), health === "bad" ? 3 : leap);
    const monotonic = this.#events.monotonic(taken.monotonic);
    const now = this.#events.monotonic(nowNs);
    const verdict = pulse
      ? exports.refclockPulse(index, exports.timestampFromUnixNs(taken.time - (((timeNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND)), monotonic, now)
      : exports.refclockSample(index, exports.timestampFromUnixNs(timeNs), exports.timestampFromUnixNs(taken.time), monotonic, now);
    return VERDICTS[verdict]!;
  }

  /** The poll interval is over. */
  timer(index: number, nowNs: bigint): { timerNs?: bigint; steer: boolean; disputed: boolean } {
    const { timerNs, steer } = this.#events.actions(this.#core.exports.refclockTimer(index, this.#events.monotonic(nowNs)));
    return { ...(timerNs === undefined ? {} : { timerNs }), steer, disputed: this.#verdict(index) === "disputed" };
  }

  #verdict(index: number): SampleVerdict {
    return VERDICTS[this.#core.view.getInt32(this.#core.exports.refclockOut(index) + this.#core.constant("REFCLOCK_VERDICT"), true)]!;
  }

  /** sd of one sample, s; 0 before it is known. */
  noise(index: number): number {
    return this.#core.view.getFloat64(this.#core.exports.refclockOut(index) + this.#core.constant("REFCLOCK_NOISE"), true);
  }

  /** The last measurement: of one without a say nothing else is known. Undefined before the first. */
  last(index: number): { offset: number; bound: number; heardNs: bigint } | undefined {
    const { exports, view } = this.#core;
    const at = (name: string) => exports.refclockOut(index) + this.#core.constant(`REFCLOCK_${name}`);
    if (view.getInt32(at("MEASURED"), true) === 0) return undefined;
    const seconds = (name: string) => exports.intervalToSeconds(view.getBigInt64(at(name), true));
    return { offset: seconds("LAST"), bound: seconds("BOUND"), heardNs: exports.timestampToUnixNs(unsigned(view.getBigUint64(at("HEARD"), true)), 0n) };
  }

  close(index: number): void {
    this.#core.exports.refclockClose(index);
  }
}
