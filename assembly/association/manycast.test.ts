// SPDX-License-Identifier: MIT OR Apache-2.0
/** Manycast (RFC 5905 §3.1) in the core: what a request says, which answers count, when everybody is asked again. */
import { beforeEach, describe, expect, it } from "vitest";
import { Bench, packet, type HeaderFields } from "../../tests/support/core.ts";

const WHICH = 3;
const [SEND, TIMER] = [1, 2];
const SECOND = 2n ** 32n;
const RANDOM = 0x0123456789abcdefn;
const NOW = 5n * SECOND;
const T1 = 0xed000000_00000000n;

let bench: Bench;
const exports = () => bench.exports;

beforeEach(() => {
  bench = new Bench();
  exports().disciplineReset(0, 0);
  exports().manycastOpen(WHICH, 4, 2);
});

const ask = (now = NOW, random = RANDOM) => exports().manycastTimer(WHICH, now, random);

function answer(fields: Partial<HeaderFields> = {}, { after = SECOND, length = 48 } = {}): number {
  const told = T1 + SECOND / 10n;
  const octets = packet({ mode: 4, stratum: 2, precision: -20, referenceTime: told, originTime: RANDOM, receiveTime: told, transmitTime: told, ...fields });
  bench.core.bytes.set(octets, bench.core.constant("SLOTS"));
  return exports().manycastReply(WHICH, length, T1 + SECOND / 5n, NOW + after);
}

function asked(): number {
  const actions = ask();
  exports().manycastSent(WHICH, T1);
  return actions;
}

/** An association of a server that was found. */
function follow(index: number): void {
  exports().associationOpen(index, 4, 6, 10);
  exports().manycastFollow(WHICH, index);
}

const timer = () => bench.core.view.getBigUint64(exports().actionOut() + bench.core.constant("ACTION_TIMER"), true);
/** Its server answers none of eight requests. */
function silence(index: number): void {
  for (let request = 0; request < 9; request++) exports().associationTimer(index, NOW, 1n);
}

describe("a request", () => {
  it("is a client's that tells nothing but its random origin", () => {
    expect(ask()).toBe(SEND | TIMER);
    const at = bench.core.constant("SLOTS");
    const octets = [...bench.core.bytes.slice(at, at + 48)];
    expect(octets).toEqual([0x23, 0, 0, 32, ...Array(36).fill(0), 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
  });

  it("has an origin even where chance says zero", () => {
    ask(NOW, 0n);
    expect(bench.core.bytes[bench.core.constant("SLOTS") + 47]).toBe(1);
  });

  it("is not made once it is over", () => {
    exports().manycastClose(WHICH);
    expect(ask()).toBe(0);
  });
});

describe("an answer", () => {
  it("counts, from as many servers as there are", () => {
    asked();
    expect([answer(), answer(), answer()]).toEqual([1, 1, 1]);
  });

  it.each<[string, Partial<HeaderFields>]>([
    ["another origin", { originTime: RANDOM + 1n }],
    ["no origin", { originTime: 0n }],
    ["a client's mode", { mode: 3 }],
    ["broadcast mode", { mode: 5 }],
    ["a newer version", { version: 5 }],
    ["no time yet", { leap: 3 }],
    ["stratum 16", { stratum: 16 }],
    ["a kiss", { stratum: 0, refid: 0x44454e59 }],
    ["no receive timestamp", { receiveTime: 0n }],
    ["a processing time longer than the whole exchange", { receiveTime: T1 - 9n * SECOND }],
  ])("with %s does not", (_, fields) => {
    asked();
    expect(answer(fields)).toBe(0);
    expect(answer()).toBe(1);
  });

  it("cut short does not", () => {
    asked();
    expect(answer({}, { length: 47 })).toBe(0);
  });

  it("before any request, before its stamp, after five seconds, or once it is over does not", () => {
    expect(answer()).toBe(0);
    ask();
    expect(answer()).toBe(0);
    exports().manycastSent(WHICH, T1);
    expect(answer({}, { after: 5n * SECOND + 1n })).toBe(0);
    expect(answer({}, { after: 5n * SECOND })).toBe(1);
    exports().manycastClose(WHICH);
    expect(answer()).toBe(0);
  });

  it("does not where there are enough, and does when one of them is gone", () => {
    asked();
    follow(10);
    expect(answer()).toBe(1);
    follow(63);
    expect(answer()).toBe(0);
    exports().associationClose(63);
    expect(answer()).toBe(1);
  });

  it("is that of one network only", () => {
    asked();
    exports().manycastOpen(0, 4, 2);
    exports().manycastTimer(0, NOW, 77n);
    expect(answer({ originTime: 77n })).toBe(0);
    expect(answer()).toBe(1);
  });
});

describe("everybody is asked again", () => {
  it("after 16 s, then half as often each time, at least every 1152 s, up to an eighth later", () => {
    for (const wait of [16n, 32n, 64n, 128n, 256n, 512n, 1024n, 1024n]) {
      expect(ask(NOW, RANDOM)).toBe(SEND | TIMER);
      const passed = timer() - NOW;
      expect(passed).toBeGreaterThanOrEqual(wait * SECOND);
      expect(passed).toBeLessThan((wait * SECOND * 9n) / 8n);
    }
  });

  it("not while there are enough, which is looked at every minute, and from the beginning when there are not", () => {
    ask();
    ask();
    follow(1);
    follow(2);
    expect(ask()).toBe(TIMER);
    expect(timer()).toBe(NOW + 64n * SECOND);
    silence(2);
    expect(ask()).toBe(SEND | TIMER);
    expect(timer() - NOW).toBeLessThan(18n * SECOND);
  });
});

describe("what was found and is gone", () => {
  it("is named once: unreachable, or stopped", () => {
    follow(0);
    follow(40);
    follow(63);
    expect(exports().manycastLost(WHICH)).toBe(-1);
    silence(40);
    exports().associationClose(63);
    expect([1, 2, 3].map(() => exports().manycastLost(WHICH))).toEqual([40, 63, -1]);
  });

  it("other networks' and other sources are no concern", () => {
    exports().associationOpen(7, 4, 6, 10);
    silence(7);
    expect(exports().manycastLost(WHICH)).toBe(-1);
  });
});
