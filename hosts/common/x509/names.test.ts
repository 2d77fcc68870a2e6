// SPDX-License-Identifier: MIT OR Apache-2.0
import net from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { GeneralName } from "./extensions.ts";
import { addressOctets, describe as say, matches, serverName, violation } from "./names.ts";
import { addressOctets as written } from "../../../tests/support/pki.ts";

const dns = (name: string): GeneralName => ({ kind: "dns", name });
const ip = (address: string): GeneralName => ({ kind: "ip", octets: written(address) });
const range = (address: string, mask: string): GeneralName => ({ kind: "ip", octets: Uint8Array.of(...written(address), ...written(mask)) });

describe("a name", () => {
  test.each([
    ["ntp.example", "ntp.example"],
    ["ntp.example", "NTP.Example"],
    ["ntp.example", "ntp.example."],
    ["*.example.org", "a.example.org"],
    ["*.example.org", "xn--bcher-kva.example.org"],
  ])("%s is for %s", (pattern, asked) => {
    expect(matches([dns(pattern)], serverName(asked))).toBe(true);
  });

  test.each([
    ["ntp.example", "other.example"],
    ["ntp.example", "a.ntp.example"],
    ["a.ntp.example", "ntp.example"],
    ["*.example.org", "example.org"],
    ["*.example.org", "a.b.example.org"],
    ["*.example.org", "a.example.org.evil"],
    ["*.org", "example.org"],
    ["*", "localhost"],
    ["a*.example.org", "ab.example.org"],
    ["*a.example.org", "ba.example.org"],
    ["a.*.org", "a.example.org"],
    ["*.*.org", "a.b.org"],
    ["", "a"],
    ["127.0.0.1", "127.0.0.1"],
  ])("%s is not for %s", (pattern, asked) => {
    expect(matches([dns(pattern)], serverName(asked))).toBe(false);
  });

  test.each(["", ".", "a..b", "-a.example", "a-.example", "bücher.example", "a b", "1.2.3", "1.2.3.4.5", "256.1.1.1", "a\0.example", "x".repeat(64), `${"a.".repeat(127)}abc`, "[::1", "1::2::3"])(
    "%j cannot be asked for",
    (text) => {
      expect(() => serverName(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );
});

describe("an address", () => {
  test("matches its own octets only", () => {
    expect(matches([ip("192.0.2.1")], serverName("192.0.2.1"))).toBe(true);
    expect(matches([ip("192.0.2.2")], serverName("192.0.2.1"))).toBe(false);
    expect(matches([ip("2001:db8::1")], serverName("2001:DB8:0:0::1"))).toBe(true);
    expect(matches([ip("2001:db8::1")], serverName("[2001:db8::1]"))).toBe(true);
    expect(matches([ip("2001:db8::1")], serverName("2001:db8::2"))).toBe(false);
    expect(matches([ip("192.0.2.1")], serverName("::ffff:192.0.2.1"))).toBe(false);
  });

  test("is never a name, nor the other way round", () => {
    expect(matches([dns("192.0.2.1")], serverName("192.0.2.1"))).toBe(false);
    expect(matches([ip("192.0.2.1")], serverName("ntp.example"))).toBe(false);
  });

  test("is read as Node reads it, or not at all", () => {
    const group = fc.oneof(fc.nat(0xffff).map((n) => n.toString(16)), fc.constantFrom("", ":", "::", "g", "12345", "1.2.3.4", "%1"));
    fc.assert(
      fc.property(fc.array(group, { maxLength: 10 }), (groups) => {
        const text = groups.join(":");
        expect(addressOctets(text) !== undefined, text).toBe(net.isIP(text) !== 0);
      }),
      { numRuns: 3000 },
    );
    fc.assert(fc.property(fc.ipV6(), (text) => void expect(addressOctets(text)?.length, text).toBe(16)));
    fc.assert(fc.property(fc.ipV4(), (text) => void expect(say({ kind: "ip", octets: addressOctets(text) as Uint8Array })).toBe(text)));
  });

  test("with a tail in IPv4 notation has the same octets", () => {
    expect(addressOctets("64:ff9b::192.0.2.33")).toEqual(addressOctets("64:ff9b::c000:221"));
    expect(addressOctets("1:2:3:4:5:6:192.0.2.33")).toEqual(addressOctets("1:2:3:4:5:6:c000:221"));
  });
});

describe("name constraints", () => {
  const permitted = (...names: GeneralName[]) => ({ permitted: names, excluded: [] });
  const excluded = (...names: GeneralName[]) => ({ permitted: [], excluded: names });

  test.each([
    ["a permitted name", permitted(dns("example.org")), [dns("example.org"), dns("a.example.org")]],
    ["a permitted subtree", permitted(dns(".example.org")), [dns("a.example.org")]],
    ["another kind of name", permitted(dns("example.org")), [ip("192.0.2.1")]],
    ["an address in its range", permitted(range("10.0.0.0", "255.0.0.0")), [ip("10.1.2.3")]],
    ["an IPv6 address in its range", permitted(range("2001:db8::", "ffff:ffff::")), [ip("2001:db8::1")]],
    ["everything not excluded", excluded(dns("bad.example")), [dns("good.example"), dns("notbad.example")]],
    ["everything below the empty name", permitted(dns("")), [dns("a.example")]],
  ])("allow %s", (_name, constraints, names) => {
    expect(violation(constraints, names)).toBeUndefined();
  });

  test.each([
    ["a name elsewhere", permitted(dns("example.org")), [dns("example.com")]],
    ["a name that only ends alike", permitted(dns("example.org")), [dns("badexample.org")]],
    ["the base of a subtree with a dot", permitted(dns(".example.org")), [dns("example.org")]],
    ["one bad name among good ones", permitted(dns("example.org")), [dns("example.org"), dns("example.com")]],
    ["an address out of its range", permitted(range("10.0.0.0", "255.0.0.0")), [ip("11.0.0.1")]],
    ["IPv6 where IPv4 is permitted", permitted(range("10.0.0.0", "255.0.0.0")), [ip("2001:db8::1")]],
    ["an excluded name", excluded(dns("bad.example")), [dns("a.bad.example")]],
    ["an excluded name that is permitted, too", { permitted: [dns("example")], excluded: [dns("bad.example")] }, [dns("bad.example")]],
    ["a kind of constraint that is not compared", permitted({ kind: "other", tag: 0xa4 }), [dns("a.example")]],
  ] as const)("forbid %s", (_name, constraints, names) => {
    expect(violation(constraints, names)).toMatch(/name constraints/);
  });
});
