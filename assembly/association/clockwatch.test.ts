// SPDX-License-Identifier: MIT OR Apache-2.0
/** The watch over the clock: the real wasm, driven event by event. @module */

import { beforeEach, describe, expect, it } from "vitest";
import { Lab, expectPoll } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

describe("the watch over the clock", () => {
  const MS = 1_000_000n;
  const look = () => lab.core.watchClock(lab.wall, lab.now);

  beforeEach(() => {
    lab.open();
    for (let request = 0; request < 12; request++) lab.exchange();
    expect(look()).toBe(0);
    lab.pass(1);
  });

  it("sees nothing while both clocks run, nor noise of 49 ms either way", () => {
    for (const noise of [0n, 20n, -20n, 29n, -20n, 0n]) {
      lab.stepped = noise * MS;
      expect(look()).toBe(0);
      lab.pass(1);
    }
  });

  it("sees a step back, and every belief moves along: the source is now ahead by as much", () => {
    const before = source().offset;
    lab.stepped = -300n * MS;
    expect(look()).toBe(1);
    expect(source().offset - before).toBeCloseTo(0.3, 3);
    expect(source().selection).toBe("survivor");
    expect(lab.core.system(lab.now).bound).toBeGreaterThan(0.3);
  });

  it("sees a step ahead or a sleep, and what was believed is forgotten; the bound, too", () => {
    lab.stepped = 300n * MS;
    expect(look()).toBe(2);
    expect(source()).toMatchObject({ samples: 0, selection: "undecided" });
    expect(lab.core.system(lab.now)).toMatchObject({ peer: -1, bound: Infinity });
  });

  it.each([[-300n, 1], [300n, 2]])("after a jump of %i ms bursts begin and replies under way are dropped", (jump, what) => {
    lab.ask();
    const { data } = lab.replyOf(0);
    lab.stepped = jump * MS;
    expect(look()).toBe(what);
    lab.pass(0.01);
    expect(lab.deliver(0, data).steer).toBe(false);
    expectPoll(lab.exchange(), 1);
    expectPoll(lab.exchange(), 1);
    // The negative twin: undisturbed it would have waited for the poll.
    expect(source().reach & 0b11).toBe(0b11);
  });

  it("reports each jump once", () => {
    lab.stepped = 300n * MS;
    expect(look()).toBe(2);
    lab.pass(1);
    expect(look()).toBe(0);
  });

  it("does not report a step of our own", () => {
    lab.stepped = 300n * MS;
    lab.core.drop();
    expect(look()).toBe(0);
    lab.pass(1);
    lab.stepped -= 300n * MS;
    expect(look()).toBe(1);
  });
});
