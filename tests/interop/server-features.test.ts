// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * chronyd as a client of our server, in interleaved mode and over the limit; live on loopback. `serve` from the sources answers
 * on the runtime's own sockets; the command, as it is built, on the fast path in one thread and in two.
 */

import { describe, expect, it } from "vitest";
import { serve, type ServeOptions, type Server } from "../../hosts/node/index.ts";
import { eventually, freePort, loopbackAlias, titled, whySkipped, type Peer } from "../support/peers.ts";
import { lacking } from "../server/built.ts";
import { startServe } from "./ask.ts";
import { chronyClient, numberIn, type Chronyd, type Report } from "./chrony.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
/** Eight requests a second. */
const FAST_POLL = -3;
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

/** Whether the last reply passed every test and was near: on a busy machine one now and then does not, and is not. */
const faultless = (report: Report, near = Infinity) => report.get("NTP tests") === "111 111 1111" && Math.abs(numberIn(report, "Offset")) < near;

describe.skipIf(skipped)(titled("chronyd asks our server in interleaved mode", skipped), () => {
  it("and measures in it, every packet test passed, as both sides count", async () => {
    await using server = await ours({ interleaved: true, clientLog: true });
    await using client = await follow(server, "xleave");
    const report = await until("chronyd to measure in interleaved mode", client, server, (now) => now.get("Interleaved") === "Yes" && numberIn(now, "Total good RX") >= 12 && faultless(now, 5e-3));
    expect(report.get("NTP tests")).toBe("111 111 1111");
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
    await eventually("chronyd to have been told", () => client.peer.said.includes("Received KoD RATE") || undefined, client.peer);
    await eventually("chronyd to poll less often", async () => (pollOf(await client.ask("sources")) > FAST_POLL ? true : undefined), client.peer);
    expect(await server.clients()).toMatchObject([{ dropped: expect.any(Number) }]);
    expect(server.counters).toMatchObject({ kissesRate: expect.any(Number) });
  });
});

/** The command in so many threads, and where it answers. */
async function command(workers: number, options: readonly string[]): Promise<{ server: Peer; address: string; port: number }> {
  const address = loopbackAlias();
  const port = await freePort(address);
  const server = await startServe(["--listen", `${address}:${port}`, "--stratum", "2", "--workers", String(workers), ...options]);
  return { server, address, port };
}

/** What the command counted, told at its end. */
async function countersOf(server: Peer): Promise<Record<string, number>> {
  const { stdout } = await server.stop();
  return (JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { counters: Record<string, number> }).counters;
}

describe.skipIf(skipped !== undefined || lacking !== undefined)(titled("chronyd and escapement serve on the fast path", skipped), () => {
  it.each([1, 2])("in interleaved mode: measured in it, with kernel time stamps at both ends (%i threads)", async (workers) => {
    const { server, address, port } = await command(workers, ["--interleaved", "--client-log"]);
    // One port for all requests, or they come to another thread now and then, which has not seen the one before.
    const own = workers > 1 ? [`acquisitionport ${await freePort("0.0.0.0")}`] : [];
    await using client = await chronyClient([`server ${address} port ${port} ${FAST} xleave`, ...own]);
    const report = await eventually("chronyd to measure in interleaved mode", async () => {
      const now = await client.report("ntpdata", address);
      return now.get("Interleaved") === "Yes" && numberIn(now, "Total good RX") >= 12 && faultless(now, 200e-6) && numberIn(now, "Response time") < 5e-3 ? now : undefined;
    }, client.peer);
    expect(Object.fromEntries(report)).toMatchObject({ "NTP tests": "111 111 1111", "TX timestamping": "Kernel", "RX timestamping": "Kernel" });
    await client.peer.stop();
    const { interleaved, stamps } = await countersOf(server);
    expect(interleaved).toBeGreaterThan(6);
    expect(stamps, "true transmit times that found their pair").toBeGreaterThan(6);
    record("chronyd", "client", `\`escapement serve --interleaved\` in ${workers} threads`, "Interleaved Yes, NTP tests 111 111 1111, timestamping Kernel");
  });

  it("in interleaved mode with a new port each time and two threads: every packet test passed, in whichever mode", async () => {
    const { server, address, port } = await command(2, ["--interleaved"]);
    await using client = await chronyClient([`server ${address} port ${port} ${FAST} xleave`]);
    const report = await eventually("chronyd to have had 30 good replies", async () => {
      const now = await client.report("ntpdata", address);
      return numberIn(now, "Total good RX") >= 30 && faultless(now) ? now : undefined;
    }, client.peer);
    expect(numberIn(report, "Total valid RX")).toBe(numberIn(report, "Total RX"));
    await client.peer.stop();
    expect((await countersOf(server))["answered"]).toBeGreaterThanOrEqual(30);
  });

  it.each([1, 2])("over the limit: told so by a kiss RATE, and asks less often (%i threads)", async (workers) => {
    const { server, address, port } = await command(workers, ["--rate-limit", "8,4,0"]);
    const began = performance.now();
    await using client = await chronyClient([`server ${address} port ${port} ${FAST}`]);
    // A kiss that comes after chronyd's next request is none to it, and the next one is due 64 s later.
    await eventually("chronyd to have been told", () => client.peer.said.includes(`Received KoD RATE from ${address}`) || undefined, client.peer, 200_000);
    await eventually("chronyd to poll less often", async () => (pollOf(await client.ask("sources")) > FAST_POLL ? true : undefined), client.peer);
    const seconds = (performance.now() - began) / 1000;
    await client.peer.stop();
    const { received, kissesRate, limited } = await countersOf(server);
    expect(kissesRate).toBeGreaterThan(0);
    expect(limited! + kissesRate!).toBeGreaterThan(0);
    expect(received, `requests in ${seconds} s, of eight a second`).toBeLessThan(8 * (seconds + 1));
    record("chronyd", "client", `\`escapement serve --rate-limit\` in ${workers} threads`, "Received KoD RATE; polls less often");
  });
});

/** log2 s between its requests, as `chronyc sources` tells it. */
function pollOf(sources: string): number {
  return Number(/^\^\S+ +\S+ +\d+ +(-?\d+)/m.exec(sources)?.[1] ?? NaN);
}
