// SPDX-License-Identifier: MIT OR Apache-2.0
/** chronyd as peer, live on loopback: what each of the two says of the other. */

import { afterEach, describe, expect, it } from "vitest";
import { startClock, type Clock, type ClockOptions } from "../../hosts/node/index.ts";
import { eventually, freePort, loopbackAlias, titled, whySkipped } from "../support/peers.ts";
import { chronyServer, numberIn, type Chronyd, type Report } from "./chrony.ts";
import { sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);
/** Polls of a second. */
const FAST = "minpoll 0 maxpoll 0";
const POLLS = { minPoll: 0, maxPoll: 0 } as const;
/** Peers wait for each other, so that their offsets are as good as their frequencies, s. */
const NEAR = 1e-3;

describe.skipIf(skipped)(titled("chronyd is our peer", skipped), () => {
  let clock: Clock | undefined;
  afterEach(() => clock?.close());

  /** Where we are, for chronyd's configuration. */
  async function place(): Promise<{ address: string; port: number; line: string }> {
    const address = loopbackAlias();
    const port = await freePort(address);
    return { address, port, line: `peer ${address} port ${port} ${FAST}` };
  }

  async function peerWith(servers: Chronyd[], peer: Chronyd | undefined, ours: { address: string; port: number }, more: Partial<ClockOptions> = {}): Promise<void> {
    clock = await startClock({
      sources: [...servers.map((server) => ({ source: sourceOf(server), ...POLLS })), ...(peer ? [{ source: sourceOf(peer), mode: "symmetric" as const, ...POLLS }] : [])],
      ...POLLS,
      timeout: 0,
      ...more,
      peering: { port: ours.port, addresses: [ours.address], ...more.peering },
    });
  }

  /**
   * What chronyd says of us once it has had eight good packets and the last passes all tests: its test C is about the delay's
   * jitter, which a busy machine fails now and then.
   */
  function dataOf(chronyd: Chronyd, address: string): Promise<Report> {
    return eventually("chronyd to find eight packets of ours good, and near", async () => {
      const report = await chronyd.report("ntpdata", address);
      return numberIn(report, "Total good RX") >= 8 && report.get("NTP tests") === "111 111 1111" && Math.abs(numberIn(report, "Offset")) < NEAR ? report : undefined;
    }, chronyd.peer);
  }

  const followed = (index: number) => clock!.state.sources[index]!;
  /** How we see a source after so many samples, once it is a survivor and its offset near: neither needs be so at every moment. */
  const measured = (index: number, used: number, { peer }: Chronyd) => eventually(`${used} samples and an offset near zero`, () => {
    const state = followed(index);
    return state && state.used >= used && state.selection === "survivor" && Math.abs(state.offset) < NEAR ? state : undefined;
  }, peer);

  it("each selects what the other learned, and chronyd finds no fault in our packets", async () => {
    const ours = await place();
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    await using peer = await chronyServer({ lines: [ours.line] });
    await peerWith([server], peer, ours);
    const data = await dataOf(peer, ours.address);
    expect(data.get("Mode")).toBe("Symmetric active");
    expect(data.get("Interleaved")).toBe("No");
    expect(numberIn(data, "Stratum")).toBe(2);
    const sources = await eventually("chronyd to select us", async () => {
      const text = await peer.ask("sources");
      return text.includes(`=* ${ours.address}`) ? text : undefined;
    }, peer.peer);
    expect(sources).toMatch(/=\* /);
    record("chronyd", "peer", "`startClock` as symmetric active peer", `selected (=*), Mode ${data.get("Mode")}, NTP tests ${data.get("NTP tests")}`);
    // It follows us and says so: we must not follow it.
    await eventually("a loop to be seen", () => (followed(1).lastProblems.some(({ test }) => test === "testG") ? true : undefined), peer.peer);
    expect(clock!.state.refid).toBe(server.address);
  });

  it("chronyd follows a clock that is its own reference, and is not followed back", async () => {
    const ours = await place();
    await using peer = await chronyServer({ lines: [ours.line] });
    await peerWith([], peer, ours, { sources: [{ source: sourceOf(peer), mode: "symmetric", ...POLLS }, { source: "refclock:local?stratum=7" }] });
    await eventually("chronyd to select us", async () => ((await peer.ask("sources")).includes(`=* ${ours.address}`) ? true : undefined), peer.peer);
    const data = await peer.report("ntpdata", ours.address);
    expect([numberIn(data, "Stratum"), data.get("Leap status"), data.get("Reference ID")]).toEqual([7, "Normal", expect.stringContaining("4C4F434C")]);
    await eventually("a loop to be seen", () => (followed(0).lastProblems.some(({ test }) => test === "testG") ? true : undefined), peer.peer);
    expect(clock!.state).toMatchObject({ synchronised: false, local: true, stratum: 7 });
  });

  it("both measure each other where neither follows the other alone", async () => {
    const ours = await place();
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    await using peer = await chronyServer({ lines: [`server ${server.address} port ${server.port} ${FAST}`, ours.line] });
    await peerWith([server], peer, ours);
    await dataOf(peer, ours.address);
    const state = await measured(1, 12, peer);
    expect(state).toMatchObject({ stratum: 2, leap: 0, selection: "survivor" });
    expect(state.unfit).toBeLessThanOrEqual(state.sent - state.used);
  });

  it("a peer that restarts is found again", async () => {
    const ours = await place();
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    const lines = [`server ${server.address} port ${server.port} ${FAST}`, ours.line];
    const first = await chronyServer({ lines });
    await peerWith([server], first, ours);
    await dataOf(first, ours.address);
    await first[Symbol.asyncDispose]();
    await using second = await chronyServer({ lines: [...lines, `port ${first.port}`], listen: [first.address] });
    const used = followed(1).used;
    await dataOf(second, ours.address);
    await eventually("more samples of the peer", () => (followed(1).used >= used + 4 ? true : undefined), second.peer);
  });

  it("a chronyd that we have not configured is answered and measured only where its address is allowed", async () => {
    const ours = await place();
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    await using peer = await chronyServer({ lines: [`server ${server.address} port ${server.port} ${FAST}`, ours.line] });
    await peerWith([server], undefined, ours, { peering: { allow: [peer.address], port: ours.port, addresses: [ours.address] } });
    const data = await dataOf(peer, ours.address);
    expect(data.get("Mode")).toBe("Symmetric passive");
    record("chronyd", "peer", "`startClock` as symmetric passive peer", `Mode ${data.get("Mode")}, NTP tests ${data.get("NTP tests")}`);
    await measured(1, 8, peer);
  });

  it("it is not answered where nobody is allowed", async () => {
    const ours = await place();
    await using server = await chronyServer({ lines: ["local stratum 1"] });
    await using peer = await chronyServer({ lines: [ours.line] });
    await peerWith([server], undefined, ours, { peering: { allow: [loopbackAlias()], port: ours.port, addresses: [ours.address] } });
    await eventually("chronyd to have asked five times", async () => (numberIn(await peer.report("ntpdata", ours.address), "Total TX") >= 5 ? true : undefined), peer.peer);
    expect(numberIn(await peer.report("ntpdata", ours.address), "Total RX")).toBe(0);
    expect(clock!.state.sources).toHaveLength(1);
  });
});
