// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The server's fast path live on loopback: from the address that was asked, with the kernel's stamps, in several threads,
 * through junk, crashes and the end.
 */
import dgram from "node:dgram";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import type { Host } from "../../hosts/common/host.ts";
import { countersOf, type ServeThread, type ThreadTask } from "../../hosts/common/server/threads.ts";
import type { ServeOptions, Server } from "../../hosts/common/server/serve.ts";
import { eventually } from "../support/peers.ts";
import { Asker, built, lacking, request, tagOf, until } from "./built.ts";

let servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function start(options: ServeOptions = {}, api: Pick<typeof built, "serve"> = built): Promise<{ server: Server; port: number }> {
  const server = await api.serve({ port: 0, stratum: 2, ...options });
  servers.push(server);
  return { server, port: server.addresses[0]!.port };
}

/** The API over a host whose threads are seen. */
async function watched(): Promise<{ api: Pick<typeof built, "serve">; threads: ServeThread[]; tasks: ThreadTask[] }> {
  const host = await built.lendHost();
  const threads: ServeThread[] = [];
  const tasks: ThreadTask[] = [];
  const serveThreads: NonNullable<Host["serveThreads"]> = {
    ...host.serveThreads!,
    start(task, events) {
      const thread = host.serveThreads!.start(task, events);
      threads.push(thread);
      tasks.push(task);
      return thread;
    },
  };
  return { api: built.createApi(async () => ({ ...host, serveThreads })), threads, tasks };
}

const hasIPv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1");

describe.skipIf(lacking !== undefined)("on all addresses", () => {
  it.each(["127.0.0.1", "127.0.0.5", "127.200.3.4"])("what was asked at %s is answered from there", async (address) => {
    const { port } = await start();
    await using asker = new Asker();
    await asker.send(request(7), port, address);
    await until("an answer", () => asker.replies.length === 1);
    expect(asker.replies[0]!.from).toEqual({ address, port });
    expect(tagOf(asker.replies[0]!)).toBe(7);
  });

  it.each([["all addresses of both families", undefined], ["all of IPv4", ["0.0.0.0"]]])("what was asked at a broadcast address is answered from the host's own, on %s", async (_, listen) => {
    const { server, port } = await start(listen ? { listen } : {});
    await using asker = new Asker();
    await asker.mayBroadcast();
    await asker.send(request(8), port, "127.255.255.255");
    await asker.send(request(9), port, "127.0.0.5");
    await until("two answers", () => asker.replies.length === 2);
    expect(asker.replies.map((reply) => [tagOf(reply), reply.from.address])).toEqual([[8, "127.0.0.1"], [9, "127.0.0.5"]]);
    expect(server.stats.failed).toBe(0);
  });

  it.skipIf(!hasIPv6)("IPv6 is answered by the same socket", async () => {
    const { server, port } = await start();
    await using asker = new Asker("udp6");
    await asker.send(request(7), port, "::1");
    await until("an answer", () => asker.replies.length === 1);
    expect(asker.replies[0]!.from).toEqual({ address: "::1", port });
    expect(server.addresses).toEqual([{ address: "0.0.0.0", port }, { address: "::", port }]);
  });
});

