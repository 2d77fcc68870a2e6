// SPDX-License-Identifier: MIT OR Apache-2.0
/** What is no answer changes nothing, and garbage of any shape does no harm: the real wasm, driven event by event. @module */

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Core } from "../../hosts/common/core/core.ts";
import { Lab } from "../../tests/support/association-additions.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

const source = (index = 0) => lab.core.source(index);

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
