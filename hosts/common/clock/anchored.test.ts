// SPDX-License-Identifier: MIT OR Apache-2.0
/** A fine clock on a coarse one that steps, slews, sleeps and stands still, and a process that is held up. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnchoredClock, measurePrecision } from "./anchored.ts";

const US = 1000n;
const MS = 1_000_000n;
const SECOND = 1_000_000_000n;
const HOUR = 3600n * SECOND;

/** A machine: true wall time and monotonic time in ns. Every reading costs some time, as on a real one. */
class Machine {
  wallNs = 1_900_000_000_000_123_456n;
  monotonicNs = 5n * SECOND + 777n;
  readingCost = 100n;
  readings = 0;
  /** Grain of the wall clock. */
  tick = MS;
  /** Called before each reading; may hold the process up. */
  onReading: (which: "wall" | "monotonic") => void = () => {};

  readonly clock = new AnchoredClock(
    {
      wallMs: () => {
        this.#reading("wall");
        return Number((this.wallNs / this.tick) * this.tick / MS);
      },
      monotonicNs: () => {
        this.#reading("monotonic");
        return this.monotonicNs;
      },
    },
    "a machine",
  );

  #reading(which: "wall" | "monotonic"): void {
    this.readings += 1;
    this.pass(this.readingCost);
    this.onReading(which);
  }

  pass(ns: bigint): void {
    this.wallNs += ns;
    this.monotonicNs += ns;
  }

  /** How far the clock's reading is from the truth right after it, ns. */
  get error(): number {
    const reading = this.clock.now();
    return Number(reading - this.wallNs);
  }

  /** The wall clock of a millisecond's grain before and after the reading holds it. */
  staysWithinWall(): void {
    const earliest = this.wallNs - (this.wallNs % MS);
    const reading = this.clock.now();
    const latest = this.wallNs - (this.wallNs % MS) + MS;
    expect(reading >= earliest && reading < latest, `${reading} in [${earliest}, ${latest})`).toBe(true);
  }
}

