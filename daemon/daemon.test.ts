// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon as its operators run it: a process from dist that follows a real chronyd and is followed by another.
 *
 * Never with the right to set the clock: tests/support/peers.ts takes it away from every process.
 *
 * @module
 */

import { chmodSync, chownSync, existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chronyClient, chronyServer, type Chronyd } from "../tests/interop/chrony.ts";
import { COMMAND, Peer, escapement, eventually, freePort, freshDirectory, loopbackAlias, titled, whySkipped } from "../tests/support/peers.ts";
import { reportOf } from "../tests/support/daemon.ts";
import { parseDrift } from "./drift.ts";
import { openLog } from "./log.ts";
import type { SourceReport, SourcestatsReport, TrackingReport } from "./report.ts";

const built = existsSync(COMMAND);
if (!built) console.warn('SKIPPED: the daemon\'s tests need a build; run "node build/build.mjs --no-types"');
const skipped = whySkipped(["chronyd", "chronyc"]);

/** A daemon's places, all in one directory that is removed in the end. */
interface Places {
  readonly config: string;
  readonly socket: string;
  readonly drift: string;
}

const directories: string[] = [];
afterAll(() => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

function configure(source: string, more = "", mode = "virtual"): Places {
  const directory = freshDirectory();
  directories.push(directory);
  const [config, socket, drift] = ["daemon.toml", "observe.sock", "drift"].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(config, `[[source]]\naddress = "${source}"\nmin-poll = 0\nmax-poll = 1\n[clock]\nmode = "${mode}"\ndrift-file = "${drift}"\n[observe]\nsocket = "${socket}"\n${more}`);
  return { config, socket, drift };
}

function start({ config }: Places): Peer {
  return new Peer(process.execPath, [COMMAND, "daemon", "--config", config]);
}

const report = <T>(topic: string, { socket }: Places) => reportOf<T>(topic, socket);

function synchronised(places: Places, peer: Peer): Promise<TrackingReport> {
  return eventually("the daemon to be synchronised", async () => {
    const tracking = await report<TrackingReport>("tracking", places);
    return tracking.synchronised ? tracking : undefined;
  }, peer);
}

describe.skipIf(!built || skipped)(titled("a daemon that follows chronyd", skipped), () => {
  let server: Chronyd;
  let client: Chronyd;
  let places: Places;
  let daemon: Peer;
  let port: number;
  const address = loopbackAlias();

  beforeAll(async () => {
    server = await chronyServer({ lines: ["local stratum 1"] });
    port = await freePort(address);
    places = configure(`${server.address}:${server.port}`, `[server]\nlisten = ["${address}"]\nport = ${port}\nclient-log = true\n`);
    daemon = start(places);
  });
  afterAll(() => Promise.all([daemon, client, server].map((running) => running?.[Symbol.asyncDispose]())));

  it("is synchronised within 15 s, to within 100 µs", async () => {
    await eventually("the daemon to answer", () => report("sources", places), daemon);
    const started = performance.now();
    await synchronised(places, daemon);
    expect(performance.now() - started).toBeLessThan(15_000);
    const tracking = await eventually("an offset near zero", async () => {
      const latest = await report<TrackingReport>("tracking", places);
      return Math.abs(latest.offset!) < 1e-4 && latest.uncertainty! < 0.01 ? latest : undefined;
    }, daemon);
    expect(tracking).toMatchObject({ mode: "virtual", address: server.address, source: `${server.address}:${server.port}`, stratum: 2, leap: 0 });
    const octets = server.address.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
    expect(tracking.refid).toBe(octets.join("").toUpperCase());
    expect(Math.abs(Number(BigInt(tracking.referenceTime!)) / 1e6 - Date.now())).toBeLessThan(15_000);
  });

  it("knows after a few updates its offset, how often it is updated, and its frequency", async () => {
    const tracking = await eventually("a second update", async () => {
      const latest = await report<TrackingReport>("tracking", places);
      // One of them may have waited for a processor.
      const near = Math.abs(latest.lastOffset ?? 1) < 1e-3 && (latest.rmsOffset ?? 1) < 1e-3;
      return near && latest.updateInterval !== null && latest.updateInterval < 5 ? latest : undefined;
    }, daemon);
    expect(tracking.updateInterval).toBeGreaterThan(0.5);
    expect(Math.abs(tracking.frequencyPpm)).toBeLessThan(500);
  });

  it("shows chronyd as its system peer, in text and in JSON", async () => {
    await eventually("it in text", async () => (await escapement(["sources", "--socket", places.socket])).stdout.includes(`^* ${server.address}:${server.port}`) || undefined, daemon);
    const source = await eventually("it in JSON", async () => {
      const { status, stdout, stderr } = await escapement(["sources", "--socket", places.socket, "--json"]);
      expect([status, stderr]).toEqual([0, ""]);
      const [latest] = JSON.parse(stdout) as SourceReport[];
      return latest!.state === "*" && latest!.problems.length === 0 ? latest : undefined;
    }, daemon);
    expect(source).toMatchObject({ state: "*", stratum: 1, selection: "survivor", lastError: null, problems: [] });
    expect(source.rootDistance).toBeGreaterThan(0);
    const [stats] = await report<SourcestatsReport[]>("sourcestats", places);
    expect(stats!.samples).toBeGreaterThanOrEqual(4);
    const { stdout: text } = await escapement(["tracking", "--socket", places.socket]);
    expect(text).toMatch(/^Stratum {9}: 2$/m);
  });

  it("serves its clock, and another chronyd selects it", async () => {
    client = await chronyClient([`server ${address} port ${port} iburst minpoll 0 maxpoll 0`]);
    await eventually("chronyd to select us", async () => (await client.ask("sources")).includes("^*") || undefined, client.peer);
    const ntpdata = await eventually("an offset near zero", async () => {
      const latest = await client.report("ntpdata");
      return Math.abs(parseFloat(latest.get("Offset")!)) < 0.01 ? latest : undefined;
    }, client.peer);
    expect(ntpdata.get("Stratum")).toBe("2");
    expect(ntpdata.get("Leap status")).toBe("Normal");
    expect(ntpdata.get("Reference ID")).toContain((await report<TrackingReport>("tracking", places)).refid);
  });

  it("tells what became of its requests, and who asked", async () => {
    const stats = await report<{ stats: { answered: number }; counters: { answered: number } }>("serverstats", places);
    expect(stats.stats.answered).toBeGreaterThan(0);
    const [first] = await report<{ address: string; requests: number }[]>("clients", places);
    expect(first!.requests).toBeGreaterThan(0);
    expect((await escapement(["clients", "--socket", places.socket])).stdout).toContain(first!.address);
    for (const topic of ["tracking", "sources", "sourcestats", "serverstats", "clients"]) {
      const { status, stdout } = await escapement([topic, "--socket", places.socket, "--json"]);
      expect([status, Object.keys(JSON.parse(stdout) as object).length > 0]).toEqual([0, true]);
    }
    expect((await escapement(["serverstats", "--socket", places.socket])).stdout).toMatch(/^answered +: \d+$/m);
  });

  it("lets nobody else have its socket", async () => {
    const { status, stderr } = await escapement(["daemon", "--config", places.config]);
    expect([status, stderr]).toEqual([1, expect.stringContaining("another daemon runs")]);
  });

  it("says, and tells its clients, when it has lost its source", async () => {
    await server.peer.stop();
    await eventually("the daemon to give up", async () => ((await report<TrackingReport>("tracking", places)).synchronised ? undefined : true), daemon);
    await eventually("chronyd to hear of it", async () => (await client.report("ntpdata")).get("Leap status") === "Not synchronised" || undefined, client.peer);
    expect(daemon.said.match(/no longer synchronised/g)).toHaveLength(1);
  });

  it("ends on SIGTERM, its exit status 0, its socket gone", async () => {
    const { status, stderr } = await daemon.stop();
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/info: stopped\n$/);
    expect(existsSync(places.socket)).toBe(false);
  });
});

