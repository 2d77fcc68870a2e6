// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The last hours of the clock for the page: a point every ten seconds in a ring of fixed size, the oldest of which is
 * forgotten for a new one. Nothing is written to disk. Tested in past.test.ts.
 *
 * @module
 */

/** s between points, and how many are kept: two hours. */
export const POINT_EVERY = 10;
const POINTS = 720;

/** `time` in s since 1970; `answered` by our server since its start. Units of the others are those of `tracking`. */
const COLUMNS = ["time", "offset", "uncertainty", "frequencyPpm", "skewPpm", "answered"] as const;
type Column = (typeof COLUMNS)[number];

/** One moment; null is what was not known. */
export type Point = Readonly<Record<Column, number | null>>;

/** Columns of equal length, the oldest point first. */
export type PastReport = { readonly every: number; readonly points: number } & Readonly<Record<Column, readonly (number | null)[]>>;

export class Past {
  readonly #capacity: number;
  readonly #columns: Readonly<Record<Column, Float64Array>>;
  /** Of all points that ever were. */
  #count = 0;

  constructor(capacity = POINTS) {
    this.#capacity = capacity;
    this.#columns = Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(capacity)])) as Record<Column, Float64Array>;
  }

  note(point: Point): void {
    const at = this.#count % this.#capacity;
    for (const name of COLUMNS) this.#columns[name][at] = point[name] ?? NaN;
    this.#count += 1;
  }

  report(): PastReport {
    const columns = COLUMNS.map((name) => [name, this.#inOrder(this.#columns[name])]);
    return { every: POINT_EVERY, points: this.#capacity, ...Object.fromEntries(columns) } as PastReport;
  }

  #inOrder(ring: Float64Array): (number | null)[] {
    const length = Math.min(this.#count, this.#capacity);
    // JSON knows no NaN.
    return Array.from({ length }, (_, index) => ring[(this.#count - length + index) % this.#capacity]!).map((value) => (Number.isNaN(value) ? null : value));
  }
}
