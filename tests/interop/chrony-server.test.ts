// SPDX-License-Identifier: MIT OR Apache-2.0
/** Our client asks chronyd, live on loopback: what it reads must be what chronyd's own tools say. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { query, type QueryOptions, type Sample } from "../../hosts/node/index.ts";
import { escapement, eventually, hasIPv6, titled, whySkipped } from "../support/peers.ts";
import { chronyClient, chronyServer, numberIn, settled, type Chronyd, type Report } from "./chrony.ts";
import { AGREEMENT, best, failure, kernelStamps, sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);

/** One unit of the header's root delay and dispersion (16.16 seconds). */
const SHORT = 2 ** -16;
describe.skipIf(skipped)(titled("chronyd as a server", skipped), () => {
  let server: Chronyd;
  beforeAll(async () => {
    server = await chronyServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  it.each([3, 4] as const)("is asked in NTPv%i and told to the letter", async (version) => {
    const tracking = await server.report("tracking");
    const sample = await best(sourceOf(server), { version });
    expect(sample).toMatchObject({ version, mode: 4, leap: 0, address: server.address, port: server.port, usable: true, authenticated: false });
    expect(sample.stratum).toBe(numberIn(tracking, "Stratum"));
    // chronyd's reference of itself: 127.127.1.1, "7F7F0101".
    expect(tracking.get("Reference ID")).toContain("7F7F0101");
    expect(sample.refid).toBe("127.127.1.1");
    expect(tracking.get("Leap status")).toBe("Normal");
    expect(sample.rootDelay).toBe(numberIn(tracking, "Root delay"));
    expect(sample.rootDispersion).toBe(numberIn(tracking, "Root dispersion"));
    record("chronyd", "server", `\`query\` in NTPv${version} reads what it says of itself`, `Stratum ${tracking.get("Stratum")}, Reference ID ${tracking.get("Reference ID")}, Leap status ${tracking.get("Leap status")}`);
    expect(sample.delay).toBeGreaterThan(0);
    expect(sample.t1 <= sample.t4 && sample.t2 <= sample.t3).toBe(true);
  });

  it("has an offset within 100 µs of nothing, and of what a chronyd client measures", async () => {
    await using client = await chronyClient([`server ${server.address} port ${server.port} iburst minpoll -3 maxpoll -3`]);
    const { offset, precision, refid, stratum } = await best(sourceOf(server));
    expect(Math.abs(offset)).toBeLessThan(AGREEMENT);
    // Its last packet may have met a busy processor, as any of ours.
    const data = await eventually("chronyd to have measured the same", async () => {
      const report = await client.report("ntpdata", server.address);
      return numberIn(report, "Total good RX") >= 4 && Math.abs(offset - numberIn(report, "Offset")) < AGREEMENT ? report : undefined;
    }, client.peer);
    expect({ stratum, precision, refid }).toEqual({ stratum: numberIn(data, "Stratum"), precision: numberIn(data, "Precision"), refid: "127.127.1.1" });
    expect(data.get("Reference ID")).toContain("7F7F0101");
  });

  it.skipIf(!kernelStamps)("is measured with kernel stamps at both ends", async () => {
    expect((await best(sourceOf(server))).timestamps).toEqual({ t1: "kernel", t4: "kernel" });
  });

  it("answers our plain request although it has keys", async () => {
    await using keyed = await chronyServer({ lines: ["local stratum 5"], keys: ["1 SHA256 HEX:00112233445566778899aabbccddeeff", "2 AES128 HEX:0123456789abcdef0123456789abcdef"] });
    const sample = await best(sourceOf(keyed));
    expect(sample).toMatchObject({ stratum: 5, authenticated: false, usable: true });
  });

  it("has a reference that is no text at stratum 1, and is told by its octets", async () => {
    await using primary = await chronyServer({ lines: ["local stratum 1"] });
    expect(await best(sourceOf(primary))).toMatchObject({ stratum: 1, refid: "127.127.1.1", usable: true });
  });
});

describe.skipIf(skipped)(titled("chronyd as a server over IPv6", skipped), async () => {
  const six = await hasIPv6();
  if (!six) console.warn("SKIPPED: no IPv6 on loopback");

  it.skipIf(!six)("is asked at [::1]", async () => {
    await using server = await chronyServer({ listen: ["::1"], lines: ["local stratum 4"] });
    const sample = await best(`[::1]:${server.port}`);
    expect(sample).toMatchObject({ address: "::1", port: server.port, stratum: 4, usable: true });
    expect(Math.abs(sample.offset)).toBeLessThan(AGREEMENT);
  });

  it("answers on IPv4 only: a name of both families is answered all the same", async () => {
    await using server = await chronyServer({ listen: ["127.0.0.1"] });
    expect(await query(`localhost:${server.port}`)).toMatchObject({ address: "127.0.0.1", usable: true });
  });
});

describe.skipIf(skipped)(titled("chronyd that follows another chronyd", skipped), () => {
  let top: Chronyd;
  let middle: Chronyd;
  beforeAll(async () => {
    top = await chronyServer({ lines: ["local stratum 1"] });
    // It measures a few times and then rests, so that its root dispersion does nothing but grow.
    middle = await chronyServer({ lines: [`server ${top.address} port ${top.port} iburst minpoll -3 maxpoll -3`] });
    await settled(middle);
    await middle.ask("offline");
  });
  afterAll(() => Promise.all([top, middle].map((one) => one?.[Symbol.asyncDispose]())));

  it("is one stratum lower and names its source's address as refid", async () => {
    expect(await best(sourceOf(middle))).toMatchObject({ stratum: 2, refid: top.address, usable: true });
  });

  /** A sample between two reports that no update of chronyd's clock came between: going offline, it had a reply under way. */
  function between(options: QueryOptions): Promise<{ before: Report; sample: Sample; after: Report }> {
    return eventually("no update between two reports", async () => {
      const before = await middle.report("tracking");
      const sample = await query(sourceOf(middle), options);
      const after = await middle.report("tracking");
      return before.get("Last offset") === after.get("Last offset") ? { before, sample, after } : undefined;
    }, middle.peer);
  }

  it("tells root delay and dispersion that chronyc tracking tells", async () => {
    const { before, sample, after } = await between({});
    // The header has 15 µs steps, chronyc prints 1 ns.
    expect(Math.abs(sample.rootDelay - numberIn(before, "Root delay"))).toBeLessThanOrEqual(SHORT);
    expect(sample.rootDispersion).toBeGreaterThanOrEqual(numberIn(before, "Root dispersion") - 1e-9);
    expect(sample.rootDispersion).toBeLessThanOrEqual(numberIn(after, "Root dispersion") + SHORT);
  });

  it("tells them finer than the header can in field 0xF323, when asked to", async () => {
    const { before, sample: fine, after } = await between({ fineRoot: true });
    expect(fine.usable).toBe(true);
    // 4.28 fixed point: 3.7 ns; chronyc rounds to 1 ns.
    expect(Math.abs(fine.rootDelay - numberIn(before, "Root delay"))).toBeLessThan(5e-9);
    expect(fine.rootDispersion).toBeGreaterThan(numberIn(before, "Root dispersion") - 5e-9);
    expect(fine.rootDispersion).toBeLessThan(numberIn(after, "Root dispersion") + 5e-9);
    expect([fine.rootDelay, fine.rootDispersion].some((value) => !Number.isInteger(value / SHORT))).toBe(true);
  });

  it("does not tell them finer unasked, nor in NTPv3, which has no fields", async () => {
    for (const options of [{}, { version: 3, fineRoot: true }] as const) {
      const { rootDelay, rootDispersion, usable } = await query(sourceOf(middle), options);
      expect(usable).toBe(true);
      expect([rootDelay, rootDispersion].every((value) => Number.isInteger(value / SHORT))).toBe(true);
    }
  });
});

describe.skipIf(skipped)(titled("chronyd that must not be believed or does not answer", skipped), () => {
  it("is unfit by test6 while it is not synchronised", async () => {
    await using server = await chronyServer({ lines: [] });
    const sample = await query(sourceOf(server));
    expect(sample).toMatchObject({ leap: 3, stratum: 0, refid: "", usable: false });
    expect(sample.problems().map(({ test }) => test)).toContain("test6");
    expect(sample.kiss, "silence about its reference is no kiss").toBeUndefined();
  });

  it("falls silent when it limits our rate, and that is a TIMEOUT and no time", async () => {
    // At most one answer in an hour, but for every 16th at random: a few dozen requests meet silence for certain.
    await using server = await chronyServer({ lines: ["local stratum 3", "ratelimit interval 12 burst 1 leak 4"] });
    const codes = new Set<string>();
    for (let i = 0; i < 40 && !codes.has("TIMEOUT"); i++) codes.add((await failure(query(sourceOf(server), { timeout: 0.15 }))).code);
    expect([...codes]).toEqual(["none", "TIMEOUT"]);
    expect(numberIn(await server.report("serverstats"), "NTP packets dropped")).toBeGreaterThan(0);
    record("chronyd", "server", "`query` is limited in its rate", "NTP packets dropped: more than 0");
  });

  it("refuses by silence whom it does not allow", async () => {
    await using server = await chronyServer({ lines: ["local stratum 3", "deny all"] });
    expect((await failure(query(sourceOf(server), { timeout: 0.3 }))).code).toMatch(/^(TIMEOUT|UNREACHABLE)$/);
  });
});

describe.skipIf(skipped)(titled("escapement query --json", skipped), () => {
  /** DESIGN §10, and the verdict that a survey adds. */
  const FIELDS = [
    "source", "address", "port", "version", "mode", "leap", "stratum", "poll", "precision", "refid", "offset", "delay", "dispersion",
    "rootDelay", "rootDispersion", "rootDistance", "t1", "t2", "t3", "t4", "authenticated", "interleaved", "timestamps", "problems", "verdict",
  ];

  it("prints one document with exactly the fields that are promised, and ends with 0", async () => {
    await using server = await chronyServer({ listen: ["127.0.0.1"] });
    const { status, stdout, stderr } = await escapement(["query", sourceOf(server), "--json"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { samples: [sample], ...rest } = JSON.parse(stdout) as { samples: Record<string, unknown>[] };
    expect(rest).toEqual({ errors: [], consensus: { offset: expect.any(Number), uncertainty: expect.any(Number) } });
    expect(Object.keys(sample ?? {}).sort()).toEqual([...FIELDS].sort());
    expect(sample).toMatchObject({ source: sourceOf(server), address: "127.0.0.1", port: server.port, version: 4, mode: 4, stratum: 3, refid: "127.127.1.1", problems: [], verdict: "survivor" });
    for (const t of ["t1", "t2", "t3", "t4"]) expect(sample?.[t]).toMatch(/^\d{19}$/);
    expect(Math.abs(Number(sample?.["offset"]))).toBeLessThanOrEqual(Number(sample?.["rootDistance"]));
  });

  it("ends with 1 and names the problem when the server is not synchronised", async () => {
    await using server = await chronyServer({ lines: [] });
    const { status, stdout } = await escapement(["query", sourceOf(server), "--json", "--ntp-version", "3"]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ consensus: null, samples: [{ version: 3, verdict: "unfit", problems: expect.arrayContaining([expect.stringMatching(/^test6 /)]) }] });
  });

  it("ends with 1 and an error in the document when nobody listens", async () => {
    const server = await chronyServer({ listen: ["127.0.0.1"] });
    await server.peer.stop();
    const { status, stdout } = await escapement(["query", sourceOf(server), "--json", "--timeout", "1"]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ samples: [], consensus: null, errors: [{ source: sourceOf(server), code: "UNREACHABLE" }] });
  });
});
