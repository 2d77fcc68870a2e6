// SPDX-License-Identifier: MIT OR Apache-2.0
/** Interleaved mode with chronyd, live on loopback; chronyd counts what it answered in that mode. */

import { afterEach, describe, expect, it } from "vitest";
import { query, startClock, type Clock } from "../../hosts/node/index.ts";
import { eventually, escapement, titled, whySkipped } from "../support/peers.ts";
import { chronyServer, numberIn, type Chronyd } from "./chrony.ts";
import { kernelStamps, sourceOf } from "./ask.ts";
import { record } from "./record.ts";

const skipped = whySkipped(["chronyd", "chronyc"]);

const interleavedAnswers = async ({ report }: Chronyd): Promise<number> => numberIn(await report("serverstats"), "Interleaved NTP packets");

describe.skipIf(skipped)(titled("chronyd answers in interleaved mode", skipped), () => {
  let clock: Clock | undefined;
  afterEach(() => clock?.close());

  it("query() gets a sample with the true transmit timestamp, and chronyd counts it", async () => {
    await using server = await chronyServer();
    const sample = await query(sourceOf(server), { interleaved: true, timeout: 20 });
    expect(sample).toMatchObject({ interleaved: true, usable: true });
    expect(Math.abs(sample.offset)).toBeLessThanOrEqual(sample.rootDistance);
    expect(await interleavedAnswers(server)).toBe(1);
    record("chronyd", "server", "`query` in interleaved mode", "Interleaved NTP packets 1");
    if (kernelStamps) expect(sample.timestamps).toEqual({ t1: "kernel", t4: "kernel" });
  });

  it("without the option nothing is interleaved on either side", async () => {
    await using server = await chronyServer();
    expect((await query(sourceOf(server))).interleaved).toBe(false);
    expect(await interleavedAnswers(server)).toBe(0);
  });

  it("escapement query --interleaved --json says so", async () => {
    await using server = await chronyServer();
    const { status, stdout } = await escapement(["query", sourceOf(server), "--interleaved", "--json", "--timeout", "20"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ samples: [{ interleaved: true, problems: [] }] });
  });

  it("a basic server costs three exchanges and gives a basic sample", async () => {
    // A client log of nothing: chronyd then has no place to remember us.
    await using server = await chronyServer({ lines: ["local stratum 3", "noclientlog"] });
    const sample = await query(sourceOf(server), { interleaved: true, timeout: 20 });
    expect(sample).toMatchObject({ interleaved: false, usable: true });
    expect(numberIn(await server.report("serverstats"), "NTP packets received")).toBe(3);
  });

  it.skipIf(!kernelStamps)("measures a delay of microseconds, as the transmit stamps are the kernel's on both sides", async () => {
    await using server = await chronyServer();
    let [delay, offset] = [Infinity, Infinity];
    // Of a dozen on a busy machine, one is undisturbed.
    for (let tries = 0; tries < 12 && (delay >= 50e-6 || offset >= 25e-6); tries++) {
      const sample = await query(sourceOf(server), { interleaved: true, timeout: 20 });
      expect(sample.interleaved).toBe(true);
      [delay, offset] = [Math.min(delay, sample.delay), Math.min(offset, Math.abs(sample.offset))];
    }
    expect(delay).toBeLessThan(50e-6);
    expect(offset).toBeLessThan(25e-6);
  });

  it("a clock follows it in interleaved mode, and through its restart in basic mode and back", async () => {
    const lines = ["local stratum 3"];
    const first = await chronyServer({ lines });
    const source = { source: sourceOf(first), interleaved: true, minPoll: 0, maxPoll: 0 };
    clock = await startClock({ sources: [source], minPoll: 0, maxPoll: 0, timeout: 60 });
    const followed = () => clock!.state.sources[0]!;
    const interleavedOf = (server: Chronyd, count: number) =>
      eventually(`${count} interleaved samples`, () => (followed().interleaved >= count ? followed() : undefined), server.peer);
    await interleavedOf(first, 6);
    expect(await interleavedAnswers(first)).toBeGreaterThanOrEqual(6);
    record("chronyd", "server", "`startClock` in interleaved mode", "Interleaved NTP packets 6 or more");
    await first[Symbol.asyncDispose]();
    // The port that is said last counts.
    await using second = await chronyServer({ lines: [...lines, `port ${first.port}`], listen: [first.address] });
    const before = followed();
    const after = await interleavedOf(second, before.interleaved + 4);
    expect(after.used - before.used, "basic ones first").toBeGreaterThan(4);
    // A machine that stalls for moments may spoil some.
    expect(after.unfit).toBeLessThanOrEqual(after.used / 4);
    await eventually("a survivor again, and near", () => (followed().selection === "survivor" && Math.abs(followed().offset) < 1e-3 ? true : undefined), second.peer);
  });
});
