// SPDX-License-Identifier: MIT OR Apache-2.0
/** The typed face of associations and discipline: units, copies and words, over the real core. @module */

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Lab } from "../../../tests/support/association-additions.ts";
import { ascii } from "../../../tests/support/core.ts";
import { DisciplineCore } from "./discipline.ts";

const NS_PER_SECOND = 1_000_000_000n;

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

describe("actions", () => {
  it("carry a copy of the packet: another source's request does not change it", () => {
    lab.open(0);
    lab.open(1);
    const { send } = lab.ask(0);
    const before = send!.slice();
    lab.ask(1);
    expect(send).toEqual(before);
  });

  it("name times on the monotonic scale they were given, wherever it started", () => {
    // Two s before the next request, less the spread. Uptimes of up to a century and readings near zero.
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2_000_000_000n * NS_PER_SECOND }), (now) => {
        lab = new Lab();
        lab.now = now;
        lab.open();
        const wait = Number(lab.ask().timerNs! - now) / 1e9;
        expect(wait).toBeGreaterThan(1.9);
        expect(wait).toBeLessThanOrEqual(2.000001);
      }),
      { numRuns: 50 },
    );
  });
});

describe("steering", () => {
  it("begins with what the drift file said", () => {
    lab.core.reset({ algorithm: "estimator", frequency: -37e-6, skew: 1e-6, precision: 1e-6 });
    expect(lab.core.steering()).toMatchObject({ rate: -37e-6, frequency: -37e-6, remaining: 0, stepNs: 0n, synchronised: false, flags: 0 });
    expect(lab.core.steering().untilNs).toBeUndefined();
  });

  it.each(["estimator", "pll-fll"] as const)("is a step in ns where the offset is large: %s", (algorithm) => {
    lab = new Lab({ algorithm });
    lab.open();
    let stepNs = 0n;
    for (let request = 0; request < 6 && stepNs === 0n; request++) {
      const { timerNs } = lab.ask();
      lab.answer(0, { offset: -12.5 });
      stepNs = lab.core.steering().stepNs;
      lab.waitFor(timerNs);
    }
    expect(Number(stepNs) / 1e9).toBeCloseTo(-12.5, 6);
    // It is said once: the next thing the core is told ends it.
    lab.core.steeringTimer(lab.now);
    expect(lab.core.steering().stepNs).toBe(0n);
  });

  it("is a slew with an end where it is small, and the timer ends it", () => {
    lab.open();
    for (let request = 0; request < 4; request++) {
      lab.ask();
      lab.answer(0, { offset: 0.01 });
      if (request < 3) lab.pass(2);
    }
    const { rate, frequency, remaining, untilNs, stepNs } = lab.core.steering();
    expect(stepNs).toBe(0n);
    expect(rate).toBeGreaterThan(frequency);
    expect(remaining).toBeCloseTo(0.01, 3);
    expect(untilNs).toBeGreaterThan(lab.now);
    lab.core.steeringTimer(untilNs! + 1n);
    const ended = lab.core.steering();
    expect(ended.rate).toBe(ended.frequency);
    expect(ended.untilNs).toBeUndefined();
    expect(ended.remaining).toBe(0);
  });
});

