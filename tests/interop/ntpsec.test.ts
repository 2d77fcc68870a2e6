// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * NTPsec's ntpdig and ntpd, and OpenBSD's rdate, live against our server and client. They insist on port 123, so that they
 * run in networks of their own; none has the right to set the clock.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cableOfTests } from "../support/cable.ts";
import { Namespace, Peer, escapement, eventually, freshDirectory, run, titled, whySkipped, writeLines, type Ended } from "../support/peers.ts";
import { startServe } from "./ask.ts";
import { record } from "./record.ts";

const withDig = whySkipped(["ip", "nsenter", "unshare", "ntpdig"], { root: true });
const withRdate = whySkipped(["ip", "nsenter", "unshare", "rdate"], { root: true });
const withDaemon = whySkipped(["ip", "nsenter", "unshare", "ntpd", "ntpq"], { root: true });

/** Python and a user-space server, on a machine that is busy: far more than they need, far less than a wrong answer, s. */
const CLOSE = 0.05;

/** What `ntpdig --json` tells of one server. */
interface Dug {
  readonly offset: number;
  readonly precision: number;
  readonly ip: string;
  readonly stratum: number;
  readonly leap: string;
}

describe.skipIf(withDig)(titled("one-shot clients ask escapement serve", withDig), () => {
  let network: Namespace;
  let server: Peer;
  beforeAll(async () => {
    network = await Namespace.open();
    server = await startServe(["--listen", "127.0.0.1:123", "--listen", "[::1]:123", "--stratum", "2", "--refid", "192.0.2.9"], { namespace: network });
  });
  afterAll(() => Promise.all([network, server].map((one) => one?.[Symbol.asyncDispose]())));

  const dig = (...args: string[]): Promise<Ended> => run("ntpdig", args, { namespace: network });

  it.each(["127.0.0.1", "::1"])("ntpdig takes its answer at %s", async (address) => {
    const { status, stdout, stderr } = await dig("-j", address);
    expect(status, stdout + stderr).toBe(0);
    const { offset, ip, stratum, leap } = JSON.parse(stdout) as Dug;
    expect({ ip, stratum, leap }).toEqual({ ip: address, stratum: 2, leap: "no-leap" });
    expect(Math.abs(offset)).toBeLessThan(CLOSE);
    record("ntpdig", "client", `\`escapement serve\` at ${address}`, `stratum ${stratum}, leap ${leap}`);
  });

  it("ntpdig takes the best of four answers", async () => {
    const { status, stdout } = await dig("-j", "-p", "4", "127.0.0.1");
    expect(status).toBe(0);
    expect(Math.abs((JSON.parse(stdout) as Dug).offset)).toBeLessThan(CLOSE);
  });

  it("ntpdig finds its answer unusable when the server is not synchronised", async () => {
    await using unsynchronised = await startServe(["--listen", "127.0.0.3:123"], { namespace: network });
    const { status, stdout, stderr } = await dig("-j", "127.0.0.3");
    expect(unsynchronised.over).toBe(false);
    expect(status, stdout + stderr).toBe(1);
    expect(stderr).toContain("no eligible servers");
    record("ntpdig", "client", "`escapement serve` that is not synchronised", "no eligible servers");
  });

  it("ntpdig that asks with a key is told in one packet that we hold none, and does not take that for time", async () => {
    const directory = freshDirectory();
    const keys = writeLines(directory, "keys", ["1 SHA1 00112233445566778899aabbccddeeff00112233"]);
    await using authenticating = await startServe(["--listen", "127.0.0.4:123", "--stratum", "2"], { namespace: network, owns: [directory] });
    const { status, stdout, stderr } = await dig("-j", "-a", "1", "-k", keys, "127.0.0.4");
    // ntpdig 1.2.2 trips over its own feet when a MAC does not verify; a later one may say "no eligible servers".
    expect(status, stdout + stderr).toBe(1);
    const { stdout: told } = await authenticating.stop();
    expect(told).toContain('"answered":1');
  });

  it.skipIf(withRdate).each(["127.0.0.1", "::1"])(titled("rdate -n prints our time at %s and sets nothing", withRdate), async (address) => {
    const { status, stdout, stderr } = await run("rdate", ["-n", "-p", "-v", address], { namespace: network, env: { TZ: "UTC" } });
    expect(status, stdout + stderr).toBe(0);
    expect(Math.abs(Number(/adjust local clock by (-?[\d.]+) seconds/.exec(stdout + stderr)?.[1]))).toBeLessThan(CLOSE);
    record("rdate", "client", `\`escapement serve\` at ${address}`, "adjust local clock by less than 50 ms");
  });

  it("answered everybody", async () => {
    const { stdout } = await server.stop();
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ stats: { dropped: 0, failed: 0, answered: expect.any(Number) } });
  });
});

