// SPDX-License-Identifier: MIT OR Apache-2.0
/** What the kernel is told of its clock, and when. @module */

import { describe, expect, it } from "vitest";
import type { ClockStatus } from "../steering.ts";
import { StatusTeller } from "./status.ts";

const ns = (date: string) => BigInt(Date.parse(date)) * 1_000_000n;
const NOW = ns("2026-06-15T12:00:00Z");

describe("the kernel", () => {
  const good = { synchronised: true, uncertainty: 0.002, leap: 0, rmsOffset: 1e-5 };
  const setUp = () => {
    const told: ClockStatus[] = [];
    return { told, teller: new StatusTeller({ setStatus: (status) => void told.push(status) }) };
  };

  it("is told at once, and again each 16 s as the error grows", () => {
    const { told, teller } = setUp();
    for (let second = 0; second < 33; second++) teller.tick(good, NOW);
    expect(told).toHaveLength(3);
    expect(told[0]).toEqual({ synchronised: true, leap: 0, estimatedError: 1e-5, maximumError: 0.002 });
  });

  it("is told at once when synchronisation is lost, with errors that say unknown", () => {
    const { told, teller } = setUp();
    teller.tick(good, NOW);
    teller.tick({ ...good, synchronised: false, uncertainty: Infinity, rmsOffset: undefined }, NOW);
    expect(told[1]).toEqual({ synchronised: false, leap: 0, estimatedError: 16, maximumError: 16 });
  });

  it("is told anew after a step made it forget", () => {
    const { told, teller } = setUp();
    teller.tick(good, NOW);
    teller.forget();
    teller.tick(good, NOW);
    expect(told).toHaveLength(2);
  });

  it("is told of a leap second on its day, and never by sources that do not agree", () => {
    const { told, teller } = setUp();
    const day = ns("2026-12-31T12:00:00Z");
    teller.tick({ ...good, leap: 1, synchronised: false }, day);
    teller.tick({ ...good, leap: 1 }, day);
    expect(told.map(({ leap }) => leap)).toEqual([0, 1]);
  });
});