describe("what is known of a source", () => {
  it("is told in words and seconds", () => {
    lab.open();
    // No more than four: this clock does not obey, and 2 ms once more after the first correction would be a jump.
    for (let request = 0; request < 4; request++) lab.exchange(0, { offset: 0.002, there: 0.004, back: 0.004, stratum: 2, refid: 0xc0000209, rootDelayShort: 655 });
    const source = lab.core.source(0);
    expect(source).toMatchObject({ reach: 0b1111, sent: 4, used: 4, unfit: 0, kisses: 0, lastKiss: "", lastProblems: [], selection: "survivor", stratum: 2, leap: 0, refid: "192.0.2.9", pollFloor: 0 });
    expect(source.delay).toBeCloseTo(0.008, 3);
    expect(source.rootDelay).toBeCloseTo(0.01, 3);
    expect(lab.now - source.lastSampleNs).toBeLessThan(9n * NS_PER_SECOND);
    expect(source.offsetDeviation).toBeGreaterThan(0);
  });

  it("is undecided until it has four samples, unreachable once it is closed", () => {
    lab.open();
    const words = Array.from({ length: 5 }, () => {
      lab.exchange();
      return lab.core.source(0).selection;
    });
    expect(words).toEqual(["undecided", "undecided", "undecided", "survivor", "survivor"]);
    lab.core.close(0);
    expect(lab.core.source(0).selection).toBe("unreachable");
  });

  it("is undecided where no majority agrees, and falseticker only where one does", () => {
    const servers = [{ offset: 0 }, { offset: 10 }];
    servers.forEach((_, index) => lab.open(index));
    lab.rounds(6, servers);
    expect(servers.map((_, index) => lab.core.source(index).selection)).toEqual(["undecided", "undecided"]);
    lab = new Lab();
    const three = [{ offset: 0 }, { offset: 10 }, { offset: 0 }];
    three.forEach((_, index) => lab.open(index));
    lab.rounds(6, three);
    expect(three.map((_, index) => lab.core.source(index).selection)).toEqual(["survivor", "falseticker", "survivor"]);
  });

  it("takes no clock away by joining, while it says the same; by contradicting it does", () => {
    const words = (offset: number) => {
      lab = new Lab();
      lab.open();
      for (let request = 0; request < 4; request++) lab.exchange();
      lab.open(1);
      return [1, 2, 3, 4].map(() => {
        lab.exchange(1, { offset });
        return [lab.core.source(0).selection, lab.core.source(1).selection];
      });
    };
    const alone = ["survivor", "undecided"];
    expect(words(0.0001)).toEqual([alone, alone, alone, ["survivor", "survivor"]]);
    // Of two nobody can tell which is right.
    const neither = ["undecided", "undecided"];
    expect(words(0.5)).toEqual([neither, neither, neither, neither]);
  });

  it("at the start lets nobody decide before it has told its burst, too", () => {
    [0, 1].forEach((index) => lab.open(index));
    lab.exchange(1);
    for (let request = 0; request < 4; request++) lab.exchange();
    expect([0, 1].map((index) => lab.core.source(index).selection)).toEqual(["undecided", "undecided"]);
    for (let request = 0; request < 3; request++) lab.exchange(1);
    expect([0, 1].map((index) => lab.core.source(index).selection)).toEqual(["survivor", "survivor"]);
  });

  it("waits for nobody longer than a burst: a peer that was heard before it, and tells one sample a minute, keeps no clock", () => {
    const words = (offset: number) => {
      lab = new Lab();
      [0, 1].forEach((index) => lab.open(index));
      lab.exchange(1, { offset });
      for (let request = 0; request < 5; request++) lab.exchange();
      return [0, 1].map((index) => lab.core.source(index).selection);
    };
    expect(words(0.0001)).toEqual(["survivor", "undecided"]);
    // Of two nobody can tell which is right, and it says another time.
    expect(words(0.5)).toEqual(["undecided", "undecided"]);
  });

  it("names whom it follows by its last sample: a code at stratum 1, and no kiss", () => {
    lab.open();
    expect(lab.core.source(0).refid).toBe("");
    lab.exchange(0, { refid: ascii("PPS") });
    lab.ask();
    lab.answer(0, { stratum: 0, refid: ascii("RATE") });
    expect(lab.core.source(0).refid).toBe("PPS");
    lab.core.close(0);
    lab.open();
    expect(lab.core.source(0).refid).toBe("");
  });

  it("names a kiss and what it means, and the last reply's problems", () => {
    lab.open();
    lab.ask();
    lab.answer(0, { stratum: 0, refid: ascii("RATE") });
    expect(lab.core.source(0).lastKiss).toMatch(/^RATE: .+/);
    lab.pass(200);
    lab.ask();
    lab.answer(0, { leap: 3 });
    expect(lab.core.source(0).lastProblems.map(({ test }) => test)).toEqual(["test6"]);
  });
});

describe("a reply", () => {
  it("longer than any NTP packet is counted and passed over, whatever is in it", () => {
    lab.open();
    lab.ask();
    const { data } = lab.replyOf(0);
    const long = new Uint8Array(70_000);
    long.set(data);
    expect(lab.deliver(0, long).steer).toBe(false);
    expect(lab.core.source(0).ignored).toBe(1);
    expect(lab.deliver(0, data).steer).toBe(true);
  });
});

describe("two cores", () => {
  it("know nothing of each other", () => {
    const other = new DisciplineCore();
    lab.open();
    for (let request = 0; request < 6; request++) lab.exchange();
    expect(lab.core.source(0).used).toBe(6);
    expect(other.source(0)).toMatchObject({ used: 0, sent: 0, samples: 0 });
    expect(other.system(0n)).toMatchObject({ peer: -1, bound: Infinity });
  });
});
