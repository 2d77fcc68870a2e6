// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What `tracking` tells of the past: the offset found last, its long-term mean, and how often the clock is updated.
 *
 * An update is a sample after which a majority of the sources was believed. Tested in status.test.ts.
 *
 * @module
 */

/** Of the mean square, a tenth is the newest: about the last ten updates count. */
const SHARE = 0.1;

export class UpdateHistory {
  #lastOffset: number | undefined;
  #meanSquare: number | undefined;
  /** While the clock is first being brought into line its large offsets say nothing of how well it will be kept. */
  #settling = true;
  #interval: number | undefined;
  #lastNs: bigint | undefined;

  /** The sources said that the clock was off by `offset` s (positive: behind), at `monotonicNs`. */
  note(offset: number, monotonicNs: bigint): void {
    const square = offset * offset;
    if (this.#meanSquare === undefined) this.#meanSquare = square;
    else if (this.#settling && square < this.#meanSquare) this.#meanSquare = square;
    else {
      this.#settling = false;
      this.#meanSquare += SHARE * (square - this.#meanSquare);
    }
    if (this.#lastNs !== undefined) this.#interval = Number(monotonicNs - this.#lastNs) / 1e9;
    this.#lastNs = monotonicNs;
    this.#lastOffset = offset;
  }

  /** s; undefined before the first update. */
  get lastOffset(): number | undefined {
    return this.#lastOffset;
  }

  get rmsOffset(): number | undefined {
    return this.#meanSquare === undefined ? undefined : Math.sqrt(this.#meanSquare);
  }

  /** s between the last two updates; undefined before the second. */
  get updateInterval(): number | undefined {
    return this.#interval;
  }
}
