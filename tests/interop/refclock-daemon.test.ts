// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon with a receiver: sentences on a pseudo-terminal, pulses through the SOCK driver (whose datagrams have a field
 * for that; no machine of ours has a PPS device), as stratum 1 to a chronyd; then without.
 *
 * The receiver's time is this machine's, so that whatever the daemon says can be judged.
 *
 * @module
 */

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceReport, TrackingReport } from "../../daemon/report.ts";
import { SockFeed } from "../../hosts/common/refclock/foreign-clocks.ts";
import { lendHost } from "../../hosts/node/index.ts";
import { reportOf } from "../support/daemon.ts";
import { COMMAND, Peer, escapement, eventually, freePort, freshDirectory, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { everySecond, openLine, receiver, type Line } from "../support/receiver.ts";
import { chronyClient, type Chronyd } from "./chrony.ts";

const LATE = 0.12;
const built = existsSync(COMMAND);
const skipped = whySkipped(["chronyd", "chronyc", "socat"]) ?? (built ? undefined : "skipped: needs a build");

describe.skipIf(skipped)(titled("a daemon with a receiver", skipped), () => {
  const directory = freshDirectory();
  const [socket, pulses] = [join(directory, "observe.sock"), join(directory, "pulses.sock")];
  const address = loopbackAlias();
  let line: Line;
  let wrong = 0;
  let daemon: Peer;
  let client: Chronyd;
  let feed: SockFeed;
  const running: Disposable[] = [];

  const tracking = () => reportOf<TrackingReport>("tracking", socket);
  const sources = () => reportOf<SourceReport[]>("sources", socket);

  beforeAll(async () => {
    const host = await lendHost();
    line = await openLine(directory);
    running.push(receiver([line], LATE, () => wrong));
    feed = new SockFeed(host.devices ?? {}, pulses);
    // The pulse of each second, as whoever sees it would tell: our clock at it, and by how much the second lies beside.
    running.push(everySecond(0.03, (ms) => {
      const receivedNs = BigInt(ms) * 1_000_000n + 3_000n;
      void feed.send({ receivedNs, timeNs: receivedNs - 3_000n, leap: 0, precision: -20, pulse: true });
    }));
    const port = await freePort(address);
    const config = join(directory, "daemon.toml");
    writeFileSync(config, `
[[refclock]]
kind = "gps"
device = "${line.path}"
baud = 9600
offset = ${LATE}
noselect = true
poll = 1

[[refclock]]
kind = "sock"
device = "${pulses}"
refid = "PPS"
lock = "GPS"
poll = 1

[[refclock]]
kind = "local"
stratum = 12

[clock]
mode = "virtual"

[observe]
socket = "${socket}"

[server]
listen = ["${address}"]
port = ${port}
`);
    daemon = new Peer(process.execPath, [COMMAND, "daemon", "--config", config]);
    client = await chronyClient([`server ${address} port ${port} iburst minpoll 0 maxpoll 0`]);
  });
  afterAll(async () => {
    running.forEach((one) => one[Symbol.dispose]());
    feed?.close();
    await Promise.all([daemon?.stop(), client?.peer.stop(), line?.unplug()]);
    rmSync(directory, { recursive: true, force: true });
  });

  it("is stratum 1 by its pulses, to within 0.2 ms", async () => {
    const state = await eventually("the daemon to follow the pulses", async () => {
      const latest = await tracking();
      return latest.synchronised && latest.rootDispersion < 0.01 && Math.abs(latest.offset!) < 2e-4 ? latest : undefined;
    }, daemon);
    expect(state).toMatchObject({ stratum: 1, refid: "50505300", leap: 0, address: null, source: `refclock:sock:${pulses}` });
    // A pulse or a sentence that found no processor is late: both are near soon again.
    const [sentences, seconds] = await eventually("both to be near", async () => {
      const latest = await sources();
      return Math.abs(latest[0]!.offset!) < 0.05 && Math.abs(latest[1]!.offset!) < 2e-4 && latest[1]!.state === "*" ? latest : undefined;
    }, daemon);
    // It has no say, and is shown all the same.
    expect(sentences).toMatchObject({ name: "GPS", mode: "refclock", state: "?", lastError: null, stratum: 0 });
    expect(sentences!.rootDistance).toBeGreaterThan(0.05);
    expect(seconds).toMatchObject({ name: "PPS", mode: "refclock", state: "*", selection: "survivor", lastError: null, stratum: 0 });
  });

  it("is shown in text as chrony would", async () => {
    await eventually("both, the pulses selected", async () => {
      const { stdout } = await escapement(["sources", "--socket", socket]);
      const gps = /^#\? GPS +0 +1 +[0-7]+ +\d+ +[+-]\d+[nmu]s \+\/- +\d+ms$/m;
      return gps.test(stdout) && /^#\* PPS +0 +1 +[0-7]+ +\d+ +[+-]\d+[nu]s \+\/- +\d+[nu]s$/m.test(stdout) || undefined;
    }, daemon);
    expect((await escapement(["tracking", "--socket", socket])).stdout).toMatch(/^Reference ID {4}: 50505300 \(PPS\)$/m);
  });

  it("is selected by a chronyd, as stratum 1 with the pulses' refid", async () => {
    await eventually("chronyd to select us", async () => (await client.ask("sources")).includes("^*") || undefined, client.peer);
    // Until the daemon had its first four measurements it told the stratum of its own clock.
    const ntpdata = await eventually("chronyd to hear of stratum 1", async () => {
      const latest = await client.report("ntpdata");
      return latest.get("Stratum") === "1" && Math.abs(parseFloat(latest.get("Offset")!)) < 2e-3 ? latest : undefined;
    }, client.peer);
    expect(ntpdata.get("Reference ID")).toContain("50505300");
    expect(ntpdata.get("Leap status")).toBe("Normal");
  });

  it("is not moved by a receiver that loses count by a second, and says why it holds over", async () => {
    wrong = 1000;
    const [, seconds] = await eventually("the dispute", async () => {
      const latest = await sources();
      return latest[1]!.lastError === null ? undefined : latest;
    }, daemon);
    expect(seconds!.lastError).toContain("jumps by whole seconds");
    const state = await tracking();
    expect(state.stratum).toBe(1);
    expect(Math.abs(state.offset!)).toBeLessThan(1e-3);
    wrong = 0;
    await eventually("the end of the dispute", async () => ((await sources())[1]!.lastError === null ? true : undefined), daemon);
  });

  it("that has lost all of it is held over as stratum 1, and tells chronyd how its doubt grows", async () => {
    running.forEach((one) => one[Symbol.dispose]());
    await line.unplug();
    const dispersion = (report: Map<string, string>) => parseFloat(report.get("Root dispersion")!);
    // The last second before may still bring it down, as the dispute has only just ended.
    let least = Infinity;
    // 15 ppm, and what the frequency is not known to: seven seconds of it. The hold-over lasts for sixteen.
    const held = await eventually("chronyd to hear of more doubt", async () => {
      const latest = new Map(await client.report("ntpdata"));
      least = Math.min(least, dispersion(latest));
      return dispersion(latest) > least + 1e-4 ? latest : undefined;
    }, client.peer);
    expect([held.get("Stratum"), held.get("Reference ID"), held.get("Leap status")]).toEqual(["1", expect.stringContaining("50505300"), "Normal"]);
  });

  it("then goes on as its own reference, of the stratum that was asked for", async () => {
    await eventually("the hold-over to end", async () => ((await tracking()).synchronised ? undefined : true), daemon);
    expect(await tracking()).toMatchObject({ stratum: 12, refid: "4C4F434C" });
    await eventually("chronyd to hear of it", async () => ((await client.report("ntpdata")).get("Stratum") === "12" ? true : undefined), client.peer);
    expect((await sources())[0]!.lastError).toContain("gps");
    await eventually("the log to tell of the line", () => (daemon.said.includes(`warning: GPS: ${line.path}: `) ? true : undefined), daemon);
    expect((await escapement(["sources", "--socket", socket])).stdout).toContain(`\n\nGPS: ${line.path}: `);
  });
});
