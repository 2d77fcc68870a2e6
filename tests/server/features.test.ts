// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a server does beyond telling the time, on the fast path in two threads: NTS, symmetric keys, limits, the client log,
 * control messages; and changed while it runs. What a thread that died leaves behind is in crash.test.ts.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { SymmetricKey } from "../../hosts/common/client/keys.ts";
import type { Generation } from "../../hosts/common/nts/generations.ts";
import type { ServeOptions, Server, ServerEvent } from "../../hosts/common/server/serve.ts";
import { eventually, freshDirectory } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";
import { Asker, built, lacking, request, until } from "./built.ts";

const HERE = "127.0.0.1";
const ca = makeCa();
const { certificate, key } = issue(ca, { ips: [HERE] });
const directory = freshDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A key of the test's own choosing: what the store says is what there is. */
const generation = (id: number, fromMs = 0): Generation => ({ id, fromMs, key: new Uint8Array(32).fill(id) });

async function start(options: ServeOptions = {}): Promise<{ server: Server; port: number }> {
  const server = await built.serve({ listen: [HERE], port: 0, stratum: 2, workers: 2, ...options });
  servers.push(server);
  return { server, port: server.addresses[0]!.port };
}

const nts = (options: Partial<NonNullable<ServeOptions["nts"]>> = {}) => ({ certificate, key, port: 0, ...options });
const askNts = (server: Server) => built.query(`nts:${HERE}:${server.nts!.addresses[0]!.port}`, { nts: { ca: ca.certificate, pq: "off" } });
const SECRET = new Uint8Array(16).fill(7);
const ours: SymmetricKey = { id: 4, type: "AES128", secret: SECRET };

describe.skipIf(lacking !== undefined)("NTS on the fast path", () => {
  it("answers cookies of its own key establishment, which names the port, in whichever thread they come to", async () => {
    const { server, port } = await start({ nts: nts() });
    for (let i = 0; i < 12; i++) {
      const sample = await askNts(server);
      expect(sample.problems()).toEqual([]);
      expect(sample.toJSON()).toMatchObject({ authenticated: true, port });
    }
    await until("the counts", () => server.counters.nts === 12);
    expect(server.stats.ke).toMatchObject({ served: 12, badRequest: 0 });
  });

  it("a rotation reaches the threads before a cookie of the new key is out, and old cookies still open", async () => {
    let keys = [generation(1)];
    const { server } = await start({ nts: nts({ store: { generations: async () => keys }, rotation: { periodMs: 1000, leadMs: 30 } }) });
    await askNts(server);
    keys = [generation(1), generation(2, 1)];
    // The store is looked into every third of the lead.
    for (let i = 0; i < 20; i++) expect((await askNts(server)).problems()).toEqual([]);
    await until("all answers counted", () => server.counters.nts === 21);
  });

  it("a store that fails later is told of once, and the keys that are there go on", async () => {
    const events: ServerEvent[] = [];
    let broken = false;
    const generations = async () => {
      if (broken) throw new Error("no such disk");
      return [generation(1)];
    };
    const { server } = await start({ onEvent: (event) => events.push(event), nts: nts({ store: { generations }, rotation: { periodMs: 1000, leadMs: 30 } }) });
    broken = true;
    await until("the report", () => events.length > 0);
    expect(events).toEqual([{ kind: "keys-failed", message: "no such disk" }]);
    expect((await askNts(server)).problems()).toEqual([]);
  });

  it("another certificate is used from the next handshake on; one without its key is refused, and the old goes on", async () => {
    const { server } = await start({ nts: nts() });
    const other = issue(ca, { ips: [HERE] });
    expect(() => server.nts!.renew(other.certificate, key)).toThrow();
    expect((await askNts(server)).problems()).toEqual([]);
    server.nts!.renew(other.certificate, other.key);
    expect((await askNts(server)).problems()).toEqual([]);
  });

  it("cookies in a file outlive the server", async () => {
    const store = join(directory, "cookies");
    const first = await start({ nts: nts({ store }) });
    await first.server.close();
    const second = await start({ nts: nts({ store }) });
    expect((await askNts(second.server)).problems()).toEqual([]);
  });

  it.each<[string, Partial<NonNullable<ServeOptions["nts"]>>, string]>([
    ["a store that has no keys", { store: { generations: () => Promise.reject(new Error("store down")) } }, "store down"],
    ["a short secret", { store: new Uint8Array(31) }, "32"],
    ["a key that is not the certificate's", { key: issue(makeCa(), { ips: [HERE] }).key }, "certificate"],
    ["no key at all", { key: undefined as never }, "nts.key"],
  ])("%s: nothing is served", async (_, options, message) => {
    const { port } = await start({ workers: 1 });
    await servers.splice(0)[0]!.close();
    await expect(start({ port, nts: nts(options) })).rejects.toThrow(message);
    // And the port is free.
    await start({ port, workers: 1 });
  });

  it("where there is no TLS server it says so, and binds nothing", async () => {
    const host = await built.lendHost();
    let bound = 0;
    const { listenTls: _, ...poor } = { ...host, runtime: "deno" as const, serveThreads: { ...host.serveThreads!, openSockets: () => { bound += 1; throw new Error("bound"); } } };
    const api = built.createApi(async () => poor);
    await expect(api.serve({ listen: [HERE], port: 0, nts: nts() })).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("Deno") as string });
    expect(bound).toBe(0);
  });
});

