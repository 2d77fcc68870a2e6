// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The association's state machine, the system variables and the watch over the clock: the real wasm, driven event by event.
 *
 * @module
 */

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { ascii } from "../../tests/support/core.ts";
import { Lab, type Answer } from "../../tests/support/association-additions.ts";

const RATE: Answer = { stratum: 0, refid: ascii("RATE") };
const DENY: Answer = { stratum: 0, refid: ascii("DENY") };
const RSTR: Answer = { stratum: 0, refid: ascii("RSTR") };
/** Polls may be up to 1/32 earlier. */
const SPREAD = 1 / 32;

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

/** A wait of 2^poll s, up to 1/32 earlier. */
function expectPoll(seconds: number, poll: number): void {
  expect(seconds).toBeLessThanOrEqual(2 ** poll);
  expect(seconds).toBeGreaterThanOrEqual(2 ** poll * (1 - SPREAD) - 1e-6);
}

describe("the request", () => {
  it("goes out at the first timer, and its timer is set", () => {
    lab.open();
    const { send, timerNs, steer, resolve, stop } = lab.ask();
    expect(send).toHaveLength(48);
    expect(timerNs).toBeGreaterThan(lab.now);
    expect({ steer, resolve, stop }).toEqual({ steer: false, resolve: false, stop: false });
  });

  it("tells nothing but version, mode, poll and a transmit timestamp that is random", () => {
    lab.open();
    const random = 0x0123456789abcdefn;
    const { send } = lab.core.timer(0, lab.now, random);
    const octets = [...send!];
    expect(octets.slice(0, 1)).toEqual([(4 << 3) | 3]);
    expect(octets.slice(1, 2)).toEqual([0]);
    // A precision of 32 is what a client says that tells nothing (draft-ietf-ntp-data-minimization).
    expect(octets.slice(3, 4)).toEqual([32]);
    expect(octets.slice(4, 40)).toEqual(Array(36).fill(0));
    expect(octets.slice(40)).toEqual([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
  });

  it("has another transmit timestamp each time, and never zero", () => {
    lab.open();
    const { send } = lab.core.timer(0, lab.now, 0n);
    expect([...send!.subarray(40)].some((octet) => octet !== 0)).toBe(true);
    const first = lab.ask().send!.subarray(40);
    lab.pass(2);
    expect(lab.ask().send!.subarray(40)).not.toEqual(first);
  });

  it("is of the version asked for", () => {
    lab.open(0, { version: 3 });
    expect(lab.ask().send![0]).toBe((3 << 3) | 3);
  });

  it("is not made for a source that is not open, or was closed", () => {
    expect(lab.core.timer(5, lab.now, 1n)).toEqual({ steer: false, resolve: false, stop: false });
    lab.open(5);
    lab.core.close(5);
    expect(lab.core.timer(5, lab.now, 1n).send).toBeUndefined();
  });
});

describe("the poll", () => {
  it("begins with a burst 2 s apart and then grows to the poll in force, never shrinking on the way", () => {
    lab.open();
    const waits = Array.from({ length: 16 }, () => lab.exchange());
    for (const wait of waits.slice(0, 3)) expectPoll(wait, 1);
    const polls = waits.map((wait) => Math.round(Math.log2(wait)));
    expect(polls).toEqual([...polls].sort((a, b) => a - b));
    expect(polls.at(-1)).toBe(6);
    // No more than servers bear by default: one in 8 s on average after a burst of eight.
    expect(waits.slice(0, 12).reduce((sum, wait) => sum + wait)).toBeGreaterThan(8 * (12 - 8));
  });

  it("stays within minPoll and maxPoll of the source, whatever the discipline wants", () => {
    lab = new Lab({ minPoll: 3, maxPoll: 17 });
    lab.open(0, { minPoll: 8, maxPoll: 9 });
    const waits = Array.from({ length: 200 }, () => lab.exchange());
    for (const wait of waits.slice(40)) {
      expect(wait).toBeLessThanOrEqual(2 ** 9);
      expect(wait).toBeGreaterThanOrEqual(2 ** 8 * (1 - SPREAD));
    }
  });

  it("of nonsense limits is still one of 1 s to 36 h", () => {
    for (const [minPoll, maxPoll] of [[-5, -9], [99, 3], [17, 99]] as const) {
      lab.open(0, { minPoll, maxPoll });
      for (let request = 0; request < 40; request++) {
        const { waited } = lab.lose();
        expect(waited).toBeGreaterThan(0.9);
        expect(waited).toBeLessThanOrEqual(2 ** 17);
      }
    }
  });

  it("is spread by up to a thirty-second part, differently each time, and not for all alike", () => {
    lab.open(0, { minPoll: 6, maxPoll: 6 });
    for (let request = 0; request < 20; request++) lab.exchange();
    const waits = Array.from({ length: 200 }, () => lab.exchange());
    for (const wait of waits) expectPoll(wait, 6);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(64 / 32 / 2);
    expect(new Set(waits).size).toBeGreaterThan(190);
  });
});

describe("reach", () => {
  it("takes in one bit a request, and a lost reply shifts a zero in", () => {
    lab.open();
    lab.exchange();
    lab.exchange();
    expect(source().reach).toBe(0b11);
    lab.lose();
    expect(source().reach).toBe(0b110);
    lab.exchange();
    expect(source().reach).toBe(0b1101);
    for (let request = 0; request < 9; request++) lab.exchange();
    expect(source().reach).toBe(0xff);
  });

  it.each([
    ["leap 3", { leap: 3 }],
    ["stratum 16", { stratum: 16 }],
    ["stratum 0 without a kiss", { stratum: 0, refid: 0 }],
    ["a root delay of one second", { rootDelayShort: 1 << 16 }],
    ["a root dispersion of 16 s", { rootDispersionShort: 16 << 16 }],
    ["no transmit time", { transmitTime: 0n }],
    ["a negative delay", { there: -0.2, back: 0.3, transmitTime: 1n << 62n }],
  ] satisfies [string, Answer][])("does not count a reply with %s, which ends the wait all the same", (_, answer) => {
    lab.open();
    lab.ask();
    const actions = lab.answer(0, answer);
    expect(actions).toEqual({ steer: false, resolve: false, stop: false });
    expect(source()).toMatchObject({ reach: 0, used: 0, unfit: 1, samples: 0 });
    expect(source().lastProblems).not.toEqual([]);
    // The negative twin: without the fault it counts, but not in addition.
    expect(lab.answer(0)).toEqual({ steer: false, resolve: false, stop: false });
    lab.exchange();
    expect(source()).toMatchObject({ reach: 1, used: 1, unfit: 1, samples: 1 });
  });
});

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

describe("what is no answer changes nothing", () => {
  const nothing = { steer: false, resolve: false, stop: false };

  it("a duplicate of the answer", () => {
    lab.open();
    lab.ask();
    const { data, takes } = lab.replyOf(0);
    lab.pass(takes);
    expect(lab.deliver(0, data)).toMatchObject({ steer: true });
    const before = source();
    expect(lab.deliver(0, data)).toEqual(nothing);
    expect(source()).toEqual(before);
  });

  it("a late answer to an earlier request", () => {
    lab.open();
    lab.ask();
    const { data } = lab.replyOf(0, { offset: 5 });
    lab.pass(2);
    lab.ask();
    expect(lab.deliver(0, data)).toEqual(nothing);
    expect(source()).toMatchObject({ used: 0, ignored: 1, samples: 0 });
    expect(lab.answer(0)).toMatchObject({ steer: true });
  });

  it("an answer before it is known when the request left", () => {
    lab.open();
    lab.ask(0, false);
    const { data } = lab.replyOf(0);
    expect(lab.deliver(0, data)).toEqual(nothing);
    lab.core.sent(0, lab.wall);
    lab.pass(0.01);
    expect(lab.deliver(0, data)).toMatchObject({ steer: true });
  });

  it("an answer after the clock was stepped, and the loss is not the server's fault", () => {
    lab.open();
    lab.ask();
    const { data } = lab.replyOf(0);
    lab.core.drop();
    lab.pass(0.01);
    expect(lab.deliver(0, data)).toEqual(nothing);
    lab.exchange();
    expect(source()).toMatchObject({ reach: 0b01, used: 1, ignored: 0 });
  });

  it("another mode, a later version, a truncated packet, a packet longer than any", () => {
    lab.open();
    lab.ask();
    const { data } = lab.replyOf(0);
    const twisted = [lab.replyOf(0, { mode: 3 }).data, lab.replyOf(0, { mode: 5 }).data, lab.replyOf(0, { version: 5 }).data, data.subarray(0, 47), new Uint8Array(0), new Uint8Array(70_000)];
    for (const octets of twisted) expect(lab.deliver(0, octets)).toEqual(nothing);
    expect(source()).toMatchObject({ ignored: twisted.length, used: 0 });
    expect(lab.answer(0)).toMatchObject({ steer: true });
  });

  it("an answer to a source that is not open", () => {
    lab.open(0);
    lab.ask(0);
    const { data } = lab.replyOf(0);
    expect(lab.deliver(1, data)).toEqual(nothing);
  });
});

describe("up to 64 sources", () => {
  it("are asked at once and each gets its own answer", () => {
    const all = Array.from({ length: 64 }, (_, index) => index);
    for (const index of all) lab.open(index);
    for (let round = 0; round < 5; round++) {
      for (const index of all) lab.ask(index);
      const replies = all.map((index) => lab.replyOf(index, { offset: 0.001 }));
      lab.pass(0.01);
      // In another order than asked, and each to its own request only.
      for (const index of [...all].reverse()) expect(lab.deliver(index, replies[index]!.data)).toMatchObject({ steer: true });
      expect(lab.deliver(0, replies[1]!.data)).toMatchObject({ steer: false });
      lab.pass(2);
    }
    for (const index of all) expect(source(index)).toMatchObject({ used: 5, selection: "survivor" });
    expect(lab.core.system(lab.now)).toMatchObject({ survivors: 64, stratum: 2, leap: 0 });
  });

  it("an index out of range is folded into it: no foreign memory is reached", () => {
    const core = new Core();
    core.exports.associationOpen(64 + 3, 4, 6, 10);
    expect(core.bytes[core.exports.associationOut(3) + core.constant("ASSOCIATION_ACTIVE")]).toBe(1);
    for (const index of [-1, 64, 1000, 2 ** 31 - 1, -(2 ** 31)]) {
      expect(core.exports.associationOut(index)).toBeGreaterThanOrEqual(core.exports.associationOut(0));
      expect(core.exports.associationOut(index)).toBeLessThanOrEqual(core.exports.associationOut(63));
      core.exports.associationTimer(index, 1n, 1n);
      core.exports.associationReply(index, 48, 1n);
      core.exports.associationClose(index);
    }
  });

  it("live in fixed memory: it never grows, nor does one source's memory reach another's", () => {
    const core = new Core();
    const pages = core.exports.memory.buffer.byteLength;
    const size = core.constant("ASSOCIATION_SIZE");
    expect(core.exports.associationOut(1) - core.exports.associationOut(0)).toBe(size);
    for (let index = 0; index < 64; index++) core.exports.associationOpen(index, 4, 6, 10);
    for (let round = 0; round < 100; round++) {
      for (let index = 0; index < 64; index++) core.exports.associationTimer(index, BigInt(round) << 32n, BigInt(round * 64 + index));
    }
    expect(core.exports.memory.buffer.byteLength).toBe(pages);
  });
});

describe("garbage", () => {
  it("in any shape, at any time, to any source: never traps, and leaves finite numbers", () => {
    const core = new Core();
    const { exports } = core;
    const slot = core.constant("SLOTS");
    const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const index = fc.integer({ min: -2, max: 66 });
    const event = fc.oneof(
      fc.tuple(fc.constant("open"), index, fc.integer(), word),
      fc.tuple(fc.constant("timer"), index, fc.integer(), word),
      fc.tuple(fc.constant("sent"), index, fc.integer(), word),
      fc.tuple(fc.constant("reply"), index, fc.integer({ min: 0, max: 200 }), word),
      fc.tuple(fc.constant("watch"), index, fc.integer(), word),
      fc.tuple(fc.constant("steer"), index, fc.integer(), word),
      fc.tuple(fc.constant("system"), index, fc.integer(), word),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.uint8Array({ minLength: 200, maxLength: 200 }), (events, octets) => {
        for (const [what, at, number, value] of events) {
          if (what === "open") exports.associationOpen(at, number, number >> 8, number >> 16);
          if (what === "timer") exports.associationTimer(at, value, value);
          if (what === "sent") exports.associationSent(at, value);
          if (what === "watch") exports.clockWatch(value, BigInt(number));
          if (what === "steer") exports.disciplineTimer(value);
          if (what === "system") exports.systemUpdate(value);
          if (what !== "reply") continue;
          core.bytes.set(octets, slot);
          // Half of them get past the checks of version, mode and origin.
          if (number & 1) core.bytes[slot] = 0x24;
          if (number & 1) core.bytes.set(core.bytes.subarray(exports.associationOut(at) + core.constant("EXCHANGE_ORIGIN"), exports.associationOut(at) + core.constant("EXCHANGE_ORIGIN") + 8).slice().reverse(), slot + 24);
          exports.associationReply(at, number, value);
        }
        exports.systemUpdate(0n);
        const rate = core.view.getFloat64(exports.steeringOut() + core.constant("STEERING_RATE"), true);
        return Number.isFinite(rate) && Math.abs(rate) < 0.2;
      }),
      { numRuns: 300 },
    );
  });
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
