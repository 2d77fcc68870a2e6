// SPDX-License-Identifier: MIT OR Apache-2.0
import { describe, expect, it } from "vitest";
import type { Host } from "../host.ts";
import { isPublic, parseTarget, Targets } from "./targets.ts";

/** A host that knows these names, and counts its look-ups. */
function resolving(names: Record<string, readonly string[]>): { host: Host; asked: string[] } {
  const asked: string[] = [];
  const resolve = async (name: string) => {
    asked.push(name);
    return (names[name] ?? []).map((address) => ({ address, family: address.includes(":") ? (6 as const) : (4 as const) }));
  };
  return { host: { runtime: "node", resolve } as unknown as Host, asked };
}

describe("targets", () => {
  it("are told apart by transport, host and port, however a host is spelled", () => {
    const targets = new Targets(resolving({}).host, ["Time.Example.ORG.:123", "tcp:a.example:4460", "udp:[2001:db8:0::1]:123"]);
    expect(targets.allows("udp", "time.example.org", 123)).toBe(true);
    expect(targets.allows("tcp", "TIME.example.org.", 123)).toBe(true);
    expect(targets.allows("udp", "2001:DB8::1", 123)).toBe(true);
    expect(targets.allows("tcp", "a.example", 4460)).toBe(true);
    for (const [transport, host, port] of [["udp", "time.example.org", 124], ["udp", "x.time.example.org", 123], ["udp", "a.example", 4460], ["tcp", "2001:db8::1", 123], ["udp", "a.example", 123]] as const) {
      expect(targets.allows(transport, host, port)).toBe(false);
    }
  });

  it.each(["", "a", "a:", "a:0", "a:65536", "a:1x", "http://a:1", "a b:1", "::1:123", "[a]:1", "*:123", "tls:a:1", "fe80::1%lo:1", "[fe80::1%lo]:1"])("cannot be written as %j", (text) => {
    expect(() => parseTarget(text)).toThrow(/expected a target/);
  });

  it("keep the address that answers, and go to the next when one fails", async () => {
    const { host, asked } = resolving({ "a.example": ["192.31.1.1", "192.31.1.2"] });
    const targets = new Targets(host, []);
    expect(await targets.address("A.example")).toBe("192.31.1.1");
    expect(await targets.address("a.example")).toBe("192.31.1.1");
    await targets.failed("a.example", "192.31.1.1");
    expect(await targets.address("a.example")).toBe("192.31.1.2");
    // A second failure of the first is old news.
    await targets.failed("a.example", "192.31.1.1");
    expect(await targets.address("a.example")).toBe("192.31.1.2");
    expect(asked).toEqual(["a.example"]);
  });

  it("leave out the addresses of a name that are not public, and take a literal as it stands", async () => {
    const { host } = resolving({ "mixed.example": ["127.0.0.1", "::ffff:10.0.0.1", "192.31.1.9"], "inside.example": ["10.0.0.1", "fd00::1"], "none.example": [] });
    const targets = new Targets(host, []);
    expect(await targets.address("mixed.example")).toBe("192.31.1.9");
    await expect(targets.address("inside.example")).rejects.toMatchObject({ code: "DNS" });
    await expect(targets.address("none.example")).rejects.toMatchObject({ code: "DNS" });
    expect(await targets.address("127.0.0.1")).toBe("127.0.0.1");
  });

  it("that nobody knows are DNS errors, whatever the resolver says of it, and are looked up anew", async () => {
    let times = 0;
    const host = { resolve: () => Promise.reject(new Error(`ENOTFOUND ${++times}`)) } as unknown as Host;
    const targets = new Targets(host, []);
    for (let i = 0; i < 2; i++) await expect(targets.address("nobody.example")).rejects.toMatchObject({ code: "DNS", cause: { message: `ENOTFOUND ${i + 1}` } });
  });

  it("are left to whoever connects, where there is no resolver", async () => {
    expect(await new Targets({} as Host, []).address("Time.example.")).toBe("time.example");
  });
});

describe("an address is public or not:", () => {
  it.each([
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.1.1", "240.0.0.1", "255.255.255.255", "1.2.3", "256.1.1.1", "::", "::1", "::ffff:8.8.8.8", "fe80::1", "fc00::1", "ff02::101",
    "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "64:ff9b::7f00:1", "2a00::1%eth0", "nonsense",
  ])("%s is not", (address) => expect(isPublic(address)).toBe(false));
  it.each(["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "162.159.200.1", "223.255.255.255", "2606:4700:f1::1", "2a00::1", "2001:200::1", "2001:4860:4806::"])("%s is", (address) => expect(isPublic(address)).toBe(true));
});
