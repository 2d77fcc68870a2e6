// SPDX-License-Identifier: MIT OR Apache-2.0
/** The real programs among themselves: what starts and asks them can be relied upon where one of them is replaced by us. */

import { describe, expect, it } from "vitest";
import { cableOfTests } from "../support/cable.ts";
import { eventually, titled, whySkipped } from "../support/peers.ts";
import { PkiFiles } from "../support/files-of-pki.ts";
import { authData, chronyNtsClient, chronyNtsServer, type NtsPlace } from "./chrony-nts.ts";
import { ntpdRsClient, ntpdRsServer, sourcesOf } from "./ntpd-rs.ts";
import { ntpsecNtsClient, ntpsecNtsServer, type NtpsecProgram } from "./ntpsec.ts";
import { startRedis } from "../support/redis.ts";
import { numberIn, type Chronyd, type ChronyProgram } from "./chrony.ts";

const chronySkipped = whySkipped(["chronyd", "chronyc", "chronyd-new", "chronyc-new"]);
const rustSkipped = whySkipped(["chronyd-new", "chronyc-new", "ntp-daemon", "ntp-ctl", "cc"]);
const ntpsecSkipped = whySkipped(["chronyd-new", "chronyc-new", "ntpd", "ntpd-new", "ntpq", "ip", "nsenter", "unshare"], { root: true });
const redisSkipped = whySkipped(["redis-server", "redis-cli"]);
/** On one machine the true offset is 0, s. */
const NEAR = 5e-3;
const pki = new PkiFiles();

/** Wait until `client` has selected the server and holds all cookies. */
function inStep(client: Chronyd, { address }: NtsPlace): Promise<Awaited<ReturnType<typeof authData>>> {
  return eventually("chronyd to select the server by NTS", async () => {
    const data = await authData(client, address);
    return (await client.ask("sources")).includes(`^* ${address}`) && data.cookies === 8 ? data : undefined;
  }, client.peer);
}

describe.skipIf(chronySkipped)(titled("chronyd follows chronyd by NTS", chronySkipped), () => {
  it.each<[ChronyProgram, ChronyProgram, number]>([
    ["chronyd-new", "chronyd", 15],
    ["chronyd", "chronyd-new", 15],
    ["chronyd-new", "chronyd-new", 30],
  ])("%s follows %s with AEAD %i", async (ours, theirs, aead) => {
    await using server = await chronyNtsServer({ pki, program: theirs });
    await using client = await chronyNtsClient([server], { pki, program: ours });
    expect(await inStep(client, server)).toMatchObject({ mode: "NTS", type: aead, nak: 0 });
  });
});

describe.skipIf(rustSkipped)(titled("ntpd-rs and chronyd by NTS", rustSkipped), () => {
  it("chronyd follows ntpd-rs", async () => {
    await using server = await ntpdRsServer({ pki });
    await using client = await chronyNtsClient([server], { pki, program: "chronyd-new" });
    expect(await inStep(client, server)).toMatchObject({ mode: "NTS", type: 15, nak: 0 });
  });

  it("ntpd-rs follows chronyd", async () => {
    await using server = await chronyNtsServer({ pki, program: "chronyd-new" });
    await using client = await ntpdRsClient([{ address: `${server.address}:${server.kePort}`, pki }]);
    const [source] = await eventually("ntpd-rs to have measured by NTS", async () => {
      const sources = await sourcesOf(client);
      return sources[0]?.cookies === 8 && Math.abs(sources[0].offset) < NEAR && sources[0].delay > 0 ? sources : undefined;
    }, client.peer);
    expect(source).toMatchObject({ nts: true, address: `${server.address}:${server.port}` });
    expect(numberIn(await server.report("serverstats"), "Authenticated NTP packets")).toBeGreaterThan(0);
  });

  it.each([4, 5, "auto"] as const)("ntpd-rs follows itself in version %s", async (version) => {
    await using server = await ntpdRsServer();
    await using client = await ntpdRsClient([{ address: `${server.address}:${server.port}`, version }]);
    const [source] = await eventually("ntpd-rs to have measured", async () => {
      const sources = await sourcesOf(client);
      return sources[0] && Math.abs(sources[0].offset) < NEAR && sources[0].delay > 0 ? sources : undefined;
    }, client.peer);
    expect(source).toMatchObject({ nts: false, address: `${server.address}:${server.port}`, cookies: undefined });
  });
});

describe.skipIf(ntpsecSkipped)(titled("NTPsec and chronyd by NTS", ntpsecSkipped), () => {
  const HERE = "10.97.0.1";
  const THERE = "10.97.0.2";
  const cable = cableOfTests([HERE, THERE]);

  it.each<NtpsecProgram>(["ntpd", "ntpd-new"])("%s follows chronyd", async (program) => {
    await using server = await chronyNtsServer({ pki, program: "chronyd-new", namespace: cable.here, listen: [HERE] });
    await using client = await ntpsecNtsClient(server, { pki, program, namespace: cable.there });
    await eventually("ntpd to take three replies", async () => ((await client.counts()).get("NTS client recvs good")! >= 3 ? true : undefined), client.peer);
    expect((await client.counts()).get("NTS client recvs w error")).toBe(0);
    expect(client.peer.said).toContain("aead=15");
    expect(numberIn(await server.report("serverstats"), "Authenticated NTP packets")).toBeGreaterThanOrEqual(3);
  });

  it.each<NtpsecProgram>(["ntpd", "ntpd-new"])("chronyd follows %s", async (program) => {
    await using server = await ntpsecNtsServer({ pki, program, namespace: cable.there, address: THERE });
    await using client = await chronyNtsClient([server], { pki, program: "chronyd-new", namespace: cable.here });
    const data = await inStep(client, server);
    expect(data).toMatchObject({ mode: "NTS", type: 15, nak: 0 });
    expect((await server.counts()).get("NTS server recvs good")).toBeGreaterThanOrEqual(2);
  });
});

describe.skipIf(redisSkipped)(titled("redis-server", redisSkipped), () => {
  it("keeps what it is told, in memory, until it is stopped", async () => {
    await using redis = await startRedis();
    expect(await redis.ask("SET", "one", "1")).toBe("OK");
    expect(await redis.ask("GET", "one")).toBe("1");
    expect(redis.url).toMatch(/^redis:\/\/127\..*:\d+$/);
  });
});
