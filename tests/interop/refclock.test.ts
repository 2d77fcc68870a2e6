// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Reference clocks and those who know them: gpsd reads the same receiver as we do, hands us its samples in each of its ways,
 * and chronyd takes ours.
 *
 * @module
 */

import { connect } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lendHost } from "../../hosts/node/index.ts";
import type { Host } from "../../hosts/common/host.ts";
import { SharedMemoryClock, SockFeed } from "../../hosts/common/refclock/foreign-clocks.ts";
import { GpsdClock } from "../../hosts/common/refclock/gpsd.ts";
import { NmeaClock, type NmeaReader } from "../../hosts/common/refclock/nmea.ts";
import type { RefClock, RefClockSample } from "../../hosts/common/refclock/refclock.ts";
import { seededRandom } from "../support/core.ts";
import { burst } from "../support/nmea.ts";
import { Peer, eventually, freePort, freshDirectory, titled, whySkipped } from "../support/peers.ts";
import { everySecond, openLine, receiver, type Line } from "../support/receiver.ts";
import { chronyClient } from "./chrony.ts";

const LATE = 0.1;
const withGpsd = whySkipped(["gpsd", "socat"]);
const withChrony = whySkipped(["chronyd", "chronyc"]);

let host: Host;
beforeAll(async () => void (host = await lendHost()));

/** The next `count` samples of a clock. */
async function samples(clock: RefClock, count: number): Promise<RefClockSample[]> {
  const taken: RefClockSample[] = [];
  for await (const sample of clock) if (taken.push(sample) >= count) break;
  return taken;
}

const NS = 1_000_000_000n;
/** How late each sample is, s: the host's time less the reference's. */
const lateness = ({ timeNs, receivedNs }: RefClockSample) => Number(receivedNs - timeNs) / 1e9;

/** Each tells a whole second, never before it was told; and one at least as soon as it was, however busy the machine. */
function expectTold(told: readonly RefClockSample[]): void {
  for (const sample of told) {
    expect(sample.timeNs % NS).toBe(0n);
    expect(lateness(sample)).toBeGreaterThan(LATE - 0.01);
    // Another second's would be later by one.
    expect(lateness(sample)).toBeLessThan(LATE + 0.8);
  }
  expect(Math.min(...told.map(lateness))).toBeLessThan(LATE + 0.2);
}

describe.skipIf(withGpsd)(titled("gpsd, on a line like ours", withGpsd), () => {
  let directory: string;
  let lines: Line[];
  let feed: Disposable;
  let noise: Disposable | undefined;
  let gpsd: Peer;
  let port: number;

  beforeAll(async () => {
    directory = freshDirectory();
    lines = [await openLine(directory, "ours"), await openLine(directory, "theirs")];
    feed = receiver(lines, LATE);
    port = await freePort("127.0.0.1");
    gpsd = new Peer("gpsd", ["-N", "-n", "-S", String(port), lines[1]!.path]);
    await eventually("gpsd to listen", () => new Promise<true | undefined>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)));
      socket.on("error", () => resolve(undefined));
    }), gpsd);
  });
  afterAll(async () => {
    feed[Symbol.dispose]();
    noise?.[Symbol.dispose]();
    await Promise.all([gpsd?.stop(), ...lines.map((line) => line.unplug())]);
    rmSync(directory, { recursive: true, force: true });
  });

  /** What both of us read until gpsd has told `count` times. */
  async function readBoth(count: number): Promise<{ we: RefClockSample[]; they: RefClockSample[]; both: [RefClockSample, RefClockSample][]; reader: NmeaReader }> {
    const ours = new NmeaClock(host.devices?.openSerial, { path: lines[0]!.path, baud: 9600, dispersion: 0.05 });
    const theirs = new GpsdClock({ connectTcp: host.connectTcp, now: () => host.clock.now() }, { endpoint: { address: "127.0.0.1", port }, dispersion: 0.05 });
    const we: RefClockSample[] = [];
    const reading = (async () => {
      for await (const sample of ours) we.push(sample);
    })();
    // gpsd tries some speeds before it listens to what comes.
    const they = await samples(theirs, count);
    ours.close();
    await reading;
    const both = we.flatMap((sample) => they.filter(({ timeNs }) => timeNs === sample.timeNs).map((other): [RefClockSample, RefClockSample] => [sample, other]));
    return { we, they, both, reader: ours.reader };
  }

  it("reads the same times from the same sentences as we do, and when they began to within 20 ms", async () => {
    const { we, they, both } = await readBoth(5);
    expect(both.length).toBeGreaterThanOrEqual(4);
    // Whoever waits for a processor stamps late: of five, one is undisturbed.
    expect(Math.min(...both.map(([our, their]) => Math.abs(Number(our.receivedNs - their.receivedNs)) / 1e9))).toBeLessThan(0.02);
    expectTold(we);
    expectTold(they);
  });

  it("reads the same times from a line with noise, broken sentences and a burst in pieces, and neither a wrong one", async () => {
    const random = seededRandom(17);
    const octets = (count: number) => Uint8Array.from({ length: count }, () => random() & 0xff).map((octet) => (octet === 0x24 ? 0 : octet));
    // Between the receiver's bursts: what a bad cable makes of a sentence that says another time, and of others.
    noise = everySecond(LATE + 0.4, (ms) => {
      const broken = burst(ms + 7_000_000, ["RMC"]).replace(/\*../, "*00");
      const cut = burst(ms + 9_000_000, ["RMC"]).slice(0, 30 + (random() % 20));
      for (const line of lines) {
        line.write(octets(40));
        line.write(`\r\n${broken}${cut}\r\n`);
        for (const octet of "$GPTXT,01,01,02,in pieces*6B\r\n") line.write(octet);
      }
    });
    const { we, they, both, reader } = await readBoth(5);
    expect(both.length).toBeGreaterThanOrEqual(4);
    expect(reader.counts.checksum).toBeGreaterThanOrEqual(3);
    expectTold(we);
    expectTold(they);
  });
});

