// SPDX-License-Identifier: MIT OR Apache-2.0
/** Addresses and prefixes of the server, as text and as numbers; the URL parser's canonical form is the oracle. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressNumber, addressText, prefixNumber } from "./address.ts";

const whole = (text: string) => {
  const address = addressNumber(text);
  return address && (address.high << 64n) | address.low;
};

describe("an address", () => {
  it("is read and written back, as the URL parser writes it", () => {
    fc.assert(fc.property(fc.oneof(fc.ipV6(), fc.array(fc.constantFrom("0", "1", "ffff"), { minLength: 8, maxLength: 8 }).map((groups) => groups.join(":"))), (text) => {
      const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
      const address = addressNumber(text);
      expect(address, text).toBeDefined();
      if (!canonical.startsWith("::ffff:")) expect(addressText(address!)).toBe(canonical);
      expect(whole(canonical)).toBe(whole(text));
    }), { numRuns: 500 });
    fc.assert(fc.property(fc.ipV4(), (text) => {
      expect(addressText(addressNumber(text)!)).toBe(text);
      expect(whole(text)).toBe(whole(`::ffff:${text}`));
    }), { numRuns: 200 });
  });

  it("may have a zone, which says nothing", () => expect(whole("fe80::1%eth0")).toBe(whole("fe80::1")));

  it.each(["", ":", ":::", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "0x1.2.3.4", "1.2.3.4 ", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "::g", "1.2.3.4::", "::1.2.3", "example.org"])(
    "is not %j", (text) => expect(addressNumber(text)).toBeUndefined(),
  );
});

describe("a prefix", () => {
  it.each([["192.0.2.0/24", 120], ["0.0.0.0/0", 96], ["192.0.2.1", 128], ["192.0.2.1/32", 128], ["::/0", 0], ["2001:db8::/32", 32], ["::1", 128], ["::ffff:192.0.2.0/120", 120]])(
    "%s has %i bits of the mapped form", (text, length) => expect(prefixNumber(text)?.length).toBe(length),
  );

  it.each(["192.0.2.1/24", "192.0.2.0/33", "2001:db8::1/64", "::/129", "::/", "192.0.2.0/-1", "192.0.2.0/2.5", "/24", "fe80::1%eth0", "192.0.2.0/24/24"])(
    "is not %j", (text) => expect(prefixNumber(text)).toBeUndefined(),
  );
});