describe.skipIf(lacking !== undefined)("on several addresses", () => {
  it("each has its socket, all one port, and each is answered", async () => {
    const listen = ["127.0.0.1", "127.0.0.6", ...(hasIPv6 ? ["::1"] : [])];
    const { server, port } = await start({ listen });
    expect(server.addresses).toEqual(listen.map((address) => ({ address, port })));
    for (const address of listen) {
      const sample = await built.query(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`, { timeout: 5 });
      expect(sample.usable).toBe(true);
    }
  });
});

describe.skipIf(lacking !== undefined)("its stamps", () => {
  it("are within the bound that a client works out, and its precision is the system clock's", async () => {
    const { port } = await start({ rootDispersion: 0 });
    // Receive stamps begin a moment after the first socket has asked for them.
    for (let i = 0; i < 5; i++) {
      const sample = await built.query(`127.0.0.1:${port}`);
      expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.delay / 2 + sample.dispersion);
      expect(sample.precision).toBeLessThan(-15);
    }
  });

  it("are of the served clock, where one is given that knows the host's", async () => {
    const ahead = { reading: () => ({ wallNs: 1_700_000_000_000_000_000n, timeNs: 1_700_000_100_000_000_000n, rate: 0 }) };
    const { port } = await start({ clock: ahead });
    const sample = await built.query(`127.0.0.1:${port}`);
    expect(Math.abs(sample.offset - 100)).toBeLessThanOrEqual(sample.delay / 2 + sample.dispersion);
  });
});

describe.skipIf(lacking !== undefined)("in several threads", () => {
  it("the load is shared, and the counters are summed", async () => {
    const { api, tasks } = await watched();
    const { server, port } = await start({ workers: 2 }, api);
    const askers = await Promise.all(Array.from({ length: 40 }, () => new Asker().ready()));
    try {
      await Promise.all(askers.map((asker, index) => asker.send(request(index), port)));
      await until("all answers", () => askers.every(({ replies }) => replies.length === 1));
      const each = tasks.map(({ shared }) => countersOf(shared)[0]!);
      expect(each).toHaveLength(2);
      for (const received of each) expect(received).toBeGreaterThan(0);
      // An answer leaves before it is counted.
      await until("all counted", () => server.stats.answered === 40);
      expect(server.stats).toMatchObject({ received: 40, answered: 40, dropped: 0, failed: 0 });
    } finally {
      for (const asker of askers) await asker[Symbol.asyncDispose]();
    }
  });

  it("all hear of an update", async () => {
    const { server, port } = await start({ workers: 2 });
    server.update({ stratum: 9 });
    // The first may be asked before the threads look up.
    await eventually("twelve answers of both threads", async () => {
      const samples = await Promise.all(Array.from({ length: 12 }, () => built.query(`127.0.0.1:${port}`)));
      return samples.every(({ stratum }) => stratum === 9) || undefined;
    });
    for (let i = 0; i < 12; i++) expect((await built.query(`127.0.0.1:${port}`)).stratum).toBe(9);
  });

  it("one that dies is started again, what came meanwhile is answered, and nothing that was counted is lost", async () => {
    const { api, threads } = await watched();
    const events: string[] = [];
    const { server, port } = await start({ onEvent: ({ kind }) => events.push(kind) }, api);
    await using asker = new Asker();
    await asker.send(request(1), port);
    await until("an answer", () => asker.replies.length === 1);
    server.update({ stratum: 6 });
    await threads[0]!.terminate();
    await until("the report", () => events.includes("thread-failed"));
    await asker.send(request(2), port);
    await until("the restart", () => events.includes("thread-restarted"));
    await until("the answer to what came meanwhile", () => asker.replies.length === 2);
    // An answer leaves before it is counted.
    await until("the counts of both", () => server.stats.answered === 2);
    expect(server.stats).toMatchObject({ received: 2, answered: 2 });
    await eventually("the update's word", async () => (await built.query(`127.0.0.1:${port}`)).stratum === 6 || undefined);
    expect(events).toEqual(["thread-failed", "thread-restarted"]);
  });
});

describe.skipIf(lacking !== undefined)("junk", () => {
  it("of every length, every mode, and cut short gets no answer, and the next client does", async () => {
    const { server, port } = await start();
    await using asker = new Asker();
    let sent = 0;
    for (let length = 0; length < 48; length++, sent++) await asker.send(request(0, length), port);
    for (const mode of [0, 2, 4, 5, 6, 7]) {
      const packet = request(0);
      packet[0] = 0x20 | mode;
      await asker.send(packet, port);
      sent += 1;
    }
    await asker.send(Buffer.alloc(9000, 0x23), port);
    await until("all to be read", () => server.stats.received === sent + 1);
    await asker.send(request(3), port);
    await until("an answer", () => asker.replies.length > 0);
    expect(asker.replies.map(tagOf)).toEqual([3]);
    await until("it counted", () => server.stats.answered === 1);
    expect(server.stats).toMatchObject({ received: sent + 2, answered: 1, dropped: sent + 1 });
  });
});

describe.skipIf(lacking !== undefined)("the end", () => {
  it.each<[string, ServeOptions]>([["one thread", { workers: 1 }], ["two threads", { workers: 2 }], ["the runtime's own sockets", { portable: true, listen: ["127.0.0.1"] }]])("is quick with %s, idempotent, and frees the port", async (_, options) => {
    const took: number[] = [];
    for (let i = 0; i < 6; i++) {
      const { server, port } = await start(options);
      const begin = performance.now();
      await Promise.all([server.close(), server.close()]);
      took.push(performance.now() - begin);
      const socket = dgram.createSocket("udp4");
      await new Promise<void>((resolve, reject) => socket.once("error", reject).bind(port, resolve));
      await new Promise<void>((resolve) => socket.close(resolve));
    }
    // A busy machine may hold up any of them, and does not all.
    expect(Math.min(...took)).toBeLessThan(300);
  });

  it("comes after the answers to what was accepted before it", async () => {
    const { server, port } = await start();
    await using asker = await new Asker().ready();
    await Promise.all(Array.from({ length: 300 }, (_, tag) => asker.send(request(tag), port)));
    await server.close();
    await until("all answers", () => asker.replies.length === 300);
    expect(new Set(asker.replies.map(tagOf)).size).toBe(300);
    expect(server.stats).toMatchObject({ received: 300, answered: 300 });
  });
});

describe.skipIf(lacking !== undefined)("what cannot be had is said", () => {
  it.each([1, 2])("a port that is taken, with %d threads: SO_REUSEPORT lets nobody else in", async (workers) => {
    const { port } = await start({ workers: 2 });
    await expect(built.serve({ port, workers })).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining("EADDRINUSE") as string });
  });

  it("an interface that does not exist", async () => {
    await expect(built.serve({ port: 0, interface: "none0" })).rejects.toMatchObject({ code: "SOCKET", message: expect.stringContaining("ENODEV") as string });
  });

  it.each<[string, ServeOptions]>([["workers", { workers: 65 }], ["workers", { workers: 1.5 }], ["dscp", { dscp: 64 }], ["interval", { broadcast: [{ address: "127.255.255.255", interval: 0.5 }] }]])("%s out of range", async (name, options) => {
    await expect(built.serve({ port: 0, ...options })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(name) as string });
  });

  it("what only kernel sockets can do, with a clock that is a function", async () => {
    await expect(built.serve({ port: 0, workers: 2, clock: () => 0n })).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(built.serve({ port: 0, dscp: 46, portable: true })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe.skipIf(lacking !== undefined)("in this process's means only", () => {
  it("a thread serves on the runtime's own sockets, says a larger precision, and drains before it ends", async () => {
    const { server, port } = await start({ portable: true, listen: ["127.0.0.1"] });
    expect((await built.query(`127.0.0.1:${port}`)).precision).toBe(-14);
    await using asker = await new Asker().ready();
    await Promise.all(Array.from({ length: 100 }, (_, tag) => asker.send(request(tag), port)));
    await server.close();
    await until("all answers", () => asker.replies.length === 100);
    expect(server.stats).toMatchObject({ received: 101, answered: 101 });
  });

  it("a kiss for everybody is told by a thread, too", async () => {
    const { port } = await start({ kiss: "DENY" });
    await expect(built.query(`127.0.0.1:${port}`, { timeout: 2 })).resolves.toMatchObject({ stratum: 0, usable: false });
  });
});
