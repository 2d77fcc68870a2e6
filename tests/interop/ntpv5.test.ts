// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPv5 with ntpd-rs 1.9, which speaks draft -08, and with a copy of it that calls itself -09: as server and as client, plain and
 * with NTS, "5" and "auto"; and what a draft that nobody speaks comes to.
 */

import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lendHost, query, serve, type Server } from "../../hosts/node/index.ts";
import { steeredVirtual } from "../../hosts/common/clock/steered.ts";
import { Engine } from "../../hosts/common/client/engine.ts";
import { escapement, eventually, freePort, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { ntsServer } from "../support/nts-server.ts";
import { record } from "./record.ts";
import { ntpdRsClient, ntpdRsOfDraft, ntpdRsServer, sourcesOf, type NtpdRs } from "./ntpd-rs.ts";

const skipped = whySkipped(["ntp-daemon", "ntp-ctl", "cc"]);
const DRAFTS = ["draft-ietf-ntp-ntpv5-08", "draft-ietf-ntp-ntpv5-09"];
const made: string[] = [];

function programOf(draft: string): string {
  const program = ntpdRsOfDraft(draft);
  made.push(join(dirname(program), "../.."));
  return program;
}
afterAll(() => made.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

describe.skipIf(skipped).each(DRAFTS)(titled("ntpd-rs of %s", skipped), (draft) => {
  const pki = new PkiFiles();
  const ca = readFileSync(pki.ca, "utf8");
  let server: NtpdRs;
  let ours: Server;
  let at: string;
  const source = () => `${server.address}:${server.port}`;

  beforeAll(async () => {
    server = await ntpdRsServer({ program: programOf(draft), pki });
    const address = loopbackAlias();
    ours = await serve({ listen: [address], port: await freePort(address), stratum: 1, refid: "TEST" });
    at = `${address}:${ours.addresses[0]!.port}`;
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await ours?.close();
  });

  it("answers us in version 5, with time that is true", async () => {
    const sample = await query(source(), { version: 5 });
    expect({ version: sample.version, problems: sample.problems(), stratum: sample.stratum }).toEqual({ version: 5, problems: [], stratum: 1 });
    expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.rootDistance);
    // It has none of the fields that are asked for beside the time, and is not put off by them.
    expect(sample.ntpv5).toEqual({});
    const counts = await eventually("ntpd-rs to have counted it", async () => ((await countsOf(server)).get("Accepted") ? countsOf(server) : undefined), server.peer);
    expect([counts.get("Denied"), counts.get("Response send errors")]).toEqual([0, 0]);
    record("ntp-daemon", "server", `\`query\` with version 5, ${draft}`, "Accepted 1 or more, Denied 0");
  });

  it("answers the command", async () => {
    const { status, stdout } = await escapement(["query", "--ntp-version", "5", "--json", source()]);
    expect({ status, samples: JSON.parse(stdout).samples }).toMatchObject({ status: 0, samples: [{ version: 5, problems: [] }] });
  });

  it("answers us in version 5 with NTS", async () => {
    const sample = await query(`nts:${server.address}:${server.kePort}`, { version: 5, nts: { ca } });
    expect({ version: sample.version, authenticated: sample.authenticated, problems: sample.problems() }).toEqual({ version: 5, authenticated: true, problems: [] });
    const counts = await eventually("ntpd-rs to have counted it", async () => ((await countsOf(server)).get("NTS Accepted") ? countsOf(server) : undefined), server.peer);
    expect(counts.get("NTS NAK")).toBe(0);
    record("ntp-daemon", "server", `\`query nts:\` with version 5, ${draft}`, "NTS Accepted 1 or more, NTS NAK 0");
  });

  it.each([5, "auto"] as const)("is followed by a daemon of ours with version %s", async (version) => {
    const { used, versions } = await follow({ source: source(), version, minPoll: 0, maxPoll: 0 });
    expect(used).toBeGreaterThan(2);
    expect(versions.at(-1)).toBe(5);
    if (version === "auto") expect(versions[0]).toBe(4);
  });

  it.each([5, "auto"] as const)("is followed by a daemon of ours with version %s and NTS", async (version) => {
    const { used, versions } = await follow({ source: `nts:${server.address}:${server.kePort}`, version, nts: { ca }, minPoll: 0, maxPoll: 0 });
    expect(used).toBeGreaterThan(2);
    expect(versions.at(-1)).toBe(5);
  });

  it.each([5, "auto"] as const)("follows us with version %s", async (version) => {
    const client = await ntpdRsClient([{ address: at, version }], { program: programOf(draft) });
    try {
      const found = await eventually("ntpd-rs to measure us", async () => (await sourcesOf(client)).find(({ delay, offset, missingPolls }) => delay > 0 && missingPolls <= 1 && Math.abs(offset) < 0.1), client.peer);
      expect(found.delay).toBeGreaterThan(0);
      record("ntp-daemon", "client", `\`serve\` asked with ntp-version ${version}, ${draft}`, "Missing polls 0 or 1, an offset below 100 ms");
    } finally {
      await client[Symbol.asyncDispose]();
    }
  });


  it("follows us with version 5 and NTS, with keys that we gave it", async () => {
    await using nts = await ntsServer(pki, { protocols: [0x8001], drafts: [draft] });
    const client = await ntpdRsClient([{ address: nts.source, version: 5, pki }], { program: programOf(draft) });
    try {
      const found = await eventually("ntpd-rs to measure us", async () => (await sourcesOf(client)).find(({ delay, offset, missingPolls }) => delay > 0 && missingPolls <= 1 && Math.abs(offset) < 0.01), client.peer);
      expect(found.delay).toBeGreaterThan(0);
      expect(nts.versions).toEqual(new Set([5]));
      record("ntp-daemon", "client", `keys and time of ours for ntp-version 5, ${draft}`, "[NTS], Missing polls 0 or 1");
    } finally {
      await client[Symbol.asyncDispose]();
    }
  });
});

/** What it has counted of those who asked it. */
async function countsOf({ status }: NtpdRs): Promise<Map<string, number>> {
  return new Map([...(await status()).matchAll(/^\s+([A-Z][\w ]+?)\s+(\d+)$/gm)].map(([, name = "", count]) => [name, Number(count)]));
}

/** An engine on a clock that is only watched; the versions of the requests it sent. */
async function follow(source: ConstructorParameters<typeof Engine>[2]["sources"][number]): Promise<{ used: number; versions: number[] }> {
  const host = await lendHost();
  const versions: number[] = [];
  const openUdp: typeof host.openUdp = async (...args) => {
    const socket = await host.openUdp!(...args);
    const send: typeof socket.send = (data, to) => {
      versions.push((data[0]! >> 3) & 7);
      return socket.send(data, to);
    };
    return { local: socket.local, stamps: socket.stamps, close: () => socket.close(), send };
  };
  const clock = steeredVirtual(host.clock);
  const engine = new Engine({ ...host, openUdp }, clock, { sources: [source], minPoll: 0, maxPoll: 0 });
  try {
    await engine.start();
    const used = await eventually("a few samples", () => {
      const [state] = engine.sources();
      return state && state.used > 2 && versions.at(-1) === 5 ? state.used : undefined;
    });
    return { used, versions };
  } finally {
    engine.close();
  }
}
