// SPDX-License-Identifier: MIT OR Apache-2.0
/** The reports in chronyc's manner, and what becomes of a daemon that is none. @module */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { SourceReport, SourcestatsReport, TrackingReport } from "../daemon/report.ts";
import { age, ask, brief, signed } from "./observe.ts";
import { sourcesText } from "./sources.ts";
import { sourcestatsText } from "./sourcestats.ts";
import { trackingText } from "./tracking.ts";

const TRACKING: TrackingReport = {
  mode: "system", synchronised: true, refid: "C0000207", address: "192.0.2.7", source: "time.example.org", stratum: 2, leap: 0,
  referenceTime: "1328283267123000000", offset: -0.000000123, lastOffset: 0.000004561, rmsOffset: 0.000012, frequencyPpm: 11.2345,
  residualFrequencyPpm: -0.001, skewPpm: 0.05, rootDelay: 0.0123, rootDispersion: 0.0004, updateInterval: 64.23, uncertainty: 0.006, survivors: 3, poll: 6,
};

const SOURCE: SourceReport = {
  source: "time.example.org", address: "192.0.2.7:123", mode: "client", state: "*", selection: "survivor", stratum: 1, leap: 0, refid: "GPS", poll: 6, reach: 0o377, lastSample: 23,
  offset: -0.000923, rootDistance: 0.043, delay: 0.01, rootDelay: 0, rootDispersion: 0, sent: 8, used: 8, interleaved: 0, authentication: "none", unfit: 0, ignored: 0, kisses: 0, lastKiss: "", problems: [], lastError: null,
};

const STATS: SourcestatsReport = { source: "time.example.org", address: null, samples: 12, frequencyPpm: -0.001, skewPpm: 0.02, offset: 1e-6, offsetDeviation: 2e-6, delay: 0.004, jitter: 1e-5 };

describe("the report", () => {
  it("tracking speaks chrony's words", () => {
    expect(trackingText(TRACKING)).toBe(`
Reference ID    : C0000207 (192.0.2.7)
Stratum         : 2
Ref time (UTC)  : Fri Feb 03 15:34:27 2012
System time     : 0.000000123 seconds fast of NTP time
Last offset     : +0.000004561 seconds
RMS offset      : 0.000012000 seconds
Frequency       : 11.235 ppm slow
Residual freq   : -0.001 ppm
Skew            : 0.050 ppm
Root delay      : 0.012300000 seconds
Root dispersion : 0.000400000 seconds
Update interval : 64.2 seconds
Leap status     : Normal`.slice(1));
  });

  it("tracking does not make numbers up", () => {
    const unknown = { ...TRACKING, synchronised: false, refid: "00000000", address: null, stratum: 16, leap: 3, referenceTime: null, offset: null, lastOffset: null, rmsOffset: null, residualFrequencyPpm: null, updateInterval: null };
    const text = trackingText(unknown);
    for (const line of ["Reference ID    : 00000000 ()", "Stratum         : 0", "Ref time (UTC)  : -", "System time     : not known", "Last offset     : - seconds", "Leap status     : Not synchronised"]) expect(text).toContain(line);
  });

  it("sources stands in columns, reach in octal", () => {
    const text = sourcesText([SOURCE, { ...SOURCE, state: "?", address: null, reach: 0, lastSample: null, offset: null, rootDistance: null }], { verbose: false });
    expect(text.split("\n")).toEqual([
      "MS Name/IP address         Stratum Poll Reach LastRx Last sample",
      "=".repeat(79),
      "^* 192.0.2.7:123                 1    6   377     23   -923us +/-   43ms",
      "^? time.example.org              1    6     0      -        - +/-      -",
    ]);
    expect(sourcesText([], { verbose: true })).toContain("falseticker");
  });

  it("sources tells below the table why one is not heard, where there is a reason", () => {
    const clock: SourceReport = { ...SOURCE, name: "GPS", address: null, mode: "refclock", lastError: "the receiver has no fix" };
    for (const verbose of [false, true]) expect(sourcesText([SOURCE, clock], { verbose })).toMatch(/\n#\* GPS .*\n\nGPS: the receiver has no fix$/);
  });

  it("sources calls reference clocks by their names, as chrony does", () => {
    const clock: SourceReport = { ...SOURCE, source: "refclock:pps:/dev/pps0", name: "PPS", address: null, mode: "refclock" };
    expect(sourcesText([clock], { verbose: false }).split("\n")[2]).toBe("#* PPS                           1    6   377     23   -923us +/-   43ms");
    expect(sourcestatsText([{ ...STATS, source: "refclock:pps:/dev/pps0", name: "PPS" }], { verbose: false }).split("\n")[2]).toMatch(/^PPS {25}12 /);
  });

  it("sources marks peers as chrony does, and with -v tells what came in interleaved mode", () => {
    const rows = (verbose: boolean) => sourcesText([{ ...SOURCE, interleaved: 7 }, { ...SOURCE, mode: "symmetric" }, { ...SOURCE, mode: "broadcast" }], { verbose }).split("\n");
    expect(rows(false).slice(2).map((row) => row.slice(0, 2))).toEqual(["^*", "=*", "^*"]);
    const [head, , first] = rows(true).slice(-5);
    expect(first).toMatch(/ 43ms +7$/);
    expect(first!.length).toBe(head!.length);
  });

  it("sourcestats stands under its heads", () => {
    const [head, , row] = sourcestatsText([STATS], { verbose: false }).split("\n");
    expect(row).toBe("time.example.org            12     -0.001      0.020 +1000ns   2000ns  4000us    10us");
    expect(row!.length).toBe(head!.length);
  });
});

describe("a number", () => {
  it.each<[number | null, string]>([[0, "+0ns"], [-12e-6, "-12us"], [9.9994e-6, "+9999ns"], [9.9996e-6, "+10us"], [0.923, "+923ms"], [-86400, "-86400s"], [null, "-"]])("%j in brief is %s", (value, text) => {
    expect(brief(value)).toBe(text);
  });

  it.each<[number | null, string]>([[0, "0"], [999, "999"], [1000, "17m"], [3600 * 20, "20h"], [86400 * 100, "100d"], [null, "-"], [-1, "0"]])("%j s ago is %s", (value, text) => {
    expect(age(value)).toBe(text);
  });

  it("is signed with the digits that were asked for", () => {
    expect([signed(1.25, 3), signed(-1.25, 1), signed(null, 3)]).toEqual(["+1.250", "-1.3", "-"]);
  });
});

describe("a daemon that is none", () => {
  let server: Server | undefined;
  const directory = mkdtempSync(join(tmpdir(), "escapement-"));
  const socket = join(directory, "o.sock");
  afterEach(async () => {
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
    rmSync(socket, { force: true });
  });
  const pretend = (answer: string) => new Promise<void>((resolve) => (server = createServer((connection) => connection.on("error", () => {}).resume().end(answer)).listen(socket, resolve)));

  it("is told with what to do", async () => {
    await expect(ask(socket, "tracking")).rejects.toThrow(/ENOENT.*is the daemon running/);
  });

  it.each([[""], ["garbage"], ["null"], ["{}"], ['{"tracking":null}'], ['{"error":"expected something else"}']])("says %j, which is an error", async (answer) => {
    await pretend(answer);
    await expect(ask(socket, "tracking")).rejects.toThrow("expected tracking from");
  });

  it("talks for ever, and is cut off", async () => {
    await pretend("x".repeat((1 << 20) + 1));
    await expect(ask(socket, "tracking")).rejects.toThrow("more than 1048576 octets");
  });
});
