// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5 by the server's fast path, live on loopback: its threads are one server with one reference identifier, a thread that is
 * started again is the same one, and time scales are those that its owner told of.
 */
import { afterEach, describe, expect, it } from "vitest";
import type { ServeOptions, Server } from "../../hosts/common/server/serve.ts";
import type { ServeThread } from "../../hosts/common/server/threads.ts";
import { FIELD, draftField, field5, fieldsOf5, request5 } from "../support/ntpv5.ts";
import { eventually } from "../support/peers.ts";
import { Asker, built, lacking, until } from "./built.ts";

let servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function start(options: ServeOptions, api: Pick<typeof built, "serve"> = built): Promise<{ server: Server; port: number }> {
  const server = await api.serve({ listen: ["127.0.0.1"], port: 0, stratum: 2, ...options });
  servers.push(server);
  return { server, port: server.addresses[0]!.port };
}

/** Ask from so many ports, so that the kernel shares them out among threads. */
async function ask(port: number, octets: Uint8Array, times: number): Promise<Buffer[]> {
  const askers = Array.from({ length: times }, () => new Asker());
  try {
    await Promise.all(askers.map((asker) => asker.send(Buffer.from(octets), port)));
    await until("all answers", () => askers.every(({ replies }) => replies.length === 1));
    return askers.map(({ replies }) => replies[0]!.data);
  } finally {
    await Promise.all(askers.map((asker) => asker[Symbol.asyncDispose]()));
  }
}

const WHOLE = request5({}, draftField(), field5(FIELD.idsRequest, new Uint8Array(512)));
const filterOf = (reply: Buffer) => Buffer.from(fieldsOf5(reply).find(({ type }) => type === FIELD.ids)!.value).toString("hex");
const bits = (filter: string) => [...Buffer.from(filter, "hex")].reduce((sum, octet) => sum + octet.toString(2).replaceAll("0", "").length, 0);

describe.skipIf(lacking !== undefined)("threads of one server", () => {
  it("tell one reference identifier, whichever is asked, and after one was started again", async () => {
    const host = await built.lendHost();
    const threads: ServeThread[] = [];
    const serveThreads = { ...host.serveThreads!, start: (...given: Parameters<NonNullable<typeof host.serveThreads>["start"]>) => (threads.push(host.serveThreads!.start(...given)), threads.at(-1)!) };
    const events: string[] = [];
    const { server, port } = await start({ workers: 3, onEvent: ({ kind }) => void events.push(kind) }, built.createApi(async () => ({ ...host, serveThreads })));
    const before = new Set((await ask(port, WHOLE, 48)).map(filterOf));
    expect([before.size, bits([...before][0]!)]).toEqual([1, 10]);
    for (const thread of threads.slice()) await thread.terminate();
    await until("the threads to be started again", () => events.filter((kind) => kind === "thread-restarted").length === 3);
    expect(new Set((await ask(port, WHOLE, 48)).map(filterOf))).toEqual(before);
    // Whom the clock follows is told by all of them, too.
    const followed = new Uint8Array(512).fill(0x11);
    server.update({ stratum: 3, referenceIds: followed });
    const wanted = Buffer.from(followed).toString("hex");
    await eventually("all threads to tell it", async () => ((await ask(port, WHOLE, 24)).every((reply) => filterOf(reply) === wanted) ? true : undefined));
  });

  it("are not another server", async () => {
    const [one, other] = [await start({ workers: 2 }), await start({ workers: 0 })];
    const [filter] = (await ask(one.port, WHOLE, 1)).map(filterOf);
    expect((await ask(other.port, WHOLE, 1)).map(filterOf)).not.toEqual([filter]);
  });

  it.each([0, 2])("tell TAI and UT1 where they were told of them (%d workers)", async (workers) => {
    const { server, port } = await start({ workers, taiOffset: 37, ut1Offset: 0.5 });
    const told = async (scale: number) => {
      const [before, scaled, after] = [(await ask(port, request5(), 1))[0]!, (await ask(port, request5({ scale }), 1))[0]!, (await ask(port, request5(), 1))[0]!];
      // From the middle of the two: they come one after the other.
      const [utc, told, later] = [before, scaled, after].map((reply) => reply.readBigUInt64BE(32)) as [bigint, bigint, bigint];
      return [scaled[12], Math.round((Number(2n * told - utc - later) / 2 ** 33) * 2) / 2 + 0];
    };
    expect(await told(1)).toEqual([1, 37]);
    expect(await told(2)).toEqual([2, 0.5]);
    server.update({ stratum: 2 });
    await eventually("all threads to have forgotten them", async () => ((await ask(port, request5({ scale: 1 }), 24)).every((reply) => reply[12] === 0) ? true : undefined));
    expect(await told(2)).toEqual([0, 0]);
  });

  it.each([{ taiOffset: 0 }, { taiOffset: 37.5 }, { ut1Offset: 1.5 }, { ut1Offset: Number.NaN }])("refuse %o", async (options) => {
    await expect(built.serve({ listen: ["127.0.0.1"], port: 0, ...options })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
