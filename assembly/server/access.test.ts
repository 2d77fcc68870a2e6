// SPDX-License-Identifier: MIT OR Apache-2.0
/** The access list against a naive longest-prefix search, and what people expect of IPv4, IPv6 and mapped addresses. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ALLOW, DENY, IPV4_BLOCK, KISS, LIMITED, TestServer, UNLIMITED, ipv4, ipv6, kindOf, type Address } from "../../tests/support/server.ts";

type Rule = readonly [Address, length: number, action: number];
const EVERYTHING = ipv6(0n, 0n);
const ALL_IPV4 = { high: 0n, low: IPV4_BLOCK };

const isIPv4 = ({ high, low }: Address) => high === 0n && low >> 32n === 0xffffn;
const whole = ({ high, low }: Address) => (high << 64n) | low;

/** Of all rules the longest that covers the address; of equal ones the last. Rules shorter than /96 are no rules for IPv4. */
function naive(rules: readonly Rule[], address: Address): number {
  let best: Rule | undefined;
  for (const rule of rules) {
    const [prefix, length] = rule;
    const covers = whole(prefix) >> BigInt(128 - length) === whole(address) >> BigInt(128 - length);
    if (covers && !(isIPv4(address) && length < 96) && length >= (best?.[1] ?? 0)) best = rule;
  }
  return best?.[2] ?? ALLOW;
}

/** What the server does, as an action; LIMITED and UNLIMITED show by a limit that the second request is over. */
function acted(server: TestServer, address: Address): number {
  server.exports.clientsForget();
  const [first, second] = [kindOf(server.ask(address)), kindOf(server.ask(address))];
  if (first === "none") return DENY;
  if (first === "DENY") return KISS;
  return second === "time" ? ALLOW : LIMITED;
}

function listed(...rules: Rule[]): TestServer {
  const server = new TestServer();
  server.limit(8, 1, { all: false });
  server.exports.limitKisses(0n, 0n, 1);
  server.rules(...rules);
  return server;
}

describe("without rules", () => {
  it("everybody is answered, and so is who is unknown", () => {
    for (const server of [new TestServer(), listed()]) {
      for (const address of [ipv4(192, 0, 2, 1), ipv6(0x20010db8_00000000n), undefined]) expect(kindOf(server.ask(address))).toBe("time");
    }
  });
});

describe("the longest prefix", () => {
  // Few bits vary, so that prefixes nest, touch and end at the same address.
  const bits = fc.integer({ min: 0, max: 255 }).map(BigInt);
  const address = fc.oneof(
    bits.map((octet) => ({ high: 0n, low: IPV4_BLOCK | octet })),
    bits.map((octet) => ({ high: 0n, low: IPV4_BLOCK | (octet << 24n) })),
    bits.map((octet) => ({ high: octet << 56n, low: 0n })),
    bits.map((octet) => ({ high: 0x20010db8_00000000n, low: octet })),
    fc.constantFrom(EVERYTHING, ALL_IPV4, ipv6(0n, IPV4_BLOCK - 1n), ipv6(0n, IPV4_BLOCK + 0x1_0000_0000n), ipv6((1n << 64n) - 1n, (1n << 64n) - 1n), ipv6(1n, 0n), ipv6(0n, (1n << 64n) - 1n)),
  );
  const rule = fc.tuple(address, fc.oneof(fc.integer({ min: 0, max: 128 }), fc.integer({ min: 88, max: 128 })), fc.constantFrom(ALLOW, DENY, LIMITED, KISS));

  it("decides, as in a naive search, at and beside every rule", () => {
    fc.assert(fc.property(fc.array(rule, { maxLength: 24 }), fc.array(address, { minLength: 4, maxLength: 12 }), (rules, others) => {
      const server = listed(...rules);
      const edges = rules.flatMap(([prefix, length]) => {
        const size = 1n << BigInt(128 - length);
        const first = (whole(prefix) / size) * size;
        return [first - 1n, first, first + size - 1n, first + size].map((value) => BigInt.asUintN(128, value));
      });
      for (const probe of [...others, ...edges.map((value) => ({ high: value >> 64n, low: BigInt.asUintN(64, value) }))]) {
        expect(acted(server, probe), whole(probe).toString(16)).toBe(naive(rules, probe));
      }
    }), { numRuns: 150 });
  });

  it("of 1024 rules is still found; one more is refused, and the list in use stays", () => {
    const server = new TestServer();
    const rules = Array.from({ length: 1024 }, (_, i): Rule => [ipv4(10, i >> 8, i & 255, 0), 120, i & 1 ? DENY : ALLOW]);
    server.rules(...rules);
    for (let i = 0; i < 1024; i++) expect(kindOf(server.ask(ipv4(10, i >> 8, i & 255, 77)))).toBe(i & 1 ? "none" : "time");
    server.exports.accessBegin();
    for (const [{ high, low }, length, action] of rules) expect(server.exports.accessAdd(high, low, length, action)).toBe(0);
    expect(server.exports.accessAdd(1n, 0n, 64, DENY)).toBe(1);
    expect(kindOf(server.ask(ipv4(10, 0, 1, 1)))).toBe("none");
  });

  it("nested 129 deep is found at every depth", () => {
    const rules = Array.from({ length: 129 }, (_, length): Rule => [ipv6(0x20010db8_12345678n, 0x9abcdef0_12345678n), length, length & 1 ? DENY : ALLOW]);
    const server = listed(...rules);
    for (let flip = 0; flip < 128; flip++) {
      const value = whole(rules[0]![0]) ^ (1n << BigInt(127 - flip));
      const probe = { high: value >> 64n, low: BigInt.asUintN(64, value) };
      expect(acted(server, probe)).toBe(naive(rules, probe));
    }
  });

  it("given twice means what was said last", () => {
    expect(acted(listed([ipv4(192, 0, 2, 0), 120, DENY], [ipv4(192, 0, 2, 99), 120, ALLOW]), ipv4(192, 0, 2, 1))).toBe(ALLOW);
  });

  it("of no length or no action is refused", () => {
    const { exports } = new TestServer();
    for (const [length, action] of [[-1, 0], [129, 0], [64, 5], [64, -1]] as const) expect(exports.accessAdd(0n, 0n, length, action)).toBe(2);
  });
});