describe.skipIf(withDaemon)(titled("NTPsec's ntpd between our server and our client", withDaemon), () => {
  const OURS = "10.77.0.1";
  const THEIRS = "10.77.0.2";
  const cable = cableOfTests([OURS, THEIRS]);

  /** An ntpd that answers ntpq. */
  async function startNtpd(lines: readonly string[]): Promise<Peer> {
    const directory = freshDirectory();
    const file = writeLines(directory, "ntp.conf", ["tos minsane 1", "restrict 127.0.0.1", ...lines]);
    const ntpd = new Peer("ntpd", ["-n", "-g", "-c", file, "-p", `${directory}/ntpd.pid`], { namespace: cable.there, owns: [directory] });
    await eventually("ntpd to answer ntpq", async () => ((await ntpq("-c", "rv 0 stratum")).includes("stratum=") ? true : undefined), ntpd);
    return ntpd;
  }

  async function ntpq(...args: string[]): Promise<string> {
    const { stdout } = await run("ntpq", [...args, "127.0.0.1"], { namespace: cable.there });
    return stdout;
  }

  async function ask(): Promise<{ status: number | null; sample: Record<string, unknown> | undefined }> {
    const { status, stdout } = await escapement(["query", THEIRS, "--json", "--timeout", "0.5"], { namespace: cable.here });
    return { status, sample: (JSON.parse(stdout) as { samples: Record<string, unknown>[] }).samples[0] };
  }

  it("follows our server, and then tells our client what it learned", async () => {
    await using server = await startServe(["--listen", `${OURS}:123`, "--stratum", "4", "--refid", "192.0.2.9", "--root-delay", "0.004"], { namespace: cable.here });
    await using ntpd = await startNtpd([`server ${OURS} iburst minpoll 0 maxpoll 0`, "restrict default"]);
    const early = await eventually("ntpd to answer us", async () => (await ask()).sample, ntpd);
    expect(early["problems"], "before it is synchronised it is of no use").toEqual(expect.arrayContaining([expect.stringMatching(/^test6 /)]));

    const peers = await eventually("ntpd to select our server", async () => {
      const text = await ntpq("-pn");
      return text.includes(`*${OURS}`) ? text : undefined;
    }, ntpd);
    // remote, refid, stratum, type, when, poll, reach, delay, offset, jitter
    expect(peers).toMatch(new RegExp(`\\*${OURS}\\s+192\\.0\\.2\\.9\\s+4 u`));
    const variables = await ntpq("-c", "rv &1 stratum,refid,leap,rootdelay,hmode,pmode,precision");
    expect(variables).toContain("stratum=4");
    expect(variables).toContain("pmode=4");
    record("ntpd", "client", "`escapement serve`", "selected (*), stratum=4, pmode=4");
    expect(Number(/rootdelay=([\d.]+)/.exec(variables)?.[1]), "ms").toBeCloseTo(4, 1);

    const late = await eventually("ntpd to say that it is synchronised", async () => {
      const answer = await ask();
      return answer.status === 0 ? answer : undefined;
    }, ntpd);
    expect(late.sample).toMatchObject({ stratum: 5, refid: OURS, version: 4, mode: 4, leap: 0, problems: [] });
    expect(Math.abs(Number(late.sample?.["offset"]))).toBeLessThanOrEqual(Number(late.sample?.["rootDistance"]));
    expect(server.over).toBe(false);
  });

  it("sends a kiss RATE to our client when it asks too often, and that is no time", async () => {
    await using ntpd = await startNtpd(["restrict default limited kod", "limit average 0.01 burst 1 kod 100"]);
    const kiss = await eventually("a kiss RATE", async () => {
      const { status, sample } = await ask();
      expect(status).toBe(1);
      return sample?.["refid"] === "RATE" ? sample : undefined;
    }, ntpd);
    expect(kiss["problems"]).toEqual(expect.arrayContaining([expect.stringMatching(/^testA /)]));
  });
});
