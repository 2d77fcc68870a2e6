// SPDX-License-Identifier: MIT OR Apache-2.0
/** Kisses, from whom they are heeded and for how long: the real wasm, driven event by event. @module */

import { beforeEach, describe, expect, it } from "vitest";
import { ascii } from "../../tests/support/core.ts";
import { DENY, Lab, RATE, RSTR, SPREAD } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

describe("a kiss", () => {
  it("RATE makes the poll longer, and it stays so", () => {
    lab.open();
    lab.exchange();
    lab.ask();
    const { timerNs, stop } = lab.answer(0, RATE);
    expect(stop).toBe(false);
    expect(lab.waitFor(timerNs)).toBeGreaterThan(64);
    for (let request = 0; request < 40; request++) expect(lab.exchange()).toBeGreaterThanOrEqual(128);
    expect(source()).toMatchObject({ kisses: 1, pollFloor: 7 });
    expect(source().lastKiss).toMatch(/^RATE/);
  });

  it("RATE again makes it longer again, at most 36 h; never shorter", () => {
    lab.open();
    let before = 0;
    for (let kiss = 0; kiss < 20; kiss++) {
      const from = lab.now;
      lab.ask();
      const { timerNs } = lab.answer(0, RATE);
      const waited = lab.waitFor(timerNs, from);
      expect(waited).toBeGreaterThanOrEqual(Math.min(before, 2 ** 17));
      expect(waited).toBeLessThanOrEqual(2 ** 17 * (1 + SPREAD));
      before = Math.floor(waited * (1 - SPREAD));
    }
    expect(source().pollFloor).toBe(17);
  });

  it("RATE is honoured as far as the server's poll field says, and no reply comes sooner", () => {
    lab.open();
    lab.ask();
    const from = lab.now;
    const { timerNs } = lab.answer(0, { ...RATE, poll: 11 });
    expect(lab.waitFor(timerNs, from)).toBeGreaterThanOrEqual(2 ** 11);
    for (let request = 0; request < 5; request++) expect(lab.exchange()).toBeGreaterThanOrEqual(2 ** 11);
    expect(source().pollFloor).toBe(11);
  });

  it("RATE with a shorter or an absurd poll field never shortens", () => {
    for (const poll of [-128, -1, 0, 3, 6]) {
      lab.open();
      lab.ask();
      lab.answer(0, { ...RATE, poll });
      expect(source().pollFloor).toBe(7);
    }
    lab.ask();
    lab.answer(0, { ...RATE, poll: 127 });
    expect(source().pollFloor).toBe(17);
  });

  it("RATE outlasts a burst, an unreachable spell and a jump of the clock", () => {
    lab.open();
    lab.ask();
    const { timerNs } = lab.answer(0, RATE);
    lab.waitFor(timerNs);
    for (let request = 0; request < 20; request++) expect(lab.lose().waited).toBeGreaterThanOrEqual(128);
    lab.core.watchClock(lab.wall, lab.now);
    lab.core.watchClock(lab.wall + 5_000_000_000n, lab.now);
    for (let request = 0; request < 5; request++) expect(lab.exchange()).toBeGreaterThanOrEqual(128);
  });

  it.each([["DENY", DENY], ["RSTR", RSTR]])("%s ends the association: it asks no more and does not count", (code, kiss) => {
    lab.open();
    for (let request = 0; request < 8; request++) lab.exchange();
    lab.ask();
    expect(lab.answer(0, kiss)).toMatchObject({ stop: true, steer: false });
    expect(lab.ask().send).toBeUndefined();
    expect(source()).toMatchObject({ selection: "unreachable", samples: 0 });
    expect(source().lastKiss).toContain(code);
    expect(lab.core.system(lab.now).peer).toBe(-1);
  });

  it("of any other code is only an answer that is no use", () => {
    lab.open();
    lab.ask();
    expect(lab.answer(0, { stratum: 0, refid: ascii("STEP") })).toEqual({ steer: false, resolve: false, stop: false });
    expect(source()).toMatchObject({ kisses: 1, pollFloor: 0, reach: 0 });
    expect(lab.exchange()).toBeLessThanOrEqual(2);
  });

  it.each([["RATE", RATE], ["DENY", DENY], ["RSTR", RSTR]])("%s with another origin changes nothing, as anybody can send it", (_, kiss) => {
    lab.open();
    lab.exchange();
    const { timerNs } = lab.ask();
    const { data } = lab.replyOf(0, { ...kiss, originTime: 0x1234_5678_9abc_def0n, poll: 17 });
    expect(lab.deliver(0, data)).toEqual({ steer: false, resolve: false, stop: false });
    expect(source()).toMatchObject({ kisses: 0, pollFloor: 0, ignored: 1 });
    // Not even the wait is over.
    expect(lab.answer(0)).toMatchObject({ steer: true });
    expect(lab.waitFor(timerNs)).toBeLessThan(2);
  });
});
