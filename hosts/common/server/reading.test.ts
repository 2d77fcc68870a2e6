// SPDX-License-Identifier: MIT OR Apache-2.0
/** A clock told by its reading at one moment, as hosts carry it on, and as the core does. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Core } from "../core/core.ts";
import { carry, type ClockReading } from "./reading.ts";

const AT = 1_900_000_000_000_000_000n;
const S = 1_000_000_000n;
const reading = (rate: number): ClockReading => ({ wallNs: AT, timeNs: AT + 3600n * S, rate });

describe("a reading", () => {
  it("is the served clock at its moment, and runs on with the wall clock and what it gains", () => {
    expect(carry(reading(1e-4), AT)).toBe(AT + 3600n * S);
    expect(carry(reading(0), AT + 10n * S)).toBe(AT + 3610n * S);
    expect(carry(reading(1e-4), AT + 10n * S)).toBe(AT + 3610n * S + 1_000_000n);
    expect(carry(reading(-1e-4), AT - 10n * S)).toBe(AT + 3590n * S + 1_000_000n);
  });

  it.each([64n, 3600n, 10n ** 9n])("gains nothing %d s or more from its moment, in either direction: the wall clock was stepped", (seconds) => {
    for (const span of [seconds * S, -seconds * S]) expect(carry(reading(0.1), AT + span)).toBe(AT + 3600n * S + span);
  });

  it("but does just before", () => {
    expect(carry(reading(0.1), AT + 64n * S - 10n)).toBe(AT + 3664n * S - 10n + 6_400_000_000n - 1n);
  });
});

/** The core tells the served clock's time in the transmit stamp of what it announces. */
function announced(core: Core, { wallNs, timeNs, rate }: ClockReading, atNs: bigint): bigint {
  const { exports, view } = core;
  const line = core.fields("CLOCK_LINE", ["SINCE", "OFFSET", "RATE"]);
  const [packet, server] = [core.constant("SLOTS"), core.constant("SERVER")];
  view.setUint8(server + core.constant("SERVER_STRATUM"), 1);
  core.setI64(line.SINCE, exports.timestampFromUnixNs(wallNs));
  core.setI64(line.OFFSET, exports.intervalFromNs(timeNs - wallNs));
  view.setFloat64(line.RATE, rate, true);
  expect(exports.announce(packet, 4, exports.timestampFromUnixNs(atNs), server)).toBe(48);
  return exports.timestampToUnixNs(view.getBigInt64(packet + 40), atNs);
}

it("is carried on by the core alike", () => {
  const core = new Core();
  fc.assert(
    fc.property(fc.double({ min: -0.1, max: 0.1, noNaN: true }), fc.bigInt({ min: -70n * S, max: 70n * S }), fc.bigInt({ min: -86_400n * S, max: 86_400n * S }), (rate, span, ahead) => {
      const told = { wallNs: AT, timeNs: AT + ahead, rate };
      const apart = announced(core, told, AT + span) - carry(told, AT + span);
      // Each of four conversions between nanoseconds and 2^-32 s rounds.
      expect(apart >= -4n && apart <= 4n, `${apart} ns`).toBe(true);
    }),
  );
});
