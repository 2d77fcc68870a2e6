// SPDX-License-Identifier: MIT OR Apache-2.0
/** A clock told by its reading at one moment, carried on; what the core makes of it is in assembly/server/mmsg.test.ts. @module */

import { describe, expect, it } from "vitest";
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
