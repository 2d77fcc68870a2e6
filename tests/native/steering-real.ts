// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The real kernel's clock, touched only in ways that are undone: reading; and a frequency nudge of at most 1 ppm.
 *
 * {@link nudge} changes and restores within one synchronous block. {@link measure} holds 1 ppm for a few seconds to see
 * whether it acts, by CLOCK_MONOTONIC (which is slewed) against CLOCK_MONOTONIC_RAW (which is not).
 *
 *     node|deno|bun tests/native/steering-run.ts [measure]
 *
 * @module
 */

import type { ClockActuator } from "../../hosts/common/steering.ts";
import type { Ffi } from "../../hosts/native/ffi.ts";
import { Block } from "../../hosts/native/memory.ts";
import { readTimex, timexBlock, writeTimex } from "../../hosts/native/timex.ts";
import type { Timex } from "../../hosts/native/timex.ts";

const CLOCK_MONOTONIC = 1;
const CLOCK_MONOTONIC_RAW = 4;
const NUDGE = 1e-6;

/** What the kernel says, through no code of the actuator but the structure. */
export function readKernel(ffi: Ffi): Timex {
  const { clock_adjtime } = ffi.open(null, { clock_adjtime: ["i32", "i32", "pointer"] });
  const block = timexBlock(ffi);
  writeTimex(block, { modes: 0 });
  if (clock_adjtime(0, block.address) < 0) throw new Error("clock_adjtime cannot even read");
  return readTimex(block);
}

/** What stays the same while nobody steers. */
export function settings({ freq, tick, status, constant, offset }: Timex): object {
  return { freq, tick, status, constant, offset };
}

/** 1 ppm away from what is in force, read back, restored. */
export function nudge(ffi: Ffi, clock: ClockActuator): Record<"before" | "during" | "after", Timex> & Record<"asked" | "told", number> {
  const before = readKernel(ffi);
  const asked = clock.rate() + (clock.rate() > 0 ? -NUDGE : NUDGE);
  try {
    clock.setRate(asked);
    const told = clock.rate();
    const during = readKernel(ffi);
    clock.restore();
    return { before, during, after: readKernel(ffi), asked, told };
  } finally {
    clock.restore();
  }
}

/** By how much the slewed clock ran faster than the raw one for `ms`, relative. */
async function relativeRate(ffi: Ffi, ms: number): Promise<number> {
  const start = bestPair(ffi);
  await new Promise((resolve) => setTimeout(resolve, ms));
  const end = bestPair(ffi);
  return (end.monotonic - start.monotonic) / (end.raw - start.raw) - 1;
}

/** Both clocks at one moment: of many tries the one that took the shortest. */
function bestPair(ffi: Ffi): { monotonic: number; raw: number } {
  const { clock_gettime } = ffi.open(null, { clock_gettime: ["i32", "i32", "pointer"] });
  const block = new Block(ffi, 16);
  const read = (clock: number): number => {
    clock_gettime(clock, block.address);
    return Number(block.view.getBigInt64(0, true)) * 1e9 + Number(block.view.getBigInt64(8, true));
  };
  let best = { width: Infinity, monotonic: 0, raw: 0 };
  for (let i = 0; i < 2000; i++) {
    const before = read(CLOCK_MONOTONIC_RAW);
    const monotonic = read(CLOCK_MONOTONIC);
    const after = read(CLOCK_MONOTONIC_RAW);
    if (after - before < best.width) best = { width: after - before, monotonic, raw: (before + after) / 2 };
  }
  return best;
}

/** The rate of the slewed clock against the raw one: before, during and after 1 ppm more, in ppm. */
export async function measure(ffi: Ffi, clock: ClockActuator, ms: number): Promise<readonly [number, number, number]> {
  const before = await relativeRate(ffi, ms);
  let during: number;
  try {
    clock.setRate(clock.rate() + NUDGE);
    during = await relativeRate(ffi, ms);
  } finally {
    clock.restore();
  }
  return [before * 1e6, during * 1e6, (await relativeRate(ffi, ms)) * 1e6];
}
