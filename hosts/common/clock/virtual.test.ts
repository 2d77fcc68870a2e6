// SPDX-License-Identifier: MIT OR Apache-2.0
/** The virtual clock against exact integers, over a host whose wall clock is stepped, sleeps and is read late. @module */

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock, ageOf } from "./virtual.ts";

const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;
const MS = 1_000_000n;
const BEGINNING = 1_900_000_000n * SECOND;
/** A slew of a tenth and a frequency of 500 ppm together. */
const FASTEST = 0.1005;

/** A host's clock: `pass` lets time go by, `sleep` the wall clock only. */
class Hands {
  timer = 5n * SECOND;
  wall = BEGINNING;
  /** What each reading of the timer, or of the wall clock, costs. */
  cost = 0n;
  readonly precision = 1e-9;
  readonly description = "hands";

  now(): bigint {
    this.pass(this.cost);
    return this.wall;
  }

  monotonic(): bigint {
    return this.timer;
  }

  pass(ns: bigint): void {
    this.timer += ns;
    this.wall += ns;
  }

  sleep(ns: bigint): void {
    this.wall += ns;
  }
}

let host: Hands;
let clock: VirtualClock;

beforeEach(() => {
  host = new Hands();
  clock = new VirtualClock(host);
});

describe("the virtual clock", () => {
  it("begins with the host's time and runs at the timer's speed", () => {
    expect(clock.now()).toBe(BEGINNING);
    expect(clock.monotonic()).toBe(0n);
    host.pass(3n * DAY + 7n);
    expect(clock.now()).toBe(BEGINNING + 3n * DAY + 7n);
    expect(clock.monotonic()).toBe(3n * DAY + 7n);
  });

  it("is exact to the nanosecond over days at each rate", () => {
    // As integers: parts per 10^9.
    for (const parts of [20_000n, -20_000n, 1n, -499_999n, 100_000_000n, -100_000_000n]) {
      const from = clock.now();
      clock.setRate(Number(parts) / 1e9);
      host.pass(11n * DAY + 123_456_789n);
      const span = 11n * DAY + 123_456_789n;
      const exact = span + (span * parts) / SECOND;
      const error = clock.now() - from - exact;
      expect(error >= -1n && error <= 1n).toBe(true);
    }
  });

  it("does not add up roundings: a thousand changes of the rate in a day cost less than a microsecond", () => {
    let exact = 0n; // in 10^-9 ns
    for (let piece = 0; piece < 1000; piece++) {
      const parts = BigInt((piece * 7919) % 1_000_000) - 500_000n;
      clock.setRate(Number(parts) / 1e9);
      const span = 86_400_000_000n + BigInt(piece);
      host.pass(span);
      exact += span * (SECOND + parts);
    }
    const error = Number(clock.monotonic() - exact / SECOND);
    expect(Math.abs(error)).toBeLessThan(1000);
  });

  it("is moved at once by a step, and its monotonic scale is not", () => {
    host.pass(SECOND);
    const elapsed = clock.monotonic();
    clock.step(-3600n * SECOND);
    expect(clock.now()).toBe(BEGINNING - 3599n * SECOND);
    expect(clock.monotonic()).toBe(elapsed);
    clock.step(2n ** 62n);
    expect(clock.now()).toBe(BEGINNING - 3599n * SECOND + 2n ** 62n);
    expect(clock.rate()).toBe(0);
  });

  it("keeps its rate over a step", () => {
    clock.setRate(0.01);
    clock.step(SECOND);
    host.pass(100n * SECOND);
    expect(clock.now()).toBe(BEGINNING + 102n * SECOND);
  });

  it.each([[1, FASTEST], [-1, -FASTEST], [Infinity, FASTEST], [-Infinity, -FASTEST], [NaN, 0], [0.05, 0.05]])(
    "asked for a rate of %d runs at %d",
    (asked, got) => {
      clock.setRate(asked);
      expect(clock.rate()).toBe(got);
      host.pass(SECOND);
      expect(Number(clock.monotonic()) / 1e9).toBeCloseTo(1 + got, 9);
    },
  );

  it("begins a rate at the moment it was worked out for, though told later", () => {
    host.pass(SECOND);
    const then = clock.monotonic();
    host.pass(10n * MS);
    clock.setRate(0.1, then);
    expect(clock.monotonic()).toBe(SECOND + 11n * MS);
    host.pass(10n * MS);
    expect(clock.now()).toBe(BEGINNING + SECOND + 22n * MS);
  });

  it("does not begin a rate before the last change, nor in the future", () => {
    host.pass(SECOND);
    clock.setRate(0.1);
    host.pass(10n * MS);
    clock.setRate(0, 0n);
    expect(clock.monotonic()).toBe(SECOND + 10n * MS);
    clock.setRate(0.1, 3600n * SECOND);
    expect(clock.monotonic()).toBe(SECOND + 10n * MS);
    host.pass(10n * MS);
    expect(clock.monotonic()).toBe(SECOND + 21n * MS);
  });

  it("never goes backwards, and its monotonic scale not even by a step, under any sequence of changes", () => {
    const change = fc.record({
      rate: fc.oneof(fc.double({ min: -0.2, max: 0.2, noNaN: false }), fc.constantFrom(-FASTEST, FASTEST)),
      span: fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 0n, max: 40n * DAY })),
      step: fc.constantFrom(0n, 0n, 0n, SECOND, -SECOND),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        host = new Hands();
        clock = new VirtualClock(host);
        for (const { rate, span, step } of changes) {
          const [time, elapsed] = [clock.now(), clock.monotonic()];
          clock.setRate(rate);
          if (step !== 0n) clock.step(step);
          // A change of the rate moves nothing by itself.
          expect(clock.now()).toBe(time + step);
          expect(clock.monotonic()).toBe(elapsed);
          host.pass(span);
          const passed = clock.monotonic() - elapsed;
          expect(passed).toBeGreaterThanOrEqual((span * 89n) / 100n);
          expect(clock.now()).toBe(time + step + passed);
        }
      }),
    );
  });

  it("counts each nanosecond of the timer in order", () => {
    fc.assert(
      fc.property(fc.double({ min: -FASTEST, max: FASTEST, noNaN: true }), fc.bigInt({ min: 0n, max: DAY }), (rate, start) => {
        host = new Hands();
        clock = new VirtualClock(host);
        clock.setRate(rate);
        host.pass(start);
        let before = clock.now();
        for (let nanosecond = 0; nanosecond < 30; nanosecond++) {
          host.pass(1n);
          const now = clock.now();
          expect(now).toBeGreaterThanOrEqual(before);
          before = now;
        }
      }),
    );
  });
});

