// SPDX-License-Identifier: MIT OR Apache-2.0
/** The client log: what is counted of whom, who is pushed out, and that nothing is kept while it is off. */
import { describe, expect, it } from "vitest";
import { clientsOf } from "../../hosts/common/server/clients.ts";
import { packet, seconds } from "../../tests/support/core.ts";
import { DENY, TestServer, ipv4, ipv6 } from "../../tests/support/server.ts";

const CLIENT = ipv4(192, 0, 2, 1);

function logging(): TestServer {
  const server = new TestServer();
  server.exports.gateLog(1);
  return server;
}

const clients = (server: TestServer) => clientsOf(server.core, server.now).sort((a, b) => (a.address < b.address ? -1 : 1));

describe("the client log", () => {
  it("counts requests of each address, IPv6 by /64, and knows when the last came", () => {
    const server = logging();
    for (let i = 0; i < 5; i++) {
      server.ask(CLIENT);
      server.wait(64);
    }
    server.ask(ipv6(0x20010db8_00000001n, 1n));
    server.ask(ipv6(0x20010db8_00000001n, 2n));
    server.wait(3);
    expect(clients(server)).toEqual([
      { address: "192.0.2.1", requests: 5, dropped: 0, authenticated: 0, interleaved: 0, interval: 64, last: 67 },
      { address: "2001:db8:0:1::/64", requests: 2, dropped: 0, authenticated: 0, interleaved: 0, interval: 2 ** -32, last: 3 },
    ]);
  });

  it("averages intervals on a logarithmic scale, so that one pause does not hide a burst", () => {
    const server = logging();
    for (let i = 0; i < 40; i++) {
      server.ask(CLIENT);
      server.wait(i === 20 ? 4096 : 2);
    }
    expect(clients(server)[0]?.interval).toBeGreaterThan(1.9);
    expect(clients(server)[0]?.interval).toBeLessThan(4);
    for (const interval of [0.001, 0.3, 5, 100, 3000]) {
      const steady = logging();
      for (let i = 0; i < 50; i++, steady.wait(interval)) steady.ask(CLIENT);
      // The mantissa is taken for its own logarithm: at most 6 % off.
      expect(Math.abs(Math.log2(clients(steady)[0]!.interval! / interval))).toBeLessThan(0.1);
    }
  });

  it("counts what was dropped for the limit and what was answered in interleaved mode", () => {
    const server = new TestServer();
    server.limit(1000, 3);
    server.exports.interleaveClients(1);
    let origin = 5n;
    for (let i = 0; i < 5; i++) {
      const { view, reply } = server.ask(CLIENT, packet({ originTime: origin, receiveTime: 6n, transmitTime: 7n }));
      if (reply.length > 0) origin = view.getBigUint64(32);
      server.wait(1);
    }
    expect(clients(server)).toMatchObject([{ requests: 5, dropped: 2, interleaved: 2 }]);
  });

  it("keeps nothing of those who are denied, nor of anybody while it is off, nor after it was switched off", () => {
    const server = logging();
    server.rules([ipv4(192, 0, 2, 0), 120, DENY]);
    server.ask(CLIENT);
    expect(clients(server)).toEqual([]);
    const off = new TestServer();
    off.ask(CLIENT);
    expect(clients(off)).toEqual([]);
    server.ask(ipv4(198, 51, 100, 1));
    expect(clients(server).length).toBe(1);
    server.exports.gateLog(0);
    expect(clients(server)).toEqual([]);
  });

  it("does not show the prefixes that are limited", () => {
    const server = logging();
    server.exports.limitPrefixes(seconds(1), 4);
    server.exports.limitAddresses(0n, 1, 1);
    server.ask(CLIENT);
    expect(clients(server).map(({ address }) => address)).toEqual(["192.0.2.1"]);
  });

  it("holds the 65,536 heard of last, more or less: of a set of eight the oldest goes", () => {
    const server = logging();
    for (let i = 0; i < 100_000; i++) {
      server.ask(ipv4(10, i >> 16, (i >> 8) & 255, i & 255));
      server.now += seconds(0.01);
    }
    const kept = clients(server);
    expect(kept.length).toBeLessThanOrEqual(65_536);
    expect(kept.length).toBeGreaterThan(64_000);
    expect(server.counter("EVICTED")).toBe(100_000 - kept.length);
    const late = kept.filter(({ address }) => address.startsWith("10.1.")).length;
    expect(late).toBeGreaterThan(34_000);
  });

  it("follows the clock that does not step where there is one", () => {
    const server = logging();
    server.ask(CLIENT);
    // The clock is set ahead by an hour; the other one ran on by 10 s.
    server.wait(3610);
    server.core.setI64(server.fields.MONO_OFFSET, -seconds(3600));
    server.ask(CLIENT);
    expect(clients(server)[0]?.interval).toBeCloseTo(10, 0);
  });
});
