// SPDX-License-Identifier: MIT OR Apache-2.0
/** A name to the addresses that are tried, in order. @module */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeHost, errorOf } from "../../../tests/support/fake-host.ts";
import type { Host, ResolvedAddress } from "../host.ts";
import { endpointsOf, literalFamily, takeTurns } from "./resolve.ts";
import { parseSource } from "./source.ts";

const host = new FakeHost()
  .name("both", ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"])
  .name("four", ["192.0.2.1", "192.0.2.2"])
  .name("doubled", ["192.0.2.1", "192.0.2.1", "2001:db8::1", "192.0.2.1"])
  .name("empty", [])
  .name("broken", errorOf("EAI_AGAIN"));

const addresses = async (text: string, family?: 4 | 6) => (await endpointsOf(host, parseSource(text), family)).map(({ address }) => address);

describe("the addresses of a name", () => {
  it("take turns by family, the resolver's first family first", async () => {
    expect(await addresses("both")).toEqual(["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]);
  });

  it("carry the source's port", async () => {
    expect(await endpointsOf(host, parseSource("four:4123"))).toEqual([
      { address: "192.0.2.1", port: 4123 },
      { address: "192.0.2.2", port: 4123 },
    ]);
  });

  it("are narrowed to the family asked for", async () => {
    expect(await addresses("both", 4)).toEqual(["192.0.2.1"]);
    expect(await addresses("both", 6)).toEqual(["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
  });

  it("that the resolver tells twice are tried once", async () => {
    expect(await addresses("doubled")).toEqual(["192.0.2.1", "2001:db8::1"]);
  });

  it("in any mixture all appear once, and neither family waits for the whole of the other", () => {
    const mixture = fc.array(fc.constantFrom<4 | 6>(4, 6)).map((families) => families.map((family, i): ResolvedAddress => ({ address: `${i}`, family })));
    fc.assert(
      fc.property(mixture, (list) => {
        const turns = takeTurns(list);
        expect(new Set(turns)).toEqual(new Set(list));
        expect(turns.length).toBe(list.length);
        expect(turns[0]).toBe(list[0]);
        const fewer = Math.min(list.filter(({ family }) => family === 4).length, list.filter(({ family }) => family === 6).length);
        turns.slice(0, 2 * fewer).forEach((turn, i) => expect(turn.family === turns[0]?.family).toBe(i % 2 === 0));
      }),
    );
  });
});

describe("a literal address", () => {
  it("is taken as it is, and no resolver is asked", async () => {
    const deaf: Host = { ...host, runtime: "edge", version: "", clock: host.clock, random: (bytes) => bytes };
    expect(await endpointsOf(deaf, parseSource("192.0.2.1"))).toEqual([{ address: "192.0.2.1", port: 123 }]);
    expect(await endpointsOf(deaf, parseSource("[fe80::1%eth0]:5"))).toEqual([{ address: "fe80::1%eth0", port: 5 }]);
  });

  it("that is v4-mapped means the IPv4 address: a sender is shown in that form", async () => {
    expect(await addresses("[::ffff:192.0.2.1]:123")).toEqual(["192.0.2.1"]);
  });

  it("of the other family than asked for is no address", async () => {
    await expect(addresses("192.0.2.1", 6)).rejects.toMatchObject({ code: "DNS", message: expect.stringContaining("an IPv6 address") });
    await expect(addresses("::1", 4)).rejects.toMatchObject({ code: "DNS", message: expect.stringContaining("an IPv4 address") });
  });

  it.each([["192.0.2.1", 4], ["::1", 6], ["fe80::1%1", 6], ["localhost", undefined], ["1.2.3", undefined], ["1.2.3.4.example", undefined]])("%s has family %s", (text, family) => {
    expect(literalFamily(text)).toBe(family);
  });
});

describe("a name without an address", () => {
  it("is a DNS error that names it and carries the resolver's own", async () => {
    const error = { code: "DNS", source: "broken:7", message: expect.stringMatching(/"broken".*EAI_AGAIN/), cause: expect.objectContaining({ code: "EAI_AGAIN" }) };
    await expect(addresses("broken:7")).rejects.toMatchObject(error);
  });

  it("is a DNS error when the resolver finds nothing", async () => {
    await expect(addresses("empty")).rejects.toMatchObject({ code: "DNS", source: "empty" });
  });

  it("has none of this family only: said so", async () => {
    await expect(addresses("four", 6)).rejects.toMatchObject({ code: "DNS", message: expect.stringContaining("IPv6") });
  });

  it("where the runtime has no resolver is UNSUPPORTED, with what to do", async () => {
    const nameless: Host = { runtime: "edge", version: "", clock: host.clock, random: (bytes) => bytes };
    await expect(endpointsOf(nameless, parseSource("both"))).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("give an IP address") });
  });
});