describe("IPv4", () => {
  it("is all of 0.0.0.0/0 and none of ::/0, and the other way round, though both come by one socket", () => {
    const [four, six] = [ipv4(198, 51, 100, 7), ipv6(0x20010db8_00000000n)];
    const no4 = listed([ALL_IPV4, 96, DENY]);
    expect([acted(no4, four), acted(no4, six)]).toEqual([DENY, ALLOW]);
    const no6 = listed([EVERYTHING, 0, DENY]);
    expect([acted(no6, four), acted(no6, six)]).toEqual([ALLOW, DENY]);
    const neither = listed([EVERYTHING, 0, DENY], [ALL_IPV4, 96, DENY], [ipv4(198, 51, 100, 0), 120, ALLOW]);
    expect([acted(neither, four), acted(neither, six), acted(neither, ipv4(198, 51, 101, 0))]).toEqual([ALLOW, DENY, DENY]);
  });

  it("is not reached by a prefix of IPv6 that covers its block", () => {
    const server = listed([EVERYTHING, 64, DENY]);
    expect([acted(server, ipv4(0, 0, 0, 0)), acted(server, ipv4(255, 255, 255, 255)), acted(server, ipv6(0n, 1n))]).toEqual([ALLOW, ALLOW, DENY]);
  });
});

describe("reloading", () => {
  it("takes effect at once and as a whole; what is aside does not", () => {
    const server = listed([ipv4(192, 0, 2, 0), 120, DENY]);
    server.exports.accessBegin();
    server.exports.accessAdd(0n, IPV4_BLOCK, 96, KISS);
    expect(acted(server, ipv4(192, 0, 2, 1))).toBe(DENY);
    server.exports.accessCommit(0, ALLOW);
    expect(acted(server, ipv4(192, 0, 2, 1))).toBe(KISS);
    server.exports.accessClear(0);
    expect(acted(server, ipv4(192, 0, 2, 1))).toBe(ALLOW);
  });

  it("a hundred times leaves nothing behind", () => {
    const server = listed();
    for (let i = 0; i < 100; i++) server.rules([ipv4(10, 0, i, 0), 120, DENY]);
    expect([acted(server, ipv4(10, 0, 98, 1)), acted(server, ipv4(10, 0, 99, 1))]).toEqual([ALLOW, DENY]);
  });
});

describe("an exempt prefix", () => {
  it("is not limited where everybody is", () => {
    const server = new TestServer();
    server.limit(8, 1);
    server.rules([ipv4(192, 0, 2, 0), 120, UNLIMITED]);
    const times = (address: Address) => Array.from({ length: 4 }, () => kindOf(server.ask(address)));
    expect(times(ipv4(192, 0, 2, 1))).toEqual(["time", "time", "time", "time"]);
    expect(times(ipv4(192, 0, 3, 1))).toEqual(["time", "none", "none", "none"]);
  });
});
