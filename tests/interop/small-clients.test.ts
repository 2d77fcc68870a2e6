// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The small clients that most machines have: classic sntp and ntpdate, rdate, systemd-timesyncd and OpenNTPD synchronise to
 * `escapement serve` over a cable, as each of them reports itself.
 *
 * They insist on port 123, so that they run in a network of their own. None has the right to set the clock; their calls to do
 * so succeed without effect and are written down: each would have moved the clock by nearly nothing.
 */

import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clockCalls, withoutClockCalls } from "../support/no-clock.ts";
import { runInRootOf, startInOwnRoot } from "../support/own-root.ts";
import { cableOfTests } from "../support/cable.ts";
import { Namespace, Peer, eventually, freshDirectory, run, titled, whySkipped } from "../support/peers.ts";
import { startServe } from "./ask.ts";
import { record } from "./record.ts";

const TOOLS = ["ip", "nsenter", "unshare", "cc"];
const skipped = whySkipped(TOOLS, { root: true });
const without = (program: string) => whySkipped([...TOOLS, program], { root: true });
const [withoutSntp, withoutNtpdate, withoutRdate, withoutTimesyncd, withoutOpenntpd] = ["sntp", "ntpdate", "rdate", "systemd-timesyncd", "openntpd"].map(without);
const OURS = "10.96.0.1";
const THEIRS = "10.96.0.2";
/** What a process on a busy machine may find its own clock off, s; far less than any mistake would make it. */
const CLOSE = 0.05;
/** From here on a client has something to tell the kernel, s; in steps of one, rounded. */
const LEAST_TOLD = 1.5e-6;
/** OpenNTPD asks every 5 to 9 s until it trusts a server, then every 30, and steers by the best of eight answers. */
const OPENNTPD_MS = 300_000;
const ACCOUNTS = { "etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/services": "ntp 123/udp\n" };

