// SPDX-License-Identifier: MIT OR Apache-2.0
/** Access rules and rate limits as people write them. What the core makes of them is tested in assembly/server. */

import { describe, expect, it } from "vitest";
import { Core } from "../core/core.ts";
import { TestServer, ipv4, kindOf } from "../../../tests/support/server.ts";
import { checkedAccess, checkedLimits, setAccess, setLimits, type AccessRule, type RateLimitOptions } from "./limits.ts";

const random = (bytes: Uint8Array<ArrayBuffer>) => crypto.getRandomValues(bytes);

describe("access rules", () => {
  it("are texts or objects; all means both families", () => {
    expect(checkedAccess(["deny all", { action: "allow", prefix: "192.0.2.0/24" }])).toEqual([
      { high: 0n, low: 0xffff_0000_0000n, length: 96, action: 1 },
      { high: 0n, low: 0n, length: 0, action: 1 },
      { high: 0n, low: 0xffff_c000_0200n, length: 120, action: 0 },
    ]);
  });

  it("do what they say", () => {
    const server = new TestServer();
    setAccess(server.core, checkedAccess(["deny all", "allow 192.0.2.0/24", "deny 192.0.2.7", "kiss 198.51.100.0/24"]));
    server.exports.limitKisses(0n, 0n, 1);
    expect([ipv4(192, 0, 2, 1), ipv4(192, 0, 2, 7), ipv4(203, 0, 113, 1), ipv4(198, 51, 100, 9)].map((from) => kindOf(server.ask(from)))).toEqual(["time", "none", "none", "DENY"]);
  });

  it.each<[AccessRule, RegExp]>([
    ["deny", /access rule like/], ["deny 1.2.3.4 please", /access rule like/], ["forbid 1.2.3.4", /allow, deny/], ["toString 1.2.3.4", /allow, deny/],
    ["deny example.org", /an address or a prefix/], ["deny 192.0.2.1/24", /bits beyond its length.*192\.0\.2\.1\/24/],
    [{ action: "ban" as "deny", prefix: "::/0" }, /allow, deny/], [{ action: "deny", prefix: "" }, /an address or a prefix/],
  ])("%j is refused with a reason", (rule, reason) => {
    expect(() => checkedAccess([rule])).toThrow(reason);
  });

  it("are 1024 at most", () => {
    const rules = Array.from({ length: 1025 }, (_, i) => `deny 10.0.${i >> 8}.${i & 255}`);
    expect(checkedAccess(rules.slice(1)).length).toBe(1024);
    expect(() => checkedAccess(rules)).toThrow(/at most 1024/);
  });
});

describe("rate limits", () => {
  it("have defaults, and can be switched off", () => {
    expect(checkedLimits(true)).toEqual({ interval: 8, burst: 8, leak: 2, prefixInterval: 0, prefixBurst: 1, kissInterval: 64, allKissesInterval: 0.1, kissBurst: 50, everybody: true });
    expect(checkedLimits(false).interval).toBe(0);
    expect(checkedLimits({ kiss: false }).kissBurst).toBe(0);
  });

  it("do what they say, and can be changed at work", () => {
    const server = new TestServer();
    const times = (count: number) => Array.from({ length: count }, () => kindOf(server.ask(ipv4(192, 0, 2, 1))));
    setLimits(server.core, checkedLimits({ interval: 4, burst: 2, leak: 0 }), random);
    expect(times(4)).toEqual(["time", "time", "RATE", "none"]);
    setLimits(server.core, checkedLimits(false), random);
    expect(times(3)).toEqual(["time", "time", "time"]);
  });

  it.each<[RateLimitOptions, RegExp]>([
    [{ interval: 0 }, /rateLimit\.interval/], [{ interval: NaN }, /rateLimit\.interval/], [{ interval: 1e6 }, /rateLimit\.interval/], [{ burst: 0 }, /rateLimit\.burst/],
    [{ burst: 1.5 }, /rateLimit\.burst/], [{ burst: 9000 }, /rateLimit\.burst/], [{ leak: -1 }, /rateLimit\.leak/], [{ leak: 17 }, /rateLimit\.leak/],
    [{ prefix: { interval: 0, burst: 1 } }, /prefix\.interval/], [{ prefix: { interval: 1, burst: 0 } }, /prefix\.burst/], [{ kiss: { rate: 0 } }, /kiss\.rate/],
    [{ kiss: { burst: 0 } }, /kiss\.burst/], [{ kiss: { interval: 0 } }, /kiss\.interval/], [{ who: "some" as "all" }, /rateLimit\.who/],
  ])("%j is refused with a reason", (options, reason) => {
    expect(() => checkedLimits(options)).toThrow(reason);
  });

  it("need no memory beyond what a core has", () => {
    expect(new Core().exports.memory.buffer.byteLength).toBe(192 * 65536);
  });
});
