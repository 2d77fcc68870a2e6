// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A server's thread that dies by itself, for real: on the fast path its socket is swapped for something that is none, so that
 * the system call fails and the thread throws; on the runtime's own sockets it is sent what it cannot read. It is reported and
 * started again, answers what came meanwhile, and its successor knows all that it knew, changes included.
 */
import { openSync, closeSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import type { SymmetricKey } from "../../hosts/common/client/keys.ts";
import type { Host } from "../../hosts/common/host.ts";
import { establishKeys } from "../../hosts/common/nts/client.ts";
import type { Generation } from "../../hosts/common/nts/generations.ts";
import type { ServeOptions, Server, ServerEvent } from "../../hosts/common/server/serve.ts";
import type { ServeThread, ThreadTask } from "../../hosts/common/server/threads.ts";
import { load as loadKoffi } from "../../hosts/native/ffi-koffi.ts";
import { ntsRequest, readAnswer } from "../support/nts.ts";
import { eventually } from "../support/peers.ts";
import { issue, makeCa } from "../support/pki.ts";
import { Asker, built, lacking, request, tagOf, until } from "./built.ts";

const HERE = "127.0.0.1";
/** An address that rules single out; Linux answers to all of 127.0.0.0/8. */
const UNWELCOME = "127.0.0.9";
const ca = makeCa();
const { certificate, key } = issue(ca, { ips: [HERE] });
const secret = (octet: number): SymmetricKey => ({ id: octet, type: "SHA256", secret: new Uint8Array(16).fill(octet) });
const generation = (id: number, fromMs = 0): Generation => ({ id, fromMs, key: new Uint8Array(32).fill(id) });

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Watched {
  readonly server: Server;
  readonly port: number;
  readonly events: ServerEvent[];
  readonly threads: ServeThread[];
  readonly tasks: ThreadTask[];
  /** The threads that are gone, by their place among all that were started. */
  readonly dead: Set<number>;
}

/** A server whose threads are seen. */
async function start(options: ServeOptions): Promise<Watched> {
  const host = await built.lendHost();
  const [threads, tasks, events]: [ServeThread[], ThreadTask[], ServerEvent[]] = [[], [], []];
  const dead = new Set<number>();
  const serveThreads: NonNullable<Host["serveThreads"]> = {
    ...host.serveThreads!,
    start(task, handlers) {
      const place = tasks.push(task) - 1;
      const gone = (error: Error | undefined) => {
        dead.add(place);
        handlers.gone(error);
      };
      const thread = host.serveThreads!.start(task, { message: (message) => handlers.message(message), gone });
      threads.push(thread);
      return thread;
    },
  };
  const server = await built.createApi(async () => ({ ...host, serveThreads })).serve({ listen: [HERE], port: 0, stratum: 2, onEvent: (event) => events.push(event), ...options });
  closing.push(() => server.close());
  return { server, port: server.addresses[0]!.port, events, threads, tasks, dead };
}

const of = (events: readonly ServerEvent[], kind: ServerEvent["kind"]) => events.filter((event) => event.kind === kind);

/** Swap each thread's socket for a file until all have died of it; `meanwhile` happens while none is there to answer. */
async function crash({ tasks, events, dead }: Watched, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  const ffi = await loadKoffi();
  const libc = ffi!.open(null, { dup: ["i32", "i32"], dup2: ["i32", "i32", "i32"] });
  const descriptors = tasks.flatMap((task) => task.descriptors ?? []);
  const nothing = openSync("/dev/null", "r");
  const kept = descriptors.map((fd) => libc.dup(fd));
  descriptors.forEach((fd) => libc.dup2(nothing, fd));
  try {
    await until("all threads to die", () => descriptors.every((_, place) => dead.has(place)));
    await meanwhile();
  } finally {
    descriptors.forEach((fd, index) => libc.dup2(kept[index]!, fd));
    for (const fd of [nothing, ...kept]) closeSync(fd);
  }
  await until("all threads to be there again", () => of(events, "thread-restarted").length >= descriptors.length);
}

describe.skipIf(lacking !== undefined)("a thread that dies by itself", () => {
  it.each([1, 2])("is reported with the reason and started again, what came meanwhile is answered, and the counts go on (%i threads)", async (workers) => {
    const watched = await start({ workers });
    const { server, port, events } = watched;
    await using asker = await new Asker().ready();
    await asker.send(request(1), port);
    await until("an answer", () => asker.replies.length === 1);
    await crash(watched, async () => {
      for (let tag = 2; tag < 12; tag++) await asker.send(request(tag), port);
    });
    expect(of(events, "thread-failed")[0]).toEqual({ kind: "thread-failed", message: expect.stringContaining("recvmmsg") as string, restartMs: 100 });
    await until("the answers to what came meanwhile", () => asker.replies.length === 11);
    expect(asker.replies.map(tagOf).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    await until("the counts of all", () => server.stats.answered === 11);
    expect(server.stats).toMatchObject({ received: 11, answered: 11, failed: 0 });
  });

  it.each([1, 2])("leaves a successor that keeps rules, limits and keys as they were changed last (%i threads)", async (workers) => {
    const watched = await start({ workers, keys: [secret(3)], access: ["allow all"] });
    const { server, port } = watched;
    server.configure({ access: ["allow all", `deny ${UNWELCOME}`], rateLimit: { interval: 64, burst: 2, leak: 0 }, keys: [secret(4)] });
    server.update({ stratum: 5, refid: "192.0.2.7" });
    await crash(watched);
    const { denied } = server.counters;
    await using unwelcome = await new Asker("udp4", UNWELCOME).ready();
    await unwelcome.send(request(1), port);
    await until("it denied", () => server.counters.denied === denied + 1);
    expect(unwelcome.replies).toEqual([]);
    await using eager = await new Asker("udp4", "127.0.0.7").ready();
    for (let tag = 0; tag < 5; tag++) await eager.send(request(tag), port);
    await until("two answers and a kiss", () => eager.replies.length === 3);
    expect(eager.replies.map(({ data }) => [data[1], data.toString("latin1", 12, 16)].join()).sort()).toEqual(["0,RATE", ...Array<string>(2).fill(`5,${Buffer.from([192, 0, 2, 7]).toString("latin1")}`)]);
    server.configure({ rateLimit: false });
    // It reaches all threads: from as many ports as it takes to come to each.
    const answers = () => Promise.allSettled(Array.from({ length: 8 * workers }, () => built.query(`${HERE}:${port}`, { key: secret(4), timeout: 1 })));
    await eventually("answers again", async () => (await answers()).every((one) => one.status === "fulfilled" && one.value.problems().length === 0) || undefined);
    await expect(built.query(`${HERE}:${port}`, { key: secret(3), timeout: 0.3 }), "the key of before the change").rejects.toThrow();
  });

  it.each([1, 2])("leaves a successor that opens cookies of old and of new keys (%i threads)", async (workers) => {
    let keys = [generation(1)];
    const watched = await start({ workers, nts: { certificate, key, port: 0, store: { generations: async () => keys }, rotation: { periodMs: 1000, leadMs: 30 } } });
    const { server, port } = watched;
    const sessions = [await establish(server)];
    keys = [generation(1), generation(2, 1)];
    // The store is looked into every third of the lead; a cookie begins with the number of its key.
    await until("a rotation", () => sessions.length > 1 || (void establish(server).then((one) => one.cookies[0]![3] === 2 && sessions.push(one)), false));
    await crash(watched);
    for (const { aead, c2s, s2c, cookies } of sessions) {
      for (const [index, cookie] of cookies.entries()) {
        await using asker = await new Asker().ready();
        await asker.send(ntsRequest({ aead, c2s, s2c }, { cookie, transmitTime: BigInt(index + 1) }), port);
        await until("an answer", () => asker.replies.length === 1);
        expect(readAnswer({ aead, c2s, s2c }, Uint8Array.from(asker.replies[0]!.data)).cookies.length).toBeGreaterThan(0);
      }
    }
    expect((await establish(server)).cookies).toHaveLength(8);
  });

  it("on the runtime's own sockets is reported and started again on the same port, and knows its rules", async () => {
    const { server, port, events, threads } = await start({ portable: true, access: ["allow all"], keys: [secret(3)] });
    server.configure({ access: ["allow all", `deny ${UNWELCOME}`] });
    server.update({ stratum: 6 });
    expect((await built.query(`${HERE}:${port}`)).usable).toBe(true);
    threads[0]!.post(null as never);
    await until("the report", () => of(events, "thread-failed").length === 1);
    expect(of(events, "thread-failed")[0]).toMatchObject({ message: expect.stringContaining("null") as string });
    await until("the restart", () => of(events, "thread-restarted").length === 1);
    expect(await built.query(`${HERE}:${port}`, { key: secret(3) })).toMatchObject({ stratum: 6, usable: true });
    await using unwelcome = await new Asker("udp4", UNWELCOME).ready();
    await unwelcome.send(request(1), port);
    await until("it denied", () => server.counters.denied === 1);
    expect(unwelcome.replies).toEqual([]);
  });
});

async function establish(server: Server) {
  return establishKeys(await built.lendHost(), { host: HERE, kePort: server.nts!.addresses[0]!.port, ca: ca.certificate, aeads: [15], pq: "off" });
}