describe.skipIf(skipped)(titled("small clients synchronise to escapement serve", skipped), () => {
  const cable = cableOfTests([OURS, THEIRS]);
  let server: Peer;
  beforeAll(async () => {
    server = await startServe(["--listen", ":123", "--stratum", "2", "--refid", "192.0.2.9"], { namespace: cable.here });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  /** Where a program runs that believes that it set the clock, and the file in which that is written down. */
  async function believing(): Promise<{ log: string; options: { namespace: Namespace; env: Record<string, string>; owns: string[] } }> {
    const directory = freshDirectory();
    const log = join(directory, "calls");
    return { log, options: { namespace: cable.there, env: { ...(await withoutClockCalls(log)), TZ: "UTC" }, owns: [] } };
  }

  /** The calls that would have moved the clock by `offset`, at least one, and none by much. OpenNTPD always calls. */
  function expectMoved(log: string, name: string, offset: number): void {
    const calls = clockCalls(log);
    // The kernel is told microseconds, and nothing when they come to none.
    if (Math.abs(offset) > LEAST_TOLD) expect(calls.map((call) => call.name)).toContain(name);
    for (const { by } of calls) expect(Math.abs(by)).toBeLessThan(CLOSE);
  }

  it.skipIf(withoutSntp)(titled("sntp", withoutSntp), async () => {
    const { log, options } = await believing();
    const { status, stdout, stderr } = await run("sntp", ["-s", "-K", "/dev/null", OURS], options);
    expect(status, stdout + stderr).toBe(0);
    const [, offset, bound, server, told] = /([+-][\d.]+) \+\/- ([\d.]+) (\S+) (s2 no-leap)/.exec(stdout) ?? [];
    expect([server, told], stdout).toEqual([OURS, "s2 no-leap"]);
    expect(Math.abs(Number(offset))).toBeLessThan(CLOSE);
    expect(Number(bound)).toBeLessThan(CLOSE);
    expectMoved(log, "adjtime", Number(offset));
    record("sntp", "client", "`escapement serve`", "s2 no-leap; would slew by less than 50 ms");
  });

  it.skipIf(withoutNtpdate)(titled("ntpdate", withoutNtpdate), async () => {
    const { log, options } = await believing();
    const { status, stdout, stderr } = await run("ntpdate", ["-p", "4", OURS], options);
    expect(status, stdout + stderr).toBe(0);
    const said = /adjust time server (\S+) offset ([+-][\d.]+) sec/.exec(stdout + stderr);
    expect(said?.[1], stdout + stderr).toBe(OURS);
    expect(Math.abs(Number(said?.[2]))).toBeLessThan(CLOSE);
    expectMoved(log, "adjtime", Number(said?.[2]));
    record("ntpdate", "client", "`escapement serve`", "adjust time server, offset less than 50 ms");
  });

  it.skipIf(withoutRdate)(titled("rdate", withoutRdate), async () => {
    const { log, options } = await believing();
    const { status, stdout, stderr } = await run("rdate", ["-n", "-a", "-v", OURS], options);
    expect(status, stdout + stderr).toBe(0);
    const offset = Number(/adjust local clock by (-?[\d.]+) seconds/.exec(stdout + stderr)?.[1]);
    expect(Math.abs(offset)).toBeLessThan(CLOSE);
    expectMoved(log, "adjtime", offset);
    record("rdate", "client", "`escapement serve`, to slew the clock", "adjust local clock by less than 50 ms");
  });

  it.skipIf(withoutTimesyncd)(titled("systemd-timesyncd", withoutTimesyncd), async () => {
    const { options } = await believing();
    await using daemon = startInOwnRoot("systemd-timesyncd", ["/usr/lib/systemd/systemd-timesyncd"], {
      ...options,
      env: { ...options.env, SYSTEMD_LOG_LEVEL: "debug" },
      files: {
        ...ACCOUNTS,
        "etc/passwd": `${ACCOUNTS["etc/passwd"]}systemd-timesync:x:990:990::/:/usr/sbin/nologin\n`,
        "etc/group": `${ACCOUNTS["etc/group"]}systemd-timesync:x:990:\n`,
        "etc/systemd/timesyncd.conf": `[Time]\nNTP=${OURS}\nFallbackNTP=\n`,
        "run/systemd/timesync/": "",
        "var/lib/systemd/timesync/": "",
      },
    });
    await eventually("timesyncd to take our answer", () => daemon.said.includes("Initial clock synchronization") || undefined, daemon);
    expect(daemon.said).toContain(`Contacted time server ${OURS}:123 (${OURS}).`);
    expect(daemon.said).toMatch(/leap +: 0\n +version +: 4\n +mode +: 4\n +stratum +: 2\n/);
    const offset = Number(/^ *offset +: ([+-][\d.]+) sec$/m.exec(daemon.said)?.[1]);
    expect(Math.abs(offset), daemon.said).toBeLessThan(CLOSE);
    record("systemd-timesyncd", "client", "`escapement serve`", "Contacted time server, stratum 2; Initial clock synchronization");
  });

  it.skipIf(withoutOpenntpd)(titled("OpenNTPD", withoutOpenntpd), { timeout: 2 * OPENNTPD_MS }, async () => {
    const { log, options } = await believing();
    await using daemon = startInOwnRoot("openntpd", ["/usr/sbin/ntpd", "-d", "-v"], {
      ...options,
      files: {
        ...ACCOUNTS,
        "etc/passwd": `${ACCOUNTS["etc/passwd"]}_ntpd:x:990:990::/run/openntpd:/usr/sbin/nologin\n`,
        "etc/group": `${ACCOUNTS["etc/group"]}_ntpd:x:990:\n`,
        "etc/openntpd/ntpd.conf": `server ${OURS}\n`,
        "run/openntpd/": "",
        "var/lib/openntpd/": "",
      },
    });
    await eventually("OpenNTPD to find us valid", () => daemon.said.includes(`peer ${OURS} now valid`) || undefined, daemon, OPENNTPD_MS);
    const status = async () => (await runInRootOf(daemon, ["/usr/sbin/ntpctl", "-s", "all"])).stdout;
    const told = await status();
    expect(told).toContain("1/1 peers valid");
    // Weight, trust, stratum, when it asks next and how often; offset, delay and jitter.
    const [, stratum, offset] = /^ +\d+ +\d+ +(\d+) +\d+s +\d+s +([+-]?[\d.]+)ms +[\d.]+ms +[\d.]+ms/m.exec(told) ?? [];
    expect(stratum, told).toBe("2");
    expect(Math.abs(Number(offset))).toBeLessThan(CLOSE * 1000);
    record("openntpd", "client", "`escapement serve`", "peer now valid, 1/1 peers valid, st 2");
    // Before it steers it wants eight answers, half a minute apart: waited for where the table of docs/interop.md is made.
    if (process.env["INTEROP_FACTS"] === undefined) return;
    await eventually("OpenNTPD to call its clock synchronised", () => daemon.said.includes("clock is now synced") || undefined, daemon, OPENNTPD_MS);
    expectMoved(log, "adjtime", Infinity);
    expect(await status()).toContain("clock synced, stratum 3");
    record("openntpd", "client", "`escapement serve`, to steer by", "clock is now synced, stratum 3; would slew by less than 50 ms");
  });

  it("and all of them were answered", async () => {
    const { stdout } = await server.stop();
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ stats: { dropped: 0, failed: 0, answered: expect.any(Number) } });
  });
});
