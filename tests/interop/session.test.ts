// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * A session with chronyd and a Roughtime server is recorded and played again: what comes of it is what came of it live. With
 * RECORD=1 it becomes the session that the contract suite plays on every runtime (tests/vectors/session.json).
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApi } from "../../hosts/common/api.ts";
import { lendHost } from "../../hosts/node/index.ts";
import type { Host } from "../../hosts/common/host.ts";
import { hex, replay, type Recorded } from "../contract/replay.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { titled, whySkipped } from "../support/peers.ts";
import { ownServer, type OwnServer } from "../support/roughtime.ts";
import { chronyNtsServer, type NtsChronyd } from "./chrony-nts.ts";

const FILE = "tests/vectors/session.json";
const skipped = whySkipped(["chronyd", "chronyc"]);
type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer U)[] ? Writable<U>[] : T[K] };

/** A host that writes down everything that comes from outside. The clock of the question stands still; its stamps do not. */
function recordingHost(host: Host, into: Writable<Recorded>): Host {
  return {
    runtime: "node", version: "recording",
    clock: { now: () => BigInt(into.now), monotonic: () => BigInt(into.now), precision: into.precision, description: "recording" },
    random: (bytes) => {
      host.random(bytes);
      into.random.push(hex(bytes));
      return bytes;
    },
    openUdp: async (options, handlers) => {
      const exchange = { request: "", sent: "", reply: "", came: "" };
      const socket = await host.openUdp!(options, {
        ...handlers,
        onDatagram: (datagram) => {
          Object.assign(exchange, { reply: hex(datagram.data), came: String(datagram.receivedNs) });
          handlers.onDatagram({ ...datagram, stamp: "user" });
        },
      });
      return {
        local: socket.local, stamps: "user", close: () => socket.close(),
        send: async (data, to) => {
          exchange.request = hex(data);
          into.datagrams.push(exchange);
          const { sentNs } = await socket.send(data, to);
          exchange.sent = String(sentNs);
          return { sentNs, stamp: "user" };
        },
      };
    },
    connectTcp: async (endpoint, signal) => {
      const stream = await host.connectTcp!(endpoint, signal);
      const kept = { read: [] as string[], written: "" };
      into.streams.push(kept as never);
      return {
        read: async () => {
          const data = await stream.read();
          if (data) kept.read.push(hex(data));
          return data;
        },
        write: (data) => {
          kept.written += hex(data);
          return stream.write(data);
        },
        close: () => stream.close(),
      };
    },
  };
}

describe.skipIf(skipped)(titled("a recorded session", skipped), () => {
  const pki = new PkiFiles();
  let server: NtsChronyd;
  let rough: OwnServer;
  let host: Host;
  beforeAll(async () => {
    [server, host] = await Promise.all([chronyNtsServer({ pki }), lendHost()]);
    rough = await ownServer(host);
  });
  afterAll(() => Promise.all([rough?.[Symbol.asyncDispose](), server?.[Symbol.asyncDispose]()]));

  async function recorded(source: string, ca?: string): Promise<{ told: Recorded; live: string }> {
    const told: Writable<Recorded> = { source, ...(ca ? { ca } : {}), now: String(host.clock.now()), precision: 2 ** -20, random: [], datagrams: [], streams: [] };
    const { query } = createApi(async () => recordingHost(host, told));
    const live = JSON.stringify(await query(source, ca ? { nts: { ca } } : {}));
    return { told: told as Recorded, live };
  }

  it("gives the samples again that it gave live", async () => {
    const ca = readFileSync(pki.ca, "utf8");
    const { host: address, port } = rough.entry.addresses[0]!;
    const questions: [string, string?][] = [
      [`${server.address}:${server.port}`], [`nts:${server.address}:${server.kePort}`, ca], [`roughtime:${address}:${port}#${Buffer.from(rough.entry.publicKey).toString("base64")}`],
    ];
    const session: Recorded[] = [];
    for (const [source, roots] of questions) {
      const { told, live } = await recorded(source, roots);
      expect(await replay(told, createApi)).toBe(live);
      expect(JSON.parse(live)).toMatchObject({ problems: [], authenticated: source.includes(":") && /^(nts|roughtime)/.test(source) });
      session.push(told);
    }
    if (process.env["RECORD"]) writeFileSync(FILE, `${JSON.stringify(session, null, 1)}\n`);
  });

  it("that is changed in one octet of the reply gives no sample, or another one", async () => {
    const { told, live } = await recorded(`${server.address}:${server.port}`);
    const [exchange] = told.datagrams;
    const reply = exchange!.reply.slice(0, -1) + (parseInt(exchange!.reply.at(-1)!, 16) ^ 1).toString(16);
    expect(await replay({ ...told, datagrams: [{ ...exchange!, reply }] }, createApi)).not.toBe(live);
    await expect(replay({ ...told, random: told.random.map((text) => text.replaceAll(/./g, "0")) }, createApi)).rejects.toThrow();
  });
});