describe.skipIf(lacking !== undefined)("symmetric keys on the fast path", () => {
  it("answer who has one, and nobody with another secret; a change reaches all threads", async () => {
    const { server, port } = await start({ keys: [ours] });
    const ask = (key: SymmetricKey, timeout = 20) => built.query(`${HERE}:${port}`, { key, timeout });
    const believed = async (key: SymmetricKey) => (await Promise.allSettled(Array.from({ length: 16 }, () => ask(key, 0.5)))).filter(({ status }) => status === "fulfilled").length;
    for (let i = 0; i < 8; i++) expect((await ask(ours)).problems()).toEqual([]);
    await expect(ask({ ...ours, secret: new Uint8Array(16) }, 0.3)).rejects.toThrow();
    await until("the counts", () => server.counters.authenticated === 8);
    const next: SymmetricKey = { id: 9, type: "SHA256", secret: SECRET };
    server.configure({ keys: [next] });
    await eventually("all threads to have forgotten the old key", async () => (await believed(ours)) === 0 || undefined);
    for (let i = 0; i < 8; i++) expect((await ask(next)).problems()).toEqual([]);
  });

  it("given twice are refused, and the secret is not told", async () => {
    await expect(start({ keys: [ours, ours] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/key 4/) as string });
  });
});

describe.skipIf(lacking !== undefined)("clients in several threads", () => {
  it("are one entry each, whichever ports they ask from, and counted in all", async () => {
    const { server, port } = await start({ clientLog: true });
    for (let i = 0; i < 12; i++) {
      await using asker = new Asker();
      await asker.send(request(i), port);
      await until("an answer", () => asker.replies.length === 1);
    }
    await until("the counts", () => server.stats.answered === 12);
    expect(await Promise.all([server.clients(), server.clients()])).toMatchObject([[{ address: HERE, requests: 12 }], [{ address: HERE, requests: 12 }]]);
  });

  it("are limited in each thread, told so by a kiss RATE, and not after the limit is taken away", async () => {
    const { server, port } = await start({ workers: 1, rateLimit: { interval: 64, burst: 2, leak: 0 } });
    await using asker = new Asker();
    for (let i = 0; i < 5; i++) await asker.send(request(i), port);
    await until("all seen", () => server.stats.received === 5);
    await until("three answers", () => asker.replies.length === 3);
    expect(asker.replies.map(({ data }) => data.toString("latin1", 12, 16)).filter((refid) => refid === "RATE")).toHaveLength(1);
    server.configure({ rateLimit: false });
    await eventually("answers again", async () => {
      await asker.send(request(9), port);
      return asker.replies.length >= 6 || undefined;
    });
    expect(asker.replies.slice(3).every(({ data }) => data[1] === 2)).toBe(true);
  });

  it("a rule is kept by all threads", async () => {
    const { server, port } = await start({ access: ["deny 127.0.0.0/8"] });
    for (let i = 0; i < 6; i++) {
      await using asker = new Asker();
      await asker.send(request(i), port);
    }
    await until("all denied", () => server.counters.denied === 6);
    expect(server.stats).toMatchObject({ received: 6, answered: 0, dropped: 6 });
  });
});

describe.skipIf(lacking !== undefined)("control messages on the fast path", () => {
  const READ_VARIABLES = Buffer.from([0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

  it("are answered from the port and address that were asked, with what the caller reports", async () => {
    const { server, port } = await start({ listen: [HERE, "127.0.0.3"], control: { report: () => ({ frequencyPpm: 12.5 }) } });
    server.update({ stratum: 7 });
    for (const address of [HERE, "127.0.0.3"]) {
      await using asker = new Asker();
      await asker.send(READ_VARIABLES, port, address);
      await until("an answer", () => asker.replies.length > 0);
      expect(asker.replies[0]!.from).toEqual({ address, port });
      expect(asker.replies[0]!.data.toString("latin1")).toMatch(/stratum=7[^]*frequency=12\.5/);
    }
    await until("the counts", () => server.counters.control === 2);
    expect(server.stats).toMatchObject({ received: 2, answered: 0, dropped: 0 });
  });

  it("get no answer where that is off, nor from elsewhere than allowed", async () => {
    for (const options of [{}, { control: { allow: ["192.0.2.1"] } }]) {
      const { server, port } = await start(options);
      await using asker = new Asker();
      await asker.send(READ_VARIABLES, port);
      await until("it seen", () => server.stats.dropped === 1);
      expect([asker.replies.length, server.counters.control]).toEqual([0, 0]);
    }
  });
});

describe("certificate files", () => {
  it.skipIf(lacking !== undefined)("that do not exist stop the start", async () => {
    writeFileSync(join(directory, "c.pem"), certificate);
    const certificateFiles = { certificate: join(directory, "c.pem"), key: join(directory, "nowhere.key") };
    await expect(start({ nts: { certificateFiles, port: 0 } })).rejects.toThrow("nowhere.key");
  });
});