describe.skipIf(!built || skipped)(titled("a daemon without the right to steer", skipped), () => {
  it("observes, says so once, serves the observers, and leaves the system clock's drift file alone", async () => {
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    const places = configure(`${server.address}:${server.port}`, "", "system");
    writeFileSync(places.drift, "7.000000 0.100000\n");
    const daemon = start(places);
    const tracking = await synchronised(places, daemon);
    expect(tracking.mode).toBe("observe");
    expect(Math.abs(tracking.offset!)).toBeLessThan(1e-2);
    expect(lstatSync(places.socket).mode & 0o777).toBe(0o660);
    const { status, stderr } = await daemon.stop();
    expect(status).toBe(0);
    expect(stderr.match(/It is only observed/g)).toHaveLength(1);
    expect(readFileSync(places.drift, "utf8")).toBe("7.000000 0.100000\n");
  });

  it("remembers the frequency of a virtual clock, readable by all, also after SIGINT", async () => {
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    const places = configure(`${server.address}:${server.port}`);
    writeFileSync(places.drift, "not a drift file");
    const daemon = start(places);
    await synchronised(places, daemon);
    const { status, stderr } = await daemon.stop("SIGINT");
    expect(status).toBe(0);
    expect(stderr.match(/warning: drift file/g)).toHaveLength(1);
    expect(parseDrift(readFileSync(places.drift, "utf8"))).toBeDefined();
    expect(lstatSync(places.drift).mode & 0o777).toBe(0o644);
  });

  it("stops within a second while it waits for a source that never answers", async () => {
    let took = Infinity;
    // The quickest of a few: any may have to wait for a processor.
    for (let tries = 0; tries < 8 && took >= 1000; tries++) {
      const places = configure("192.0.2.1");
      const daemon = start(places);
      await eventually("the daemon to answer", () => report("tracking", places), daemon);
      const started = performance.now();
      expect((await daemon.stop()).status).toBe(0);
      took = Math.min(took, performance.now() - started);
      expect(existsSync(places.drift)).toBe(false);
    }
    expect(took).toBeLessThan(1000);
  });
});

