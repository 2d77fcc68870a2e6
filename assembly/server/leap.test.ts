// SPDX-License-Identifier: MIT OR Apache-2.0
/** Leap seconds: announced within their window and not outside, or smeared without a jump and without being announced. */
import { describe, expect, it } from "vitest";
import { packet, seconds } from "../../tests/support/core.ts";
import { START, TestServer, kindOf } from "../../tests/support/server.ts";

const LINEAR = 1;
const COSINE = 2;
const DAY = 86_400;
const LEAP_AT = START + seconds(10 * DAY);

function leapServer(options: { leap?: number; shape?: number; length?: number; smearLeap?: number }): TestServer {
  const server = new TestServer();
  const { core, fields } = server;
  core.view.setUint8(fields.LEAP, options.leap ?? 0);
  core.setU64(fields.LEAP_AT, LEAP_AT);
  core.setI64(fields.LEAP_WINDOW, seconds(DAY));
  core.view.setUint8(fields.SMEAR_SHAPE, options.shape ?? 0);
  core.setI64(fields.SMEAR_LENGTH, seconds(options.length ?? DAY));
  core.view.setUint8(fields.SMEAR_LEAP, options.smearLeap ?? 1);
  return server;
}

/** The smear, s, `fromLeap` seconds after the leap by the clock. */
function smearAt(server: TestServer, fromLeap: number): number {
  return Number(server.exports.smearAt(server.server, LEAP_AT + seconds(fromLeap))) / 2 ** 32;
}

describe("announced", () => {
  it.each([1, 2])("leap %i is told within a day before it, and neither before nor after", (leap) => {
    const server = leapServer({ leap });
    const told = (fromLeap: number) => {
      server.now = LEAP_AT + seconds(fromLeap);
      return server.ask(undefined).view.getUint8(0) >> 6;
    };
    expect([-DAY - 1, -DAY, -3600, -0.001, 0, 1, DAY].map(told)).toEqual([0, leap, leap, leap, 0, 0, 0]);
  });

  it("without its moment it is told whenever it is said; leap 3 always means not synchronised", () => {
    const server = leapServer({ leap: 1 });
    server.core.setU64(server.fields.LEAP_AT, 0n);
    expect(server.ask(undefined).view.getUint8(0) >> 6).toBe(1);
    server.core.view.setUint8(server.fields.LEAP, 3);
    expect([server.ask(undefined).view.getUint8(0) >> 6, server.ask(undefined).view.getUint8(1)]).toEqual([3, 0]);
  });
});