describe("an anchored clock", () => {
  it("is right to a microsecond from its first reading on", () => {
    const machine = new Machine();
    for (const wait of [0n, 3n * US, 499n * US, 12n * MS, HOUR]) {
      machine.pass(wait);
      expect(Math.abs(machine.error)).toBeLessThan(1000);
    }
  });

  it("waits for an edge once, for about a millisecond at most", () => {
    const machine = new Machine();
    const before = machine.wallNs;
    machine.clock.now();
    expect(machine.wallNs - before < MS + 10n * US).toBe(true);
    const { readings } = machine;
    machine.clock.now();
    expect(machine.readings - readings).toBeLessThanOrEqual(3);
  });

  it("is never read before it is asked: importing costs nothing", () => {
    expect(new Machine().readings).toBe(0);
  });

  it.each([["forwards", HOUR], ["backwards", -HOUR], ["forwards by 3 ms", 3n * MS], ["backwards by 3 ms", -3n * MS]])("follows a step %s at the next reading, as finely as before", (_, step) => {
    const machine = new Machine();
    machine.clock.now();
    machine.wallNs += step;
    expect(Math.abs(machine.error)).toBeLessThan(1000);
    machine.pass(SECOND);
    expect(Math.abs(machine.error)).toBeLessThan(1000);
  });

  it("follows a sleep in which the monotonic timer stood still", () => {
    const machine = new Machine();
    machine.clock.now();
    machine.wallNs += 8n * HOUR;
    expect(Math.abs(machine.error)).toBeLessThan(1000);
  });

  it.each([["fast", 500n], ["slow", -500n]])("stays within the wall clock's millisecond while that is slewed 500 ppm %s", (_, ppm) => {
    const machine = new Machine();
    machine.clock.now();
    for (let i = 0; i < 2000; i++) {
      machine.pass(10_123n * US);
      machine.wallNs += (10_123n * US * ppm) / 1_000_000n;
      machine.staysWithinWall();
    }
  });

  it("never leaves what the wall clock allows, whatever either does", () => {
    const event = fc.record({ pass: fc.bigInt(0n, 3n * MS), step: fc.oneof(fc.constant(0n), fc.bigInt(-2n * MS, 2n * MS), fc.bigInt(-HOUR, HOUR)) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const machine = new Machine();
        machine.readingCost = 200n;
        for (const { pass, step } of events) {
          machine.pass(pass);
          machine.wallNs += step;
          machine.staysWithinWall();
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("a process that is held up", () => {
  it.each([["0.7 ms", 700n * US], ["30 ms", 30n * MS]])("for %s between the two readings does not lose its edge, nor wait for another", (_, pause) => {
    const machine = new Machine();
    machine.clock.now();
    machine.pass(MS - (machine.wallNs % MS) + 400n * US); // so that the pause passes over an edge
    let held = false;
    machine.onReading = (which) => {
      if (which !== "wall" || held) return;
      held = true;
      machine.pass(pause);
    };
    const { readings } = machine;
    machine.clock.now();
    expect(held).toBe(true);
    expect(machine.readings - readings).toBe(3);
    expect(Math.abs(machine.error)).toBeLessThan(1000);
  });

  it("at the very edge takes the next one", () => {
    const machine = new Machine();
    let held = false;
    machine.onReading = (which) => {
      // Just before the edge would be seen: 12 ms are lost.
      if (which !== "wall" || held || machine.wallNs % MS < 900n * US) return;
      held = true;
      machine.pass(12n * MS + 300n * US);
    };
    machine.clock.now();
    expect(held).toBe(true);
    expect(Math.abs(machine.error)).toBeLessThan(1000);
  });
});

describe("a wall clock without milliseconds", () => {
  it("that ticks every 16 ms is followed to its tick, without waiting for one at each reading", () => {
    const machine = new Machine();
    machine.tick = 16n * MS;
    machine.clock.now();
    const { readings } = machine;
    for (let i = 0; i < 100; i++) {
      machine.pass(5_432n * US);
      expect(Math.abs(machine.error)).toBeLessThan(16_100_000);
    }
    expect(machine.readings - readings).toBeLessThanOrEqual(300);
  });

  it("that stands still does not hold the first reading for ever, nor any later one for long", () => {
    const machine = new Machine();
    machine.tick = 1_000_000n * SECOND;
    const start = machine.monotonicNs;
    machine.clock.now();
    expect(machine.monotonicNs - start < 100n * MS).toBe(true);
    const again = machine.readings;
    for (let i = 0; i < 100; i++) {
      machine.pass(2n * MS);
      machine.clock.now();
    }
    expect(machine.readings - again).toBeLessThanOrEqual(300);
  });

  it("beside a timer that stands still, too, gives an answer after a bounded number of readings", () => {
    const machine = new Machine();
    machine.readingCost = 0n;
    const reading = machine.clock.now();
    expect(reading / MS).toBe(machine.wallNs / MS);
    expect(machine.readings).toBeLessThan(3_000_000);
  });
});

describe("the precision", () => {
  it("is what a reading costs where that is more than the least step", () => {
    const machine = new Machine();
    const { precision } = machine.clock;
    expect(precision).toBeGreaterThanOrEqual(100e-9);
    expect(precision).toBeLessThan(2e-6);
  });

  it("is measured once", () => {
    const machine = new Machine();
    const { precision } = machine.clock;
    const { readings } = machine;
    expect(machine.clock.precision).toBe(precision);
    expect(machine.readings).toBe(readings);
  });

  it("is the step of a coarse clock", () => {
    let elapsed = 0n;
    const read = () => ((elapsed += 10n * US) / MS) * MS;
    expect(measurePrecision({ now: read, monotonic: read })).toBeCloseTo(1e-3, 6);
  });

  it("of a clock that stands still is some positive number, not zero or infinite", () => {
    const precision = measurePrecision({ now: () => 5n, monotonic: () => 5n });
    expect(precision).toBeGreaterThan(0);
    expect(precision).toBeLessThan(1);
  });

  it("is not spoilt by a step in the middle of the measurement", () => {
    let elapsed = 0n;
    let readings = 0;
    const now = () => (elapsed += 100n) + (++readings > 100 ? -HOUR : 0n);
    expect(measurePrecision({ now, monotonic: () => (elapsed += 100n) })).toBeLessThan(1e-6);
  });
});