describe.skipIf(!built || skipped)(titled("a daemon that cannot start", skipped), () => {
  it("follows in interleaved mode, has a peer, and lets one come unasked", async () => {
    const address = loopbackAlias();
    const port = await freePort(address);
    const line = `peer ${address} port ${port} minpoll 0 maxpoll 0`;
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    await using peer = await chronyServer({ lines: ["local stratum 3", line] });
    await using stranger = await chronyServer({ lines: ["local stratum 3", line] });
    const more = [
      `[[source]]\naddress = "${peer.address}:${peer.port}"\nmode = "symmetric"\nmin-poll = 0\nmax-poll = 0`,
      `[peering]\nport = ${port}\naddresses = ["${address}"]\nallow = ["${stranger.address}"]\n`,
    ].join("\n");
    const places = configure(`${server.address}:${server.port}`, more);
    writeFileSync(places.config, readFileSync(places.config, "utf8").replace("min-poll", "interleaved = true\nmin-poll"));
    await using daemon = start(places);
    const sources = await eventually("samples of all three, interleaved ones among them", async () => {
      const seen = await report<SourceReport[]>("sources", places);
      return seen.length === 3 && seen.every(({ used }) => used > 0) && seen[0]!.interleaved > 0 ? seen : undefined;
    }, daemon);
    expect(sources.map(({ mode }) => mode)).toEqual(["client", "symmetric", "symmetric"]);
    const { stdout } = await escapement(["sources", "--socket", places.socket]);
    expect(stdout.split("\n").slice(2, 5).map((row) => row[0])).toEqual(["^", "=", "="]);
  });

  it("says that it could not have the port for its peers, its exit status 1, its socket gone", async () => {
    await using server = await chronyServer();
    const places = configure("192.0.2.1", `[peering]\nport = ${server.port}\naddresses = ["${server.address}"]\nallow = ["192.0.2.1"]\n`);
    const { status, stderr } = await start(places).ended;
    expect([status, stderr]).toEqual([1, expect.stringContaining("EADDRINUSE")]);
    expect(existsSync(places.socket)).toBe(false);
  });

  it("says which port it could not have, its exit status 1", async () => {
    await using server = await chronyServer();
    const places = configure("192.0.2.1", `[server]\nlisten = ["${server.address}"]\nport = ${server.port}\n`);
    const { status, stderr } = await start(places).ended;
    expect([status, stderr]).toEqual([1, expect.stringContaining(`could not listen on ${server.address} port ${server.port}`)]);
  });

  it("tells all errors of its configuration, as check does", async () => {
    const places = configure("192.0.2.1", "[log]\nlevel = 1\nlevle = 2\n");
    const { status, stderr } = await start(places).ended;
    expect(status).toBe(1);
    const checked = await escapement(["check", places.config]);
    expect(checked.status).toBe(1);
    expect(checked.stderr).toMatch(/daemon\.toml:11:9: log\.level: .*\n.*daemon\.toml:12:1: log\.levle: /);
    expect(stderr).toContain(checked.stderr.trim());
    const { stdout } = await escapement(["check", places.config, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, problems: [{ line: 11, column: 9, key: "log.level" }, { line: 12, column: 1, key: "log.levle" }] });
  });

  it.each([["daemon"], ["check"]])("%s without a file is wrong usage", async (command) => {
    expect((await escapement([command])).status).toBe(2);
  });

  it("check says ok, and what it could not read", async () => {
    const { config } = configure("192.0.2.1");
    expect(await escapement(["check", config])).toMatchObject({ status: 0, stdout: `${config}: ok\n`, stderr: "" });
    const missing = await escapement(["check", `${config}.no`]);
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining("ENOENT")]);
    const told = await escapement(["check", `${config}.no`, "--json"]);
    expect([told.status, told.stderr]).toEqual([1, ""]);
    expect(JSON.parse(told.stdout)).toEqual({ file: `${config}.no`, ok: false, problems: [{ line: 1, column: 1, key: "", message: expect.stringContaining("ENOENT") }] });
  });
});

