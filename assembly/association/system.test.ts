// SPDX-License-Identifier: MIT OR Apache-2.0
/** The system variables: the real wasm, driven event by event. @module */

import { beforeEach, describe, expect, it } from "vitest";
import { Lab, type Answer } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

describe("the system variables", () => {
  const settle = (answers: readonly Answer[], rounds = 6) => {
    answers.forEach((_, index) => lab.open(index));
    lab.rounds(rounds, answers);
    return lab.core.system(lab.now);
  };

  it("are the nearest survivor's, one stratum further away", () => {
    const system = settle([{ stratum: 1, rootDispersionShort: 655 }, { stratum: 2 }, { stratum: 3, rootDispersionShort: 2000 }]);
    expect(system).toMatchObject({ peer: 1, stratum: 3, survivors: 3, leap: 0 });
  });

  it("say a root distance that covers the bound of the clock", () => {
    const system = settle([{ rootDelayShort: 1311, rootDispersionShort: 655 }]);
    expect(system.rootDelay).toBeCloseTo(1311 / 65536 + 0.01, 4);
    expect(system.rootDelay / 2 + system.rootDispersion).toBeCloseTo(system.bound, 6);
    expect(system.bound).toBeGreaterThan((1311 / 65536 + 0.01) / 2 + 655 / 65536);
  });

  it("grow less certain with time", () => {
    const before = settle([{}]);
    lab.pass(100);
    const after = lab.core.system(lab.now);
    expect(after.rootDispersion).toBeGreaterThan(before.rootDispersion + 100 * 15e-6 * 0.99);
    expect(after.bound).toBeGreaterThan(before.bound);
  });

  it("announce a leap second when most of the survivors do, and not when half do", () => {
    expect(settle([{ leap: 1 }, { leap: 1 }, {}])).toMatchObject({ leap: 1 });
    lab = new Lab();
    expect(settle([{ leap: 2 }, { leap: 2 }, { leap: 1 }])).toMatchObject({ leap: 2 });
    lab = new Lab();
    expect(settle([{ leap: 1 }, {}, { leap: 1 }, {}])).toMatchObject({ leap: 0 });
    lab = new Lab();
    expect(settle([{ leap: 1 }, { leap: 2 }, {}])).toMatchObject({ leap: 0 });
  });

  it("do not listen to a falseticker's leap", () => {
    expect(settle([{}, {}, { leap: 1, offset: 30 }])).toMatchObject({ leap: 0, survivors: 2 });
  });

  it("say unsynchronised before anything is known: leap 3, stratum 16, no bound", () => {
    const nothing = { peer: -1, leap: 3, stratum: 16, survivors: 0, rootDelay: 0, rootDispersion: 0, bound: Infinity, local: false };
    expect(lab.core.system(lab.now)).toEqual(nothing);
    lab.open();
    lab.ask();
    lab.answer();
    // One sample does not steer a clock.
    expect(lab.core.system(lab.now)).toEqual(nothing);
  });

  it("say unsynchronised again once the last survivor is gone; but the bound grows from where it was", () => {
    const before = settle([{}], 20);
    expect(before.peer).toBe(0);
    for (let request = 0; request < 9; request++) {
      lab.core.system(lab.now);
      lab.lose();
    }
    const lost = lab.core.system(lab.now);
    expect(lost).toMatchObject({ peer: -1, leap: 3, stratum: 16 });
    expect(lost.bound).toBeGreaterThan(before.bound);
    lab.pass(1000);
    const later = lab.core.system(lab.now).bound - lost.bound;
    expect(later).toBeGreaterThan(1000 * 15e-6 * 0.99);
    expect(later).toBeLessThan(1000 * 200e-6);
  });

  it("say unsynchronised once no majority agrees, and who was right is not guessed", () => {
    settle([{}, {}, {}], 8);
    lab.rounds(20, [{ offset: 0 }, { offset: 40 }, { offset: -40 }]);
    expect(lab.core.system(lab.now)).toMatchObject({ peer: -1, leap: 3 });
    expect(lab.core.system(lab.now).bound).toBeLessThan(1);
  });
});
