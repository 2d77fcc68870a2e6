// SPDX-License-Identifier: MIT OR Apache-2.0
// A receiver's life: sentences alone, with pulses, and what goes wrong with both. True time is known, and the bound is held to it.

import { describe, expect, it } from "vitest";
import { Receiver } from "./receiver.ts";

const HOUR = 3600;
const WEEK = 7 * 86400;

describe("a receiver", () => {
  it("with pulses keeps the clock within 2 µs rms, a thousand times better than its sentences alone", () => {
    const alone = new Receiver({ pulses: false }).run(4 * HOUR);
    const pulses = new Receiver().run(4 * HOUR);
    expect(pulses.statistics(HOUR).rms).toBeLessThan(2e-6);
    expect(alone.statistics(HOUR).rms).toBeLessThan(10e-3);
    expect(alone.statistics(HOUR).rms / pulses.statistics(HOUR).rms).toBeGreaterThan(500);
  });

  it.each([{ pulses: false }, {}, { noselect: false }])("is never further off than the bound says: %o", (options) => {
    const { errors, bounds } = new Receiver(options).run(2 * HOUR);
    expect(errors.filter((error, second) => Math.abs(error) > bounds[second]!)).toEqual([]);
  });

  it("makes us stratum 1 within 20 s, and not before it has told the time", () => {
    const { strata } = new Receiver({ sentenceError: (second) => (second < 60 ? undefined : 0) }).run(120);
    expect(strata.slice(0, 59).every((stratum) => stratum === 16)).toBe(true);
    expect(strata.slice(85).every((stratum) => stratum === 1)).toBe(true);
  });
});

describe("pulses", () => {
  it("are numbered by the sentences, though the clock began 0.3 s off", () => {
    const { verdicts } = new Receiver().run(600);
    expect(verdicts.taken).toBeGreaterThan(590);
    expect(verdicts.ambiguous + verdicts.disputed).toBe(0);
  });

  it("are not used when nothing numbers them", () => {
    const receiver = new Receiver({ sentences: false, lock: false }).run(600);
    expect(receiver.verdicts).toMatchObject({ taken: 0, unnumbered: 599 });
    expect(receiver.strata.at(-1)).toBe(16);
  });

  it("are not used when the sentences lie half a second off: which second it is cannot be told", () => {
    const { verdicts, strata } = new Receiver({ offset: 0.2 - 0.5, initialOffset: 0 }).run(600);
    expect(verdicts.taken).toBe(0);
    expect(verdicts.ambiguous).toBeGreaterThan(500);
    expect(strata.at(-1)).toBe(16);
  });

  it("that are missed, one of three, cost little", () => {
    const receiver = new Receiver({ pulse: (second) => second % 3 !== 0 }).run(3 * HOUR);
    expect(receiver.statistics(HOUR).rms).toBeLessThan(3e-6);
  });

  it("that are stray, one of ten, cost little", () => {
    const receiver = new Receiver({ pulse: () => true });
    // A cable that rings: an extra edge 130 ms after the second.
    for (let second = 1; second < 2 * HOUR; second += 10) receiver.world.send(second + 0.13, () => stray(receiver));
    expect(receiver.run(2 * HOUR).statistics(HOUR).rms).toBeLessThan(3e-6);
  });
});

/** An edge that marks nothing. */
function stray(receiver: Receiver): void {
  const monotonic = BigInt(Math.round(receiver.clock.monotonic * 1e9));
  const time = 1_900_000_000_000_000_000n + BigInt(receiver.clock.readWallNs());
  receiver.refclocks.sample(1, { timeNs: 0n, receivedNs: time, dispersion: 0, pulse: true }, { dispersion: 1e-6, taken: { time, monotonic }, nowNs: monotonic });
}

describe("a receiver that loses count", () => {
  const wrong = (by: number, from: number, to: number) => (second: number) => (second >= from && second < to ? by : 0);

  it("by a second for three minutes does not move a clock with pulses", () => {
    const receiver = new Receiver({ sentenceError: wrong(1, 2 * HOUR, 2 * HOUR + 180) }).run(3 * HOUR);
    expect(receiver.statistics(2 * HOUR).max).toBeLessThan(1e-3);
    expect(receiver.strata[2 * HOUR + 100]).toBe(1);
  });

  it("by a second for good is believed in the end: else a wrong start could never be corrected", () => {
    const receiver = new Receiver({ sentenceError: wrong(1, HOUR, 9 * HOUR) }).run(3 * HOUR);
    expect(Math.abs(receiver.errors.at(-1)! - 1)).toBeLessThan(1e-3);
  });

  it.each([{ pulses: false }, {}])("by a week for two minutes moves nothing: %o", (options) => {
    const receiver = new Receiver({ ...options, sentenceError: wrong(WEEK, HOUR, HOUR + 120) }).run(2 * HOUR);
    expect(receiver.statistics(HOUR).max).toBeLessThan(0.02);
    expect(receiver.strata.at(-1)).toBe(1);
  });

  it("by a week for an hour moves nothing either, but nobody shall believe us meanwhile", () => {
    const receiver = new Receiver({ pulses: false, sentenceError: wrong(WEEK, HOUR, 2 * HOUR) });
    receiver.run(2 * HOUR - 1);
    expect(receiver.system().rootDispersion).toBeGreaterThan(16);
    receiver.run(3 * HOUR);
    expect(receiver.statistics(HOUR).max).toBeLessThan(0.5);
    expect(receiver.statistics(3 * HOUR - 600).max).toBeLessThan(0.02);
  });
});

describe("an outage", () => {
  const OUT = { pulse: (second: number) => second < HOUR || second > 2 * HOUR, sentenceError: (second: number) => (second < HOUR || second > 2 * HOUR ? 0 : undefined) };

  it("is held over: stratum 1 for eight polls, the bound growing, then unsynchronised, then back", () => {
    const receiver = new Receiver(OUT).run(3 * HOUR);
    const at = (second: number) => [receiver.strata[second], receiver.bounds[second]] as const;
    expect(at(HOUR + 60)[0]).toBe(1);
    expect(at(HOUR + 100)[1]).toBeGreaterThan(at(HOUR + 20)[1]! + 70 * 15e-6);
    expect(at(HOUR + 200)[0]).toBe(16);
    expect(at(2 * HOUR - 10)[1]).toBeGreaterThan(3000 * 15e-6);
    expect(receiver.strata[2 * HOUR + 60]).toBe(1);
    expect(receiver.errors.filter((error, second) => Math.abs(error) > receiver.bounds[second]!)).toEqual([]);
    expect(receiver.statistics(HOUR).max).toBeLessThan(1e-3);
  });

  it("is held over for as long as it is told to", () => {
    const receiver = new Receiver({ ...OUT, holdover: 1800 }).run(2 * HOUR);
    expect(receiver.strata[HOUR + 1700]).toBe(1);
    expect(receiver.strata[HOUR + 1900]).toBe(16);
  });

  it("leaves the stratum that was asked for where our own clock is to be the reference", () => {
    const receiver = new Receiver({ ...OUT, local: 10 }).run(2 * HOUR);
    expect(receiver.strata[HOUR + 60]).toBe(1);
    expect(receiver.strata[HOUR + 200]).toBe(10);
    expect(receiver.system()).toMatchObject({ stratum: 10, leap: 0 });
  });
});
