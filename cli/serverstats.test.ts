// SPDX-License-Identifier: MIT OR Apache-2.0
/** What `serverstats` and `clients` show. Live in daemon/daemon.test.ts. @module */

import { describe, expect, it } from "vitest";
import type { ServerCounters } from "../hosts/common/server/clients.ts";
import { clientsText } from "./clients.ts";
import { serverstatsText } from "./serverstats.ts";

describe("serverstats", () => {
  it("is a line for each counter, those of the sockets first and of key establishment last, none twice", () => {
    const counters = { received: 9, answered: 8, kissesRate: 2 } as ServerCounters;
    const ke = { served: 3 } as never;
    const text = serverstatsText({ stats: { received: 7, answered: 6, dropped: 1, failed: 0, ke }, counters });
    expect(text.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual(["received : 7", "answered : 6", "dropped : 1", "failed : 0", "kisses rate : 2", "ke served : 3"]);
  });

  it("says that nobody is served", () => {
    expect(serverstatsText(null)).toContain("[server]");
  });
});

describe("clients", () => {
  it("is a row each, in columns as wide as the head", () => {
    const client = { address: "2001:db8:1:2::/64", requests: 12, dropped: 3, authenticated: 0, interleaved: 5, last: 1.4 };
    const [head, , first, second] = clientsText([client, { ...client, address: "192.0.2.1", interval: 64.04 }]).split("\n");
    expect(first).toMatch(/^2001:db8:1:2::\/64 +12 +3 +0 +5 +- +1$/);
    expect(second).toMatch(/^192\.0\.2\.1 +12 +3 +0 +5 +64\.0 +1$/);
    expect(first!.length).toBe(head!.length);
  });

  it("says that nobody is served", () => {
    expect(clientsText(null)).toContain("[server]");
  });
});