describe("a stamp of the host's wall clock is carried over", () => {
  it("to the same moment, through the piece it falls into", () => {
    host.pass(SECOND);
    const stamps: { wall: bigint; time: bigint; monotonic: bigint }[] = [];
    for (const rate of [0.1, -0.1, 0.05]) {
      clock.setRate(rate);
      host.pass(20n * MS);
      stamps.push({ wall: host.wall, time: clock.now(), monotonic: clock.monotonic() });
      host.pass(20n * MS);
    }
    for (const { wall, time, monotonic } of stamps) expect(clock.carry(wall)).toEqual({ time, monotonic });
  });

  it("taken before a step to the time before it", () => {
    const { wall } = host;
    host.pass(MS);
    clock.step(SECOND);
    host.pass(MS);
    expect(clock.carry(wall)).toEqual({ time: BEGINNING, monotonic: 0n });
    expect(clock.carry(host.wall)).toEqual({ time: BEGINNING + SECOND + 2n * MS, monotonic: 2n * MS });
  });

  it("whatever the host's wall clock was, and is no part of the virtual one", () => {
    host.sleep(-7200n * SECOND);
    host.pass(SECOND);
    expect(clock.carry(host.wall)).toEqual({ time: BEGINNING + SECOND, monotonic: SECOND });
  });

  it("older than all pieces that are kept by the oldest of them", () => {
    const { wall } = host;
    for (let piece = 0; piece < 20; piece++) {
      host.pass(SECOND);
      clock.setRate(piece % 2 ? 1e-6 : -1e-6);
    }
    expect(Number(clock.carry(wall).monotonic)).toBeCloseTo(0, -6);
  });

  it("with the middle of the reading, when reading takes long", () => {
    host.cost = 2n * MS;
    const { wall } = host;
    const { monotonic } = clock.carry(wall);
    expect(Number(monotonic)).toBeLessThanOrEqual(2e6);
    expect(Number(monotonic)).toBeGreaterThanOrEqual(-2e6);
  });

  it("from the future counts as now: the clock was stepped back since", () => {
    const { wall } = host;
    host.pass(5n * MS);
    host.sleep(-3600n * SECOND);
    expect(clock.carry(wall)).toEqual({ time: BEGINNING + 5n * MS, monotonic: 5n * MS });
    // The negative twin: a kernel's stamp may be a little ahead of a coarser reading, and stays exact.
    expect(clock.carry(host.wall + MS)).toEqual({ time: BEGINNING + 6n * MS, monotonic: 6n * MS });
  });

  it("has an age that is negative only by a little", () => {
    expect(ageOf(0n, 5n)).toBe(5n);
    expect(ageOf(MS, 0n)).toBe(-MS);
    expect(ageOf(SECOND, 0n)).toBe(0n);
  });
});

describe("following the host's wall clock", () => {
  const looks = (count: number) => {
    for (let look = 0; look < count; look++) {
      host.pass(SECOND);
      clock.followHost();
    }
  };

  it("is nothing while it runs with the timer, or is slewed", () => {
    looks(3);
    host.sleep(40n * MS);
    looks(1);
    host.sleep(-40n * MS);
    looks(1);
    expect(clock.now()).toBe(BEGINNING + 5n * SECOND);
  });

  it("takes over a sleep, during which the timer stood still", () => {
    looks(2);
    host.sleep(3600n * SECOND);
    looks(2);
    expect(clock.now()).toBe(BEGINNING + 3604n * SECOND);
    expect(clock.monotonic()).toBe(4n * SECOND);
  });

  it("takes over no step back", () => {
    looks(2);
    host.sleep(-3600n * SECOND);
    looks(2);
    expect(clock.now()).toBe(BEGINNING + 4n * SECOND);
    // Nor the same step ahead again, as it brings the wall clock to where we are.
    host.sleep(3600n * SECOND);
    looks(2);
    expect(clock.now()).toBe(BEGINNING + 6n * SECOND);
  });

  it("takes over no step that sets the host right by us; but one that makes it wrong", () => {
    clock.step(5n * SECOND);
    host.sleep(5n * SECOND);
    looks(1);
    expect(clock.now()).toBe(BEGINNING + 6n * SECOND);
    host.sleep(5n * SECOND);
    looks(1);
    expect(clock.now()).toBe(BEGINNING + 12n * SECOND);
  });

  it("waits for the next look when the readings were held up", () => {
    host.cost = 80n * MS;
    looks(3);
    expect(clock.monotonic()).toBe(clock.now() - BEGINNING);
    host.cost = 0n;
    host.sleep(SECOND);
    looks(1);
    expect(clock.now() - BEGINNING - clock.monotonic()).toBe(SECOND);
  });
});