describe.each([{ shape: LINEAR, name: "evenly" }, { shape: COSINE, name: "by a cosine" }])("smeared $name", ({ shape }) => {
  it.each([{ leap: 1, what: "inserted" }, { leap: 2, what: "deleted" }])("a second $what begins and ends at nothing and is half done at the leap", ({ leap }) => {
    const server = leapServer({ shape, smearLeap: leap });
    const sign = leap === 1 ? -1 : 1;
    expect(smearAt(server, -DAY)).toBe(0);
    expect(smearAt(server, -DAY / 2 - 1)).toBe(0);
    expect(smearAt(server, -DAY / 2)).toBeCloseTo(0, 4);
    expect(smearAt(server, -1e-6)).toBeCloseTo(sign * 0.5, 4);
    expect(smearAt(server, 0)).toBeCloseTo(-sign * 0.5, 4);
    expect(smearAt(server, DAY / 2 - 1)).toBeCloseTo(0, 4);
    expect(smearAt(server, DAY / 2)).toBe(0);
  });

  it("is, at any moment, what the shape says", () => {
    const server = leapServer({ shape });
    for (let hours = -12; hours < 12; hours += 0.25) {
      const x = ((hours + 12) * 3600 + (hours >= 0 ? 1 : 0)) / (DAY + 1);
      const part = shape === COSINE ? (1 - Math.cos(Math.PI * x)) / 2 : x;
      expect(smearAt(server, hours * 3600)).toBeCloseTo(hours >= 0 ? 1 - part : -part, 8);
    }
  });

  it("time runs on evenly through it all, on a scale where the second counts", () => {
    for (const leap of [1, 2]) {
      const server = leapServer({ shape, smearLeap: leap });
      const sign = leap === 1 ? 1 : -1;
      let before: number | undefined;
      const steepest = (shape === COSINE ? Math.PI / 2 : 1) / DAY;
      for (let at = -DAY / 2 - 600; at < DAY / 2 + 600; at += 60) {
        // `at` runs on a scale without leaps: after the leap the clock shows one second less (or more).
        const clock = at >= 0 ? at - sign : at;
        if (Math.abs(clock) < 2) continue;
        const told = clock + smearAt(server, clock);
        if (before !== undefined && at > -DAY / 2 && Math.abs(at) > 120) {
          expect(told - before, `at ${at}`).toBeGreaterThan(60 - 60 * steepest * 1.01 - 1e-6);
          expect(told - before, `at ${at}`).toBeLessThan(60 + 60 * steepest * 1.01 + 1e-6);
        }
        before = told;
      }
    }
  });

  it("is not announced, and says by its reference that it is on while it is", () => {
    const server = leapServer({ leap: 1, shape });
    const told = (fromLeap: number) => {
      server.now = LEAP_AT + seconds(fromLeap);
      const { view } = server.ask(undefined);
      return [view.getUint8(0) >> 6, view.getUint32(12).toString(16)];
    };
    expect([-DAY, -DAY / 4, DAY / 4, DAY].map(told)).toEqual([[0, "c0000201"], [0, "7f7f01ff"], [0, "7f7f01ff"], [0, "c0000201"]]);
  });

  it("moves receive, transmit and reference timestamps together", () => {
    const server = leapServer({ shape });
    server.now = LEAP_AT - seconds(DAY / 4);
    const { view } = server.ask(undefined);
    const shift = Math.round(smearAt(server, -DAY / 4) * 2 ** 32);
    expect(Number(view.getBigInt64(32) - BigInt.asIntN(64, server.now))).toBe(shift);
    expect(Number(view.getBigInt64(40) - view.getBigInt64(32))).toBeCloseTo(Number(seconds(0.0001)), -3);
    expect(Number(view.getBigInt64(16) - BigInt.asIntN(64, START - seconds(16)))).toBe(shift);
  });

  it("moves an interleaved transmit timestamp by the smear of its own moment", () => {
    const server = leapServer({ shape });
    server.exports.interleaveClients(1);
    server.now = LEAP_AT - seconds(DAY / 4);
    const first = server.ask(undefined, packet({ originTime: 5n, receiveTime: 6n, transmitTime: 7n }));
    const sent = server.now + seconds(0.001);
    expect(server.exports.stampTransmitted(first.view.getBigUint64(32), sent, server.server)).toBe(1);
    server.wait(3600);
    const second = server.ask(undefined, packet({ originTime: first.view.getBigUint64(32), receiveTime: 8n, transmitTime: 9n }));
    const smear = server.exports.smearAt(server.server, sent);
    expect(second.view.getBigUint64(40)).toBe(BigInt.asUintN(64, sent + smear) & ~1n);
  });

  it("keeps silent while the clock may be a second off, and counts it", () => {
    const server = leapServer({ shape });
    const kinds = [-2, -1, -0.5, 0, 0.05, 0.2].map((fromLeap) => {
      server.now = LEAP_AT + seconds(fromLeap);
      return kindOf(server.ask(undefined));
    });
    expect(kinds).toEqual(["time", "none", "none", "none", "none", "time"]);
    expect(server.counter("HUSHED")).toBe(4);
  });
});

describe("absurd figures", () => {
  it("never shift time by more than a second", () => {
    for (const length of [0n, -1n, 1n, seconds(1), 2n ** 63n - 1n, -(2n ** 63n)]) {
      for (const leap of [0, 1, 2, 3, 255]) {
        for (const shape of [0, 1, 2, 3, 255]) {
          const server = leapServer({ shape, smearLeap: leap });
          server.core.setI64(server.fields.SMEAR_LENGTH, length);
          for (const at of [-DAY, -1, 0, 1, DAY]) expect(Math.abs(smearAt(server, at))).toBeLessThanOrEqual(1);
        }
      }
    }
  });
});
