// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTS with servers that offer keys for NTPv5 and then do not speak it: a source of version "auto" asks for keys of version 4 then,
 * and nothing that it sends is ever without NTS. Live on loopback: TLS, key establishment and cookies are real on both sides.
 */

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { Engine } from "../../hosts/common/client/engine.ts";
import { steeredVirtual } from "../../hosts/common/clock/steered.ts";
import { drafts } from "../../hosts/common/client/version.ts";
import { lendHost, query } from "../../hosts/node/index.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { ntsServer, type NtsServer } from "../support/nts-server.ts";
import { eventually } from "../support/peers.ts";

const pki = new PkiFiles();
const ca = readFileSync(pki.ca, "utf8");
const host = await lendHost();
const engines: Engine[] = [];
afterEach(() => {
  for (const engine of engines.splice(0)) engine.close();
});

async function follow({ source }: NtsServer, version: 5 | "auto"): Promise<Engine> {
  const engine = new Engine(host, steeredVirtual(host.clock), { sources: [{ source: `nts:${source}`, version, nts: { ca } }], minPoll: 0, maxPoll: 0 });
  engines.push(engine);
  await engine.start();
  return engine;
}

const versionOf = (packet: Uint8Array) => (packet[0]! >> 3) & 7;
const NTPV5 = 0x8001;

/** Types of the fields of a packet. */
function fieldTypes(packet: Uint8Array): number[] {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const types: number[] = [];
  for (let at = 48; at + 4 <= packet.length; at += (view.getUint16(at + 2) + 3) & ~3) types.push(view.getUint16(at));
  return types;
}

/** Unique identifier, cookie and authenticator are in each packet, of whatever version. */
function expectNts({ packets }: NtsServer): void {
  for (const packet of packets) expect(fieldTypes(packet)).toEqual(expect.arrayContaining([0x0104, 0x0204, 0x0404]));
}

describe("a source of nts: and version \"auto\"", () => {
  it("falls back to keys of version 4 where the server is deaf to version 5, and never to NTP without NTS", async () => {
    await using server = await ntsServer(pki, { protocols: [NTPV5, 0], drafts: drafts(), hears: (packet) => versionOf(packet) === 4 });
    const engine = await follow(server, "auto");
    await eventually("a sample", () => (engine.sources()[0]!.used > 2 ? true : undefined));
    expect([versionOf(server.packets[0]!), versionOf(server.packets.at(-1)!)]).toEqual([5, 4]);
    expectNts(server);
  });

  it("stays with version 5 where that is answered", async () => {
    await using server = await ntsServer(pki, { protocols: [NTPV5, 0], drafts: drafts() });
    const engine = await follow(server, "auto");
    await eventually("a sample", () => (engine.sources()[0]!.used > 2 ? true : undefined));
    expect(server.versions).toEqual(new Set([5]));
    expectNts(server);
  });

  it("is told what a server knows beside the time, under NTS; a correction stands behind the authenticator", async () => {
    await using server = await ntsServer(pki, { protocols: [NTPV5, 0], drafts: drafts() });
    const sample = await query(`nts:${server.source}`, { version: 5, nts: { ca } });
    expect(sample).toMatchObject({ version: 5, authenticated: true, ntpv5: { versions: [1, 2, 3, 4, 5], correction: { request: 0, reply: 0, used: false } } });
    expect(fieldTypes(server.packets[0]!).slice(-2)).toEqual([0x0404, 0xf506]);
  });

  it("that is deaf to both is measured by nobody, and asked by NTS alone", async () => {
    await using server = await ntsServer(pki, { protocols: [NTPV5, 0], drafts: drafts(), hears: () => false });
    const engine = await follow(server, "auto");
    await eventually("requests of both versions", () => (server.versions.size === 2 ? true : undefined));
    expect([engine.sources()[0]!.used, engine.tracking().synchronised]).toEqual([0, false]);
    expectNts(server);
  });
});

describe("a source of nts: and version 5", () => {
  it("never asks in version 4, however long nobody answers", async () => {
    await using server = await ntsServer(pki, { protocols: [NTPV5, 0], drafts: drafts(), hears: (packet) => versionOf(packet) === 4 });
    const engine = await follow(server, 5);
    // More than the cookies of one key establishment.
    await eventually("ten requests", () => (server.packets.length > 10 ? true : undefined));
    expect([server.versions, engine.sources()[0]!.used]).toEqual([new Set([5]), 0]);
    expectNts(server);
  });

  it("says why it has no keys where the server has none for version 5", async () => {
    await using server = await ntsServer(pki, { protocols: [0] });
    const engine = await follow(server, 5);
    const error = await eventually("an error", () => engine.sources()[0]!.lastError);
    expect(error).toMatch(/protocol/);
    expect(server.packets).toEqual([]);
  });
});
