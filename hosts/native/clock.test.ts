// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import { measurePrecision } from "./clock.ts";

/** A clock that ticks every `tickNs` and takes `costNs` to read. */
function clockWith(tickNs: bigint, costNs: bigint): () => bigint {
  let elapsed = 0n;
  return () => {
    elapsed += costNs;
    return elapsed - (elapsed % tickNs);
  };
}

describe("measured precision", () => {
  it("is the cost of a reading where the clock ticks finer", () => {
    expect(measurePrecision(clockWith(1n, 250n), 1e-9)).toBeCloseTo(250e-9, 12);
  });

  it("is the tick where it is coarser than the cost", () => {
    expect(measurePrecision(clockWith(10_000n, 250n), 1e-9)).toBeCloseTo(10e-6, 12);
  });

  it("is not spoilt by an interruption", () => {
    const read = clockWith(1n, 100n);
    let readings = 0;
    let lost = 0n;
    const interrupted = (): bigint => {
      if (++readings % 100 === 0) lost += 5_000_000n;
      return read() + lost;
    };
    expect(measurePrecision(interrupted, 1e-9)).toBeCloseTo(100e-9, 12);
  });

  it("is never finer than what the kernel claims", () => {
    expect(measurePrecision(() => 0n, 4e-3)).toBe(4e-3);
  });
});