describe.skipIf(withGpsd || process.getuid?.() !== 0)(titled("gpsd's shared memory", withGpsd ?? (process.getuid?.() === 0 ? undefined : "skipped: needs root")), () => {
  it("brings the receiver's seconds, each once", async () => {
    // gpsd fills the segment only for what is no pseudo-terminal.
    const clients = new Set<Socket>();
    const server = await new Promise<Server>((resolve) => {
      const listening = createServer((socket) => clients.add(socket.on("error", () => {}))).listen(0, "127.0.0.1", () => resolve(listening));
    });
    using _ = everySecond(LATE, (ms) => clients.forEach((socket) => socket.write(burst(ms, ["RMC", "GGA"]))));
    const port = await freePort("127.0.0.1");
    await using gpsd = new Peer("gpsd", ["-N", "-n", "-S", String(port), `tcp://127.0.0.1:${(server.address() as { port: number }).port}`]);
    const clock = new SharedMemoryClock({ devices: host.devices ?? {}, now: () => host.clock.now() }, { unit: 0, dispersion: 0.05 });
    const taken = await samples(clock, 4);
    server.close();
    clients.forEach((socket) => socket.destroy());
    expect(gpsd.over).toBe(false);
    expect(new Set(taken.map(({ timeNs }) => timeNs)).size).toBe(4);
    expectTold(taken);
  });
});

describe.skipIf(withChrony)(titled("chronyd's SOCK", withChrony), () => {
  it("takes our samples, and selects them", async () => {
    const directory = freshDirectory();
    const path = join(directory, "feed.sock");
    await using chronyd = await chronyClient([`refclock SOCK ${path} poll 0 refid ESCP`]);
    const feed = new SockFeed(host.devices ?? {}, path);
    // The reference is 20 ms ahead of this machine's clock, which chronyd may not touch.
    const timer = setInterval(() => {
      const receivedNs = host.clock.now();
      void feed.send({ receivedNs, timeNs: receivedNs + 20_000_000n, leap: 0, precision: -20, pulse: false });
    }, 100);
    try {
      await eventually("chronyd to select our samples", async () => (/#\* ESCP/.test(await chronyd.ask("sources")) ? true : undefined), chronyd.peer);
      const tracking = await chronyd.report("tracking");
      expect(tracking.get("Reference ID")).toContain("ESCP");
      expect(tracking.get("Stratum")).toBe("1");
      const [, measured = ""] = /#\* ESCP.*\[ *([+-]\S+)\]/.exec(await chronyd.ask("sources")) ?? [];
      expect(measured).toMatch(/^-(19|20|21)ms|^[+-]\d+[nu]s/);
      expect(feed.lastError).toBeUndefined();
    } finally {
      clearInterval(timer);
      feed.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("that is not there any more costs samples, and no more than that", async () => {
    const feed = new SockFeed(host.devices ?? {}, "/nonexistent/feed.sock");
    expect(await feed.send({ receivedNs: 0n, timeNs: 0n, leap: 0, precision: -20, pulse: false })).toBe(false);
    expect(feed.lastError).toMatch(/ENOENT/);
  });
});
