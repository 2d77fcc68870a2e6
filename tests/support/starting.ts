// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Clocks that tests start over a world in memory, and read at every timer: they never go back, never stand still, and keep their
 * bound. Time is virtual.
 *
 * @module
 */

import { startClock, type Clock, type ClockOptions } from "../../hosts/common/client/start.ts";
import { inVirtualTime, type Answering, type Ending } from "./fake-host.ts";
import { WorldStage, address } from "./following.ts";
import { letPass, type ServerScript } from "./world-additions.ts";

/** The names of a test's first servers. */
export const sources = (count: number): string[] => Array.from({ length: count }, (_, index) => address(index));

export class ClockStage extends WorldStage {
  clock: Clock | undefined;

  override begin(options?: Parameters<WorldStage["begin"]>[0]): void {
    super.begin(options);
    this.clock = undefined;
  }

  override close(): void {
    this.clock?.close();
  }

  /** A server for each of the options. */
  readonly servers = (...options: Answering[]): ServerScript[] => options.map((option, index) => this.world.server(address(index), option));

  readonly start = async (options: ClockOptions): Promise<Ending<Clock>> => {
    const ending = await inVirtualTime(() => startClock(this.world, options));
    this.clock = ending.value;
    return ending;
  };

  readonly started = async (options: ClockOptions): Promise<Clock> => {
    const { value, error } = await this.start(options);
    if (!value) throw error;
    return value;
  };

  /** How far the clock is ahead of the truth, s. */
  readonly errorNow = (): number => Number(this.clock!.nowNs() - this.world.truth()) / 1e9;

  /** Reads at every timer. What is read grows, at nine tenths of the speed at least, and the bound holds. */
  readonly readOn = async (seconds: number): Promise<void> => {
    const clock = this.clock!;
    let before = clock.nowNs();
    let at = this.world.clock.monotonic();
    await letPass(seconds, () => {
      const now = clock.nowNs();
      const timer = this.world.clock.monotonic();
      if (now < before) throw new Error(`went back by ${before - now} ns`);
      // 9/10 of a clock that may itself be slewed by a tenth.
      if (timer - at > 0n && now - before < ((timer - at) * 80n) / 100n) throw new Error(`stood still: ${now - before} ns in ${timer - at} ns`);
      if (!(Math.abs(this.errorNow()) <= clock.uncertainty + 1e-9)) throw new Error(`${this.errorNow()} s wrong, bound ${clock.uncertainty} s`);
      before = now;
      at = timer;
    });
  };
}