describe.skipIf(!built)("a daemon on a machine without network cards that stamp", () => {
  it("asks network cards to stamp for its server as for its clock, and says why they do not", async () => {
    const address = loopbackAlias();
    const port = await freePort(address);
    const places = configure("127.0.0.1:1", `[server]\nlisten = ["${address}"]\nport = ${port}\n`);
    writeFileSync(places.config, readFileSync(places.config, "utf8").replace("[observe]", 'hardware-timestamps = ["lo"]\n[observe]'));
    await using daemon = start(places);
    const said = await eventually("both to be told", () => (daemon.said.match(/the kernel stamps, not the network card: lo has no clock of its own/g)?.length === 2 ? daemon.said : undefined), daemon);
    expect(said).toContain("warning: server: the kernel stamps");
    expect(await report<object>("serverstats", places)).toMatchObject({ counters: { hardwareReceived: 0 } });
  });
});

/** As a user without rights: tests run as root, whom no directory refuses. */
function startAsNobody({ config }: Places): Peer {
  return new Peer("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", process.execPath, COMMAND, "daemon", "--config", config]);
}

const withoutRoot = whySkipped(["setpriv"], { root: true });
describe.skipIf(!built || withoutRoot)(titled("a daemon of a user who may not write", withoutRoot), () => {
  it("says where it could not make its socket and what to do, its exit status 1, without a stack trace", async () => {
    const places = configure("192.0.2.1");
    chmodSync(dirname(places.config), 0o755);
    const { status, stderr } = await startAsNobody(places).ended;
    expect(status, stderr).toBe(1);
    expect(stderr).toContain(`expected to make the socket ${places.socket}, got listen EACCES`);
    expect(stderr).toContain(`let this user write to ${dirname(places.socket)}`);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it("says the same of a directory that it could not make", async () => {
    const places = configure("192.0.2.1");
    chmodSync(dirname(places.config), 0o755);
    writeFileSync(places.config, readFileSync(places.config, "utf8").replace("observe.sock", "run/observe.sock"));
    const { status, stderr } = await startAsNobody(places).ended;
    expect([status, stderr]).toEqual([1, expect.stringMatching(/expected to make the socket .*run\/observe\.sock, got EACCES.*mkdir/)]);
  });

  it("warns at the start, once, that the drift file will not be written, and goes on", async () => {
    const places = configure("192.0.2.1");
    const own = freshDirectory();
    directories.push(own);
    chownSync(own, 65534, 65534);
    chmodSync(dirname(places.config), 0o755);
    const socket = join(own, "observe.sock");
    writeFileSync(places.config, readFileSync(places.config, "utf8").replace(places.socket, socket));
    const daemon = startAsNobody(places);
    await eventually("the daemon to answer", () => report("tracking", { ...places, socket }), daemon);
    expect(daemon.said).toMatch(/warning: drift file .* will not be written: EACCES/);
    const { status, stderr } = await daemon.stop();
    expect(status, stderr).toBe(0);
    expect(stderr.match(/will not be written|could not be written/g)).toHaveLength(1);
  });
});

describe("the log", () => {
  it("leaves out what is less important than its level", () => {
    const lines: string[] = [];
    const log = openLog("warning", (line) => void lines.push(line));
    for (const level of ["error", "warning", "info", "debug"] as const) log(level, `a ${level}`);
    expect(lines.map((line) => line.replace(/^\S+ /, "").trim())).toEqual(["error: a error", "warning: a warning"].map((line) => expect.stringContaining(line)));
  });
});
