// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The last hours as columns for charts: what /history.json told, and on from there what this page has seen itself, as many
 * points as the daemon keeps. Tested in course.test.ts.
 *
 * @module
 */

import type { DashboardState } from "../daemon/dashboard.ts";
import type { PastReport } from "../daemon/past.ts";

type Values = readonly (number | null)[];

/** One moment. */
interface Moment {
  readonly time: number;
  readonly offset: number | null;
  readonly uncertainty: number | null;
  readonly frequencyPpm: number | null;
  readonly skewPpm: number | null;
  readonly answered: number | null;
}

export interface Columns {
  /** s since 1970 */
  readonly time: readonly number[];
  readonly offset: Values;
  readonly uncertainty: Values;
  readonly frequencyPpm: Values;
  readonly skewPpm: Values;
  /** Answers a second since the point before. */
  readonly rate: Values;
}

export class Course {
  #every = 10;
  #most = 720;
  #moments: Moment[] = [];
  /** Now, until it is old enough to be a point of its own. */
  #latest: Moment | undefined;

  /** In place of all that was known. */
  begin(past: PastReport): void {
    this.#every = past.every;
    this.#most = past.points;
    this.#moments = past.time.flatMap((time, index) => (time === null ? [] : [{ time, offset: past.offset[index]!, uncertainty: past.uncertainty[index]!, frequencyPpm: past.frequencyPpm[index]!, skewPpm: past.skewPpm[index]!, answered: past.answered[index]! }]));
  }

  add({ time, tracking, serverstats }: Pick<DashboardState, "time" | "tracking" | "serverstats">): void {
    const { offset, uncertainty, frequencyPpm, skewPpm } = tracking;
    const moment = { time: Number(BigInt(time) / 1_000_000n) / 1000, offset, uncertainty, frequencyPpm, skewPpm, answered: serverstats?.stats.answered ?? null };
    const last = this.#moments.at(-1);
    // A clock that was stepped back has no course before.
    if (last && moment.time < last.time) this.#moments = this.#moments.filter((one) => one.time < moment.time);
    if (!last || moment.time - last.time >= this.#every) this.#moments.push(moment);
    if (this.#moments.length > this.#most) this.#moments.shift();
    this.#latest = moment;
  }

  columns(): Columns {
    const last = this.#moments.at(-1);
    const all = this.#latest && (!last || this.#latest.time > last.time) ? [...this.#moments, this.#latest] : this.#moments;
    const column = <K extends keyof Moment>(name: K): Moment[K][] => all.map((moment) => moment[name]);
    return { time: column("time"), offset: column("offset"), uncertainty: column("uncertainty"), frequencyPpm: column("frequencyPpm"), skewPpm: column("skewPpm"), rate: all.map((moment, index) => rateOf(moment, all[index - 1])) };
  }
}

/** The counter begins anew with the daemon. */
function rateOf({ time, answered }: Moment, before: Moment | undefined): number | null {
  if (answered === null || before === undefined || before.answered === null || before.time >= time || answered < before.answered) return null;
  return (answered - before.answered) / (time - before.time);
}
