// SPDX-License-Identifier: MIT OR Apache-2.0
/** chronyd asks our server, live on loopback, once and for ever: it must find nothing to complain of, nor believe too much. */

import { describe, expect, it } from "vitest";
import { lendHost, serve, type ServeOptions, type Server } from "../../hosts/node/index.ts";
import { eventually, hasIPv6, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { chronyClient, chronyOnce, chronyServer, numberIn, settled, type Chronyd, type Report } from "./chrony.ts";
import { best, sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
/** Ask eight times a second: four samples come within half a second. */
const FAST = "minpoll -3 maxpoll -3";
/** Our server answers in user space, behind an event loop: this near is an exchange that met an idle moment, s. */
const NEAR_ZERO = 1e-3;
/** How often such a moment is waited for on a busy machine. */
const TRIES = 10;
const HALF_A_SECOND = 500_000_000n;

/** A server of ours at an address of its own, at a free port. */
function ours(options: ServeOptions = {}): Promise<Server> {
  return serve({ listen: [loopbackAlias()], port: 0, ...options });
}

function lineFor(server: Server, options = ""): string {
  const [{ address, port }] = server.addresses as [{ address: string; port: number }];
  return `server ${address} port ${port} iburst ${FAST} ${options}`.trim();
}

/** `chronyd -Q` until it finds the clock wrong by `expected` seconds, to {@link NEAR_ZERO}; each time it must accept our server. */
async function expectWrongBy(expected: number, line: string): Promise<void> {
  for (let tries = TRIES; ; tries--) {
    const { wrongBy, status, said } = await chronyOnce([`${line} maxsamples 4`]);
    expect({ status, accepted: wrongBy !== undefined }, said).toEqual({ status: 0, accepted: true });
    const near = Math.abs((wrongBy ?? NaN) - expected) < NEAR_ZERO;
    if (near || tries === 0) return expect(near, said).toBe(true);
  }
}

/**
 * What chronyd says of our server once `enough` says so, `count` of its replies were good, and the last passes all tests: its
 * test C is about the delay's jitter, which a busy machine fails now and then.
 */
function afterGood(client: Chronyd, server: Server, count: number, enough: (report: Report) => boolean = () => true): Promise<Report> {
  return eventually(`chronyd to have had ${count} good replies`, async () => {
    const report = await client.report("ntpdata", String(server.addresses[0]?.address));
    return numberIn(report, "Total good RX") >= count && report.get("NTP tests") === "111 111 1111" && enough(report) ? report : undefined;
  }, client.peer);
}

/** Wait until chronyd has had `count` replies from our server. */
function afterReplies(client: Chronyd, server: Server, count: number): Promise<Report> {
  return eventually(`chronyd to have had ${count} replies`, async () => {
    const report = await client.report("ntpdata", String(server.addresses[0]?.address));
    return numberIn(report, "Total RX") >= count ? report : undefined;
  }, client.peer);
}

describe.skipIf(skipped)(titled("chronyd -Q asks our server", skipped), async () => {
  const six = await hasIPv6();

  it("accepts it over IPv4 and prints an offset near zero", async () => {
    await using server = await ours({ stratum: 2 });
    await expectWrongBy(0, lineFor(server));
    expect(server.stats).toMatchObject({ dropped: 0, failed: 0 });
    record("chronyd", "client", "`chronyd -Q` asks `serve` over IPv4", "System clock wrong by less than 1 ms");
  });

  it.skipIf(!six)("accepts it over IPv6 and prints an offset near zero", async () => {
    await using server = await ours({ stratum: 2, listen: ["::1"] });
    await expectWrongBy(0, lineFor(server));
    record("chronyd", "client", "`chronyd -Q` asks `serve` over IPv6", "System clock wrong by less than 1 ms");
  });

  it.each([["NTPv3", "version 3"], ["NTPv4 with field 0xF323", "extfield F323"], ["no more than 20 ms of delay", "maxdelay 0.02"]])("accepts it with %s", async (_, option) => {
    await using server = await ours({ stratum: 1, refid: "GPS" });
    await expectWrongBy(0, lineFor(server, option));
  });

  it("sees by how much our server's clock is ahead or behind", async () => {
    const { clock } = await lendHost();
    for (const sign of [1n, -1n]) {
      await using server = await ours({ stratum: 2, clock: () => clock.now() + sign * HALF_A_SECOND });
      await expectWrongBy(Number(sign) * 0.5, lineFor(server));
    }
  });

  it("refuses it while it is not synchronised", async () => {
    await using server = await ours();
    const { wrongBy, status, said } = await chronyOnce([`${lineFor(server)} maxsamples 4`], { seconds: 6 });
    expect({ wrongBy, status }, said).toEqual({ wrongBy: undefined, status: 1 });
    expect(server.stats.answered, "it was asked and it answered").toBeGreaterThan(0);
  });

  it("refuses it when it sends a kiss", async () => {
    await using server = await ours({ kiss: "DENY" });
    const { wrongBy, said } = await chronyOnce([`${lineFor(server)} maxsamples 4`], { seconds: 2 });
    expect(wrongBy, said).toBeUndefined();
  });
});

describe.skipIf(skipped)(titled("chronyd follows our server", skipped), () => {
  it("selects it and finds every packet test passed", async () => {
    await using server = await ours({ stratum: 2, refid: "192.0.2.9", rootDelay: 1 / 256, rootDispersion: 1 / 512 });
    await using client = await chronyClient([lineFor(server)]);
    const address = String(server.addresses[0]?.address);
    await eventually("chronyd to select our server", async () => (new RegExp(`\\^\\* ${address}\\s+2 `).test(await client.ask("sources")) ? true : undefined), client.peer);
    const data = await afterGood(client, server, 3, (report) => Math.abs(numberIn(report, "Offset")) < NEAR_ZERO);
    expect(Object.fromEntries(data)).toMatchObject({
      "Leap status": "Normal",
      "Version": "4",
      "Mode": "Server",
      "Stratum": "2",
      // As it asked: where a delay exceeded 10 ms it is no local network to chronyd, and polled no faster than once a second.
      "Poll interval": expect.stringMatching(/^(-3|0) /),
      "Reference ID": expect.stringContaining("C0000209"),
      "Root delay": "0.003906 seconds",
      "Root dispersion": "0.001953 seconds",
      "NTP tests": "111 111 1111",
      "Interleaved": "No",
      "Authenticated": "No",
    });
    expect(numberIn(data, "Precision")).toBeLessThanOrEqual(-14);
    expect((await client.report("tracking")).get("Reference ID")).toContain(address);
    record("chronyd", "client", "follow `serve`", `selected (^*), NTP tests ${data.get("NTP tests")}`);
  });

  it("announces the leap second that our server announces", async () => {
    await using server = await ours({ stratum: 1, refid: "PPS", leap: 1 });
    await using client = await chronyClient([lineFor(server)]);
    const data = await afterGood(client, server, 4);
    expect(data.get("Leap status")).toBe("Insert second");
    expect(data.get("Reference ID")).toContain("50505300 (PPS)");
    record("chronyd", "client", "leap second announced by `serve`", `Leap status ${data.get("Leap status")}, Reference ID ${data.get("Reference ID")}`);
  });

  it("reads our root delay and dispersion as finely as field 0xF323 has them", async () => {
    const exact = { rootDelay: 0.001_234_567, rootDispersion: 0.002_345_678 };
    await using server = await ours({ stratum: 1, ...exact });
    await using fine = await chronyClient([lineFor(server, "extfield F323")]);
    await using coarse = await chronyClient([lineFor(server)]);
    const [finely, coarsely] = await Promise.all([fine, coarse].map((client) => afterGood(client, server, 4)));
    // chronyc prints microseconds; the header's steps are 15 µs.
    expect(numberIn(finely!, "Root delay")).toBeCloseTo(exact.rootDelay, 6);
    expect(numberIn(finely!, "Root dispersion")).toBeCloseTo(exact.rootDispersion, 6);
    record("chronyd", "client", "extension field 0xF323 of `serve`", `Root delay ${finely!.get("Root delay")}, without the field ${coarsely!.get("Root delay")}`);
    expect(Math.abs(numberIn(coarsely!, "Root delay") - exact.rootDelay)).toBeLessThan(2 ** -16);
    expect(numberIn(coarsely!, "Root delay")).not.toBeCloseTo(exact.rootDelay, 6);
  });

  it("never selects our server while it is not synchronised", async () => {
    await using server = await ours();
    await using client = await chronyClient([lineFor(server)]);
    const data = await afterReplies(client, server, 8);
    expect(data.get("Leap status")).toBe("Not synchronised");
    // The header is good, the server behind it is not: only the tests of group C fail.
    expect(data.get("NTP tests")).toMatch(/^111 \d\d\d \d\d\d\d$/);
    expect(data.get("NTP tests")).not.toBe("111 111 1111");
    expect(numberIn(data, "Total good RX")).toBe(0);
    record("chronyd", "client", "`serve` that is not synchronised", `Leap status ${data.get("Leap status")}, Total good RX 0`);
    expect(await client.ask("sources")).not.toContain("^*");
  });

  it("never selects our server when it was told to expect a MAC", async () => {
    await using server = await ours({ stratum: 2 });
    await using client = await chronyClient([lineFor(server, "key 1")], { keys: ["1 SHA1 HEX:00112233445566778899aabbccddeeff00112233"] });
    await eventually("our server to have been asked four times", () => (server.stats.received >= 4 ? true : undefined), client.peer);
    const data = await client.report("ntpdata");
    expect(numberIn(data, "Total good RX"), "a reply without its MAC is no reply").toBe(0);
    expect(await client.ask("sources")).not.toContain("^*");
  });

  it("casts our server out when it lies by half a second and two others tell the truth", async () => {
    const { clock } = await lendHost();
    await using liar = await ours({ stratum: 1, clock: () => clock.now() + HALF_A_SECOND });
    await using honest = await ours({ stratum: 1 });
    await using third = await chronyServer({ lines: ["local stratum 1"] });
    await using client = await chronyClient([lineFor(liar), lineFor(honest), `server ${third.address} port ${third.port} iburst ${FAST}`]);
    const mark = (sources: string, server: Server) => new RegExp(`\\^(.) ${server.addresses[0]?.address} `).exec(sources)?.[1] ?? "";
    await eventually("chronyd to cast out the liar and keep the honest", async () => {
      const sources = await client.ask("sources");
      return mark(sources, liar) === "x" && "*+-".includes(mark(sources, honest)) && sources.includes("^*") ? true : undefined;
    }, client.peer);
    record("chronyd", "client", "one `serve` of three lies by half a second", "^x; the others kept, one of them selected (^*)");
    expect((await client.report("tracking")).get("Reference ID")).not.toContain(String(liar.addresses[0]?.address));
  });
});

describe.skipIf(skipped)(titled("a chain of both", skipped), () => {
  it("ours tells chronyd, chronyd tells ours: stratum and refid grow with each step", async () => {
    await using server = await ours({ stratum: 3, refid: "192.0.2.33", rootDelay: 0.01 });
    await using middle = await chronyServer({ lines: [lineFor(server)] });
    await settled(middle);
    const sample = await best(sourceOf(middle));
    expect(sample).toMatchObject({ stratum: 4, refid: server.addresses[0]?.address, usable: true });
    expect(sample.rootDelay).toBeGreaterThanOrEqual(0.01);
    // Our server's default dispersion, 10 ms, is passed on.
    expect(sample.rootDispersion).toBeGreaterThanOrEqual(0.01);
  });
});
