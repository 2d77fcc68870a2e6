// SPDX-License-Identifier: MIT OR Apache-2.0
/** A server that falls silent and one that comes back: the real wasm, driven event by event. @module */

import { beforeEach, describe, expect, it } from "vitest";
import { Lab, expectPoll } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

describe("a server that falls silent", () => {
  /** Eight requests in vain are known as such when the ninth is due. */
  const falls = () => Array.from({ length: 9 }, () => lab.lose());

  it("is unreachable after eight requests: it has no say any more and its name is to be looked up", () => {
    lab.open();
    for (let request = 0; request < 12; request++) lab.exchange();
    expect(source().selection).toBe("survivor");
    const { actions } = falls().at(-1)!;
    expect(actions).toMatchObject({ resolve: true });
    expect(actions.send).toBeDefined();
    expect(source()).toMatchObject({ reach: 0, selection: "unreachable" });
    expect(lab.core.system(lab.now)).toMatchObject({ peer: -1, leap: 3, stratum: 16 });
  });

  it("counts as long as only seven were lost", () => {
    lab.open();
    for (let request = 0; request < 12; request++) lab.exchange();
    const lost = Array.from({ length: 7 }, () => lab.lose());
    expect(lost.some(({ actions }) => actions.resolve)).toBe(false);
    expect(source().selection).toBe("survivor");
    lab.exchange();
    expect(source()).toMatchObject({ reach: 1, selection: "survivor" });
  });

  it("is asked ever less often, up to maxPoll, and looked up again after every eighth", () => {
    lab.open(0, { minPoll: 4, maxPoll: 8 });
    const lost = Array.from({ length: 60 }, () => lab.lose());
    const asked = lost.flatMap(({ actions }, request) => (actions.resolve ? [request] : []));
    expect(asked).toEqual([8, 16, 24, 32, 40, 48, 56]);
    for (const { waited } of lost) expect(waited).toBeLessThanOrEqual(2 ** 8);
    expectPoll(lost.at(-1)!.waited, 8);
    expect(lost[10]!.waited).toBeLessThan(lost[30]!.waited);
  });

  it("comes back with a burst, and with what was known of it", () => {
    lab.open();
    for (let request = 0; request < 20; request++) lab.exchange();
    const { offsetDeviation } = source();
    for (let request = 0; request < 20; request++) lab.lose();
    const waits = Array.from({ length: 4 }, () => lab.exchange());
    for (const wait of waits.slice(0, 2)) expectPoll(wait, 1);
    expect(source()).toMatchObject({ reach: 0b1111, selection: "survivor", samples: 24 });
    expect(source().offsetDeviation).toBeLessThan(2 * offsetDeviation);
  });

  it("comes back like a new one when it was away for more than eight polls of 1024 s", () => {
    lab.open();
    for (let request = 0; request < 20; request++) lab.exchange();
    for (let request = 0; request < 20; request++) lab.lose();
    lab.pass(8192);
    for (let request = 0; request < 4; request++) lab.exchange();
    expect(source()).toMatchObject({ selection: "survivor", samples: 4 });
  });

  it("is a new one when another server of the same name answers, whether it was missed or not", () => {
    lab.open();
    lab.core.address(0, "192.0.2.1");
    for (let request = 0; request < 20; request++) lab.exchange();
    lab.core.address(0, "192.0.2.2");
    lab.exchange();
    expect(source()).toMatchObject({ samples: 1, used: 21 });
    for (let request = 0; request < 9; request++) lab.exchange();
    lab.core.address(0, "192.0.2.2");
    lab.exchange();
    expect(source()).toMatchObject({ samples: 11 });
    // Who was asked but has not answered leaves things as they are.
    for (let request = 0; request < 9; request++) lab.lose();
    lab.core.address(0, "192.0.2.1");
    lab.lose();
    lab.core.address(0, "192.0.2.2");
    lab.exchange();
    expect(source()).toMatchObject({ samples: 12 });
    for (let request = 0; request < 9; request++) lab.lose();
    lab.core.address(0, "192.0.2.1");
    lab.exchange();
    expect(source()).toMatchObject({ samples: 1 });
  });

  it("comes back to a clock whose frequency is known still, within 2 ppm: a burst of a few seconds cannot tell it anew", () => {
    lab.open(0);
    lab.open(1);
    lab.exchange(1);
    // A new source to a new clock may differ by 100 ppm.
    expect(source(1).frequencyDeviation).toBeCloseTo(100e-6, 6);
    lab.core.close(1);
    for (let request = 0; request < 60; request++) lab.exchange();
    for (let request = 0; request < 20; request++) lab.lose();
    lab.pass(8192);
    lab.exchange();
    expect(source()).toMatchObject({ samples: 1 });
    expect(source().frequencyDeviation).toBeLessThan(2e-6);
  });

  it("does not come back by anything but a fit reply", () => {
    lab.open();
    for (let request = 0; request < 20; request++) lab.lose();
    lab.ask();
    lab.answer(0, { leap: 3 });
    expect(source()).toMatchObject({ reach: 0, selection: "unreachable" });
  });

  it("is unreachable by unfit answers, too", () => {
    lab.open();
    const resolves = Array.from({ length: 10 }, () => {
      const { resolve } = lab.ask();
      lab.answer(0, { stratum: 16 });
      lab.pass(64);
      return resolve;
    });
    expect(resolves.indexOf(true)).toBe(8);
  });
});
