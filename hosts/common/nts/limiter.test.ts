// SPDX-License-Identifier: MIT OR Apache-2.0
/** How often an address may come: newcomers always, others as tokens come back; a bounded table whatever comes. */
import { describe, expect, it } from "vitest";
import { AddressBuckets, addressGroup } from "./limiter.ts";

function buckets(options: Partial<{ rate: number; burst: number; entries: number }> = {}) {
  const clock = { ms: 0 };
  return { clock, table: new AddressBuckets({ rate: 1, burst: 3, entries: 100, ...options }, () => clock.ms) };
}

describe("an address", () => {
  it("may come as often as the burst, and then at the rate", () => {
    const { clock, table } = buckets();
    const come = () => table.take("192.0.2.1");
    expect([come(), come(), come(), come()]).toEqual([true, true, true, false]);
    clock.ms = 999;
    expect(come()).toBe(false);
    clock.ms = 2000;
    expect([come(), come(), come()]).toEqual([true, true, false]);
  });

  it("never has more than the burst, however long it was away", () => {
    const { clock, table } = buckets();
    table.take("192.0.2.1");
    clock.ms = 1e9;
    expect(Array.from({ length: 5 }, () => table.take("192.0.2.1"))).toEqual([true, true, true, false, false]);
  });

  it("does not pay for another's visits", () => {
    const { table } = buckets({ burst: 1 });
    expect([table.take("192.0.2.1"), table.take("192.0.2.1"), table.take("192.0.2.2")]).toEqual([true, false, true]);
  });

  it("of IPv6 is its /64: who has one has 2^64", () => {
    const { table } = buckets({ burst: 1 });
    expect([table.take("2001:db8::1"), table.take("2001:db8::2"), table.take("2001:db8:0:1::1")]).toEqual([true, false, true]);
  });

  it("gains nothing when the clock goes back", () => {
    const { clock, table } = buckets({ burst: 1 });
    clock.ms = 5000;
    table.take("192.0.2.1");
    clock.ms = 0;
    expect(table.take("192.0.2.1")).toBe(false);
  });
});

describe("the table", () => {
  it("has no more entries than it may, and forgets who has been away longest", () => {
    const { table } = buckets({ burst: 1, entries: 10 });
    table.take("198.51.100.1");
    for (let i = 0; i < 9; i++) table.take(`192.0.2.${i}`);
    expect(table.take("198.51.100.1"), "it is still known").toBe(false);
    for (let i = 10; i < 100_000; i++) table.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(table.size).toBe(10);
  });
});

describe("the group of an address", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"], ["2001:db8::1", "2001:db8:0:0::/64"], ["2001:DB8:0:0:1:2:3:4", "2001:db8:0:0::/64"], ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"], ["fe80::1%eth0", "fe80:0:0:0::/64"], ["2001:0db8:0001::", "2001:db8:1:0::/64"], ["1:2:3:4:5:6:7:8", "1:2:3:4::/64"],
  ])("%s is %s", (address, group) => expect(addressGroup(address)).toBe(group));
});
