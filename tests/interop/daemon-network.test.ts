// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The daemon across a network: chronyd serves in one namespace, our daemon follows it from another and serves in its turn,
 * and a second chronyd watches that. All share one system clock, so that the truth is known: every offset should be zero.
 */

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrackingReport } from "../../daemon/report.ts";
import { cableOfTests } from "../support/cable.ts";
import { reportOf } from "../support/daemon.ts";
import { COMMAND, Peer, eventually, freshDirectory, run, titled, whySkipped, writeLines } from "../support/peers.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["ip", "nsenter", "unshare", "chronyd", "chronyc"], { root: true });
const THEIRS = "10.78.0.1";
const OURS = "10.78.0.2";
/** What a settled clock may be off, over a cable with kernel stamps at our end, s (rms). */
const SETTLED = 20e-6;
/** What the chronyd may see us off: our server takes its stamps in the process, on a busy machine. */
const SEEN = 2e-3;
const LOOKS = 8;
const PATIENCE_MS = 120_000;

describe.skipIf(skipped)(titled("a daemon between two namespaces", skipped), () => {
  const cable = cableOfTests([OURS, THEIRS]);
  let chronyd: Peer;
  let daemon: Peer;
  let watcher: Peer;
  let chronySocket: string;
  let socket: string;

  beforeAll(async () => {
    const directory = freshDirectory();
    const chrony = writeLines(directory, "chrony.conf", [
      "local stratum 3", "allow", "cmdport 0", "bindcmdaddress /", `pidfile ${directory}/chronyd.pid`,
    ]);
    chronyd = new Peer("chronyd", ["-x", "-d", "-U", "-u", "root", "-f", chrony], { namespace: cable.there, owns: [directory] });
    const own = freshDirectory();
    socket = join(own, "observe.sock");
    const config = writeLines(own, "daemon.toml", [
      "[[source]]", `address = "${THEIRS}"`, "min-poll = 0", "max-poll = 1",
      "[clock]", 'mode = "observe"', "[observe]", `socket = "${socket}"`, "[server]", `listen = ["${OURS}"]`,
    ]);
    daemon = new Peer(process.execPath, [COMMAND, "daemon", "--config", config], { namespace: cable.here, owns: [own] });
    await eventually("the daemon to be synchronised", async () => ((await tracking()).synchronised ? true : undefined), daemon);
    // Not the chronyd that we follow: it would see its own address as our reference and suspect a loop.
    const eyes = freshDirectory();
    chronySocket = join(eyes, "chronyd.sock");
    const watching = writeLines(eyes, "chrony.conf", [
      `server ${OURS} minpoll 0 maxpoll 0 iburst`, "port 0", "cmdport 0", `bindcmdaddress ${chronySocket}`, `pidfile ${eyes}/chronyd.pid`,
    ]);
    watcher = new Peer("chronyd", ["-x", "-d", "-U", "-u", "root", "-f", watching], { namespace: cable.here, owns: [eyes] });
  });
  afterAll(() => Promise.all([watcher, daemon, chronyd].map((one) => one?.[Symbol.asyncDispose]())));

  async function chronyc(...command: string[]): Promise<string> {
    const { status, stdout, stderr } = await run("chronyc", ["-h", chronySocket, "-n", ...command]);
    if (status !== 0) throw new Error(stdout + stderr);
    return stdout;
  }

  const tracking = () => reportOf<TrackingReport & { readonly offset: number; readonly uncertainty: number }>("tracking", socket);

  it("finds the system clock right within 20 µs rms, and says so with a bound that holds", async () => {
    await eventually("a settled clock", async () => ((await tracking()).uncertainty < 200e-6 ? true : undefined), daemon);
    const looks: Awaited<ReturnType<typeof tracking>>[] = [];
    // So many in a row: packets that waited for a processor show for a while. It tells something new each second.
    await eventually(`an rms below ${SETTLED} s`, async () => {
      const latest = await tracking();
      if (latest.offset !== looks.at(-1)?.offset) looks.push(latest);
      const row = looks.slice(-LOOKS);
      return row.length === LOOKS && Math.sqrt(row.reduce((sum, { offset }) => sum + offset * offset, 0) / LOOKS) < SETTLED ? true : undefined;
    }, daemon, PATIENCE_MS);
    expect(looks.map(({ stratum }) => stratum)).toEqual(looks.map(() => 4));
    // The bound is our clock's; comparing it with the system clock takes two readings, one after the other.
    for (const { offset, uncertainty } of looks) expect(Math.abs(offset)).toBeLessThan(uncertainty + SETTLED);
  });

  it("is seen by the chronyd as a server of stratum 4 that tells the same time", async () => {
    const number = (report: string, name: string) => Number(new RegExp(`^${name}\\s*: ([+-]?[\\d.]+) seconds`, "m").exec(report)?.[1]);
    const selected = new RegExp(`\\^\\* ${OURS.replaceAll(".", "\\.")} `);
    // What it measures at one moment may be what a busy machine made of it.
    const seen = await eventually("chronyd to have measured us", async () => {
      const report = await chronyc("ntpdata", OURS);
      const near = Math.abs(number(report, "Offset")) < SEEN && number(report, "Root dispersion") < SEEN;
      return near && /Stratum\s*: 4\n/.test(report) && /NTP tests\s*: 111 111 1111/.test(report) && selected.test(await chronyc("sources")) ? report : undefined;
    }, watcher);
    expect(seen).toMatch(/Reference ID\s*: 0A4E0001/);
    expect(seen).toMatch(/Leap status\s*: Normal/);
    record("chronyd", "client", "`escapement daemon` that follows another chronyd", "selected (^*), Stratum 4, NTP tests 111 111 1111");
    // Both clocks being one, what chronyd finds is the unequal waiting on the way there and back, and our own error.
    expect(Math.abs(number(seen, "Offset"))).toBeLessThan(number(seen, "Peer delay") / 2 + SETTLED);
  });
});
