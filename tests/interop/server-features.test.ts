// SPDX-License-Identifier: MIT OR Apache-2.0
/** chronyd as a client of our server, in interleaved mode and over the limit; live on loopback. */

import { describe, expect, it } from "vitest";
import { serve, type ServeOptions, type Server } from "../../hosts/node/index.ts";
import { eventually, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { chronyClient, numberIn, type Chronyd, type Report } from "./chrony.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
/** Eight requests a second. */
const FAST = "minpoll -3 maxpoll -3";

function ours(options: ServeOptions): Promise<Server> {
  return serve({ listen: [loopbackAlias()], port: 0, stratum: 2, ...options });
}

function follow(server: Server, options: string): Promise<Chronyd> {
  const { address, port } = server.addresses[0]!;
  return chronyClient([`server ${address} port ${port} ${FAST} ${options}`]);
}

const ntpdata = (client: Chronyd, server: Server) => client.report("ntpdata", server.addresses[0]!.address);

function until(what: string, client: Chronyd, server: Server, enough: (report: Report) => boolean): Promise<Report> {
  return eventually(what, async () => {
    const report = await ntpdata(client, server);
    return enough(report) ? report : undefined;
  }, client.peer);
}

describe.skipIf(skipped)(titled("chronyd asks our server in interleaved mode", skipped), () => {
  it("and measures in it, every packet test passed, as both sides count", async () => {
    await using server = await ours({ interleaved: true, clientLog: true });
    await using client = await follow(server, "xleave");
    const report = await until("chronyd to measure in interleaved mode", client, server, (now) => now.get("Interleaved") === "Yes" && numberIn(now, "Total good RX") >= 12);
    expect(report.get("NTP tests")).toBe("111 111 1111");
    expect(Math.abs(numberIn(report, "Offset"))).toBeLessThan(5e-3);
    expect(server.counters.interleaved).toBeGreaterThan(6);
    expect(server.counters.stamps).toBeGreaterThan(6);
    expect((await server.clients())[0]?.interleaved).toBeGreaterThan(6);
  });

  it("but is answered in basic mode where that is off, and nothing is the worse", async () => {
    await using server = await ours({});
    await using client = await follow(server, "xleave");
    const report = await until("chronyd to have had 8 good replies", client, server, (now) => numberIn(now, "Total good RX") >= 8);
    expect(report.get("Interleaved")).toBe("No");
    expect(server.counters.interleaved).toBe(0);
  });

  it("and not at all in basic mode, though our server could", async () => {
    await using server = await ours({ interleaved: true });
    await using client = await follow(server, "");
    const report = await until("chronyd to have had 8 good replies", client, server, (now) => numberIn(now, "Total good RX") >= 8);
    expect([report.get("Interleaved"), server.counters.interleaved]).toEqual(["No", 0]);
  });
});

describe.skipIf(skipped)(titled("chronyd asks our server too often", skipped), () => {
  it("and slows down when it is told so by a kiss RATE", async () => {
    await using server = await ours({ rateLimit: { interval: 8, burst: 4, leak: 0, kiss: { interval: 0.5 } } });
    await using client = await follow(server, "");
    // chronyd stays in its fast poll for nobody who sent it RATE.
    await eventually("chronyd to have been told, and to poll less often", async () => {
      const text = await client.ask("sources");
      const poll = Number(/^\^\S+ +\S+ +\d+ +(-?\d+)/m.exec(text)?.[1] ?? NaN);
      return server.counters.kissesRate > 0 && poll > -3 ? true : undefined;
    }, client.peer);
    expect(await server.clients()).toMatchObject([{ dropped: expect.any(Number) }]);
    expect(server.counters).toMatchObject({ kissesRate: expect.any(Number) });
  });
});
