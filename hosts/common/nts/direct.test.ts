// SPDX-License-Identifier: MIT OR Apache-2.0
/** Clients are spread over NTP servers by weight, to such as they can reach. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkedServers, chooseServer, type NtpServer } from "./direct.ts";

const NAMES = [{ host: "a.example", weight: 3 }, { host: "b.example" }, { host: "c.example", weight: 0 }];

/** How often each is chosen as chance runs evenly from 0 to 1. */
function shares(servers: readonly NtpServer[], from = "192.0.2.1", steps = 400): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < steps; i++) {
    const { host = "" } = chooseServer(servers, undefined, from, i / steps);
    counts[host] = (counts[host] ?? 0) + 1;
  }
  return counts;
}

describe("an NTP server is chosen", () => {
  it("in proportion to its weight, and never with weight 0", () => {
    expect(shares(NAMES)).toEqual({ "a.example": 300, "b.example": 100 });
  });

  it("of the family that the client came by, names being of both; of the other only if there is nothing else", () => {
    const servers = [{ host: "192.0.2.9" }, { host: "2001:db8::9" }, { host: "n.example", weight: 2 }];
    expect(shares(servers, "198.51.100.1", 300)).toEqual({ "192.0.2.9": 100, "n.example": 200 });
    expect(shares(servers, "2001:db8::1", 300)).toEqual({ "2001:db8::9": 100, "n.example": 200 });
    expect(shares(servers.slice(0, 1), "2001:db8::1")).toEqual({ "192.0.2.9": 400 });
  });

  it("as the client wishes, also with weight 0, but only out of ours", () => {
    expect(chooseServer(NAMES, "C.EXAMPLE", "192.0.2.1", 0)).toMatchObject({ host: "c.example" });
    expect(chooseServer(NAMES, "d.example", "192.0.2.1", 0)).toMatchObject({ host: "a.example" });
  });

  it("whatever chance says", () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 5 }), (random, weights) => {
      const servers = [...weights.map((weight, i) => ({ host: `s${i}.example`, weight })), { host: "last.example", weight: 1 }];
      const chosen = chooseServer(servers, undefined, "192.0.2.1", random);
      expect(servers).toContain(chosen);
      expect(chosen.weight).toBeGreaterThan(0);
    }), { numRuns: 300 });
  });
});

describe("servers are refused", () => {
  it.each<[string, NtpServer[]]>([
    ["none", []], ["only weight 0", [{ host: "a.example", weight: 0 }]], ["a zone", [{ host: "fe80::1%eth0" }]], ["a URL", [{ host: "ntp://a" }]],
    ["port 0", [{ port: 0 }]], ["a negative weight", [{ weight: -1 }]], ["a weight that is no number", [{ weight: NaN }]],
  ])("%s", (_, servers) => {
    expect(() => checkedServers(servers)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
