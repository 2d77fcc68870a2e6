// SPDX-License-Identifier: MIT OR Apache-2.0
/** Who is answered how often. @module */

import { describe, expect, it } from "vitest";
import { AddressLimit, networkOf } from "./limit.ts";

const limit = () => new AddressLimit({ rate: 2, burst: 5, salt: 7 });
const times = (count: number, act: () => boolean) => Array.from({ length: count }, act).filter(Boolean).length;

describe("an address", () => {
  it("has its burst at once, and then its rate", () => {
    const one = limit();
    expect(times(20, () => one.allows("192.0.2.1", 100))).toBe(5);
    expect(times(20, () => one.allows("192.0.2.1", 103))).toBe(5);
    expect(times(20, () => one.allows("192.0.2.1", 104))).toBe(2);
    expect(times(20, () => one.allows("192.0.2.1", 104))).toBe(0);
  });

  it("is not limited by another", () => {
    const one = limit();
    times(20, () => one.allows("192.0.2.1", 0));
    expect(one.allows("192.0.2.2", 0)).toBe(true);
  });

  it("has its first request answered, however many others there were", () => {
    const one = limit();
    for (let i = 0; i < 100_000; i++) one.allows(`198.51.${i >> 8 & 255}.${i & 255}.${i}`, 0);
    for (let i = 0; i < 1000; i++) expect(one.allows(`203.0.113.${i}`, 0)).toBe(true);
  });

  it("gets no more from a clock that goes back", () => {
    const one = limit();
    times(20, () => one.allows("192.0.2.1", 100));
    expect(one.allows("192.0.2.1", 50)).toBe(false);
    expect(one.allows("192.0.2.1", 50.1)).toBe(false);
  });

  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::6%eth0", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%lo", "fe80:0:0:0::/64"],
  ])("%s is counted as %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
