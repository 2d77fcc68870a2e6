// SPDX-License-Identifier: MIT OR Apache-2.0
/** Broadcasts live: to a broadcast address and to groups, from the server's own port, while it is synchronised and not else. */
import dgram from "node:dgram";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import type { ServeOptions, Server } from "../../hosts/common/server/serve.ts";
import { Asker, built, lacking, until } from "./built.ts";

let servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function start(options: ServeOptions): Promise<Server> {
  const server = await built.serve({ port: 0, stratum: 2, ...options });
  servers.push(server);
  return server;
}

/** Loopback has no groups of IPv6; those of ff01::/16 never leave the machine on any other interface, either. */
const [device] = Object.entries(networkInterfaces()).find(([, all]) => all?.some(({ address, internal }) => address.startsWith("fe80:") && !internal)) ?? [];
if (!device) console.warn("SKIPPED: broadcasts over IPv6 need an interface with a link-local address");

interface Group {
  readonly type: "udp4" | "udp6";
  readonly group: string;
  readonly via: string;
  readonly by: string;
}
const GROUPS: Group[] = [{ type: "udp4", group: "224.0.1.1", via: "127.0.0.1", by: "lo" }];
if (device) GROUPS.push({ type: "udp6", group: "ff01::101", via: `::%${device}`, by: device });

describe.skipIf(lacking !== undefined)("a broadcast", () => {
  it("reaches a broadcast address from the server's own port, mode 5, with the time of its leaving", async () => {
    await using listener = await new Asker("udp4", "127.255.255.255").ready();
    const server = await start({ broadcast: [{ address: "127.255.255.255", port: listener.port, interval: 64 }] });
    await until("a broadcast", () => listener.replies.length > 0);
    const [{ data, from }] = listener.replies as [(typeof listener.replies)[0]];
    expect(from.port).toBe(server.addresses[0]!.port);
    expect([data.length, data[0]! & 7, data[1], data.readInt8(2)]).toEqual([48, 5, 2, 6]);
    expect([data.readBigUInt64BE(24), data.readBigUInt64BE(32)]).toEqual([0n, 0n]);
    const agoS = Date.now() / 1000 + 2_208_988_800 - data.readUInt32BE(40) - data.readUInt32BE(44) / 2 ** 32;
    expect(Math.abs(agoS)).toBeLessThan(5);
  });

  it("comes again at each interval, and follows an update", async () => {
    await using listener = await new Asker("udp4", "127.255.255.255").ready();
    const server = await start({ broadcast: [{ address: "127.255.255.255", port: listener.port, interval: 1 }] });
    await until("a broadcast", () => listener.replies.length > 0);
    server.update({ stratum: 7 });
    await until("another", () => listener.replies.at(-1)!.data[1] === 7);
  });

  it("is not said by a server that is not synchronised", async () => {
    await using listener = await new Asker("udp4", "127.255.255.255").ready();
    const server = await built.serve({ port: 0, broadcast: [{ address: "127.255.255.255", port: listener.port, interval: 1 }] });
    servers.push(server);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(listener.replies).toEqual([]);
    server.update({ stratum: 1 });
    await until("a broadcast", () => listener.replies.length > 0);
  });

  it.each(GROUPS)("reaches the group $group by the interface that was named", async ({ type, group, via, by }) => {
    const socket = dgram.createSocket(type);
    try {
      await new Promise<void>((resolve) => socket.bind(0, resolve));
      socket.addMembership(group, via);
      const heard = new Promise<dgram.RemoteInfo>((resolve) => socket.once("message", (_, from) => resolve(from)));
      const server = await start({ broadcast: [{ address: group, port: socket.address().port, interface: by, ttl: 1, interval: 1 }] });
      expect((await heard).port).toBe(server.addresses[0]!.port);
    } finally {
      socket.close();
    }
  });

  it("that cannot be sent harms nobody: clients are answered", async () => {
    const server = await start({ listen: ["127.0.0.1"], broadcast: [{ address: "ff02::101", interface: "none0", interval: 1 }] });
    expect((await built.query(`127.0.0.1:${server.addresses[0]!.port}`)).usable).toBe(true);
  });
});
