// SPDX-License-Identifier: MIT OR Apache-2.0
/** The association's state machine: its requests, its poll, its reach, and 64 of them: the real wasm, driven event by event. @module */

import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { Lab, SPREAD, expectPoll, type Answer } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

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
