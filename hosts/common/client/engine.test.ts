// SPDX-License-Identifier: MIT OR Apache-2.0
/** The engine and its runners over a host in memory: servers that lie, fall silent and come back. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { EngineStage, HOUR, MINUTE, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";

const stage = staged(new EngineStage());
const { error, follow, kinds, passWithinBound, sourceStates, state } = stage;

describe("a clock converges to the truth", () => {
  it.each([
    [1, "estimator", 0.3, 80],
    [4, "estimator", -0.05, -40],
    [5, "estimator", 5, 120],
    [1, "pll-fll", 0.3, 80],
    [4, "pll-fll", -0.05, -40],
  ] as const)("with %i sources by the %s, %d s and %d ppm off, and its bound holds all the time", async (count, algorithm, clockError, ppm) => {
    stage.begin({ clockError, ppm });
    const paths = [[5, 5], [3, 3], [9, 9], [4, 4], [7, 7]] as const;
    await follow(paths.slice(0, count).map(([there, back]) => ({ there, back })), { algorithm });
    await letPass(MINUTE);
    await passWithinBound(29 * MINUTE);
    const worst = await passWithinBound(10 * MINUTE);
    expect(worst).toBeLessThan(0.001);
    expect(state()).toMatchObject({ synchronised: true, stratum: 2, leap: 0 });
    // The cluster algorithm of RFC 5905 may drop the least steady as long as three remain.
    expect(state().survivors).toBeGreaterThanOrEqual(algorithm === "pll-fll" ? Math.min(count, 3) : count);
    expect(state().frequencyPpm).toBeCloseTo(-ppm, -0.5);
    // RFC 5905's filter may speak by a sample as old as the Allan intercept, over which any clock may drift by 31 ms.
    expect(state().uncertainty).toBeLessThan(algorithm === "pll-fll" ? 0.05 : 0.02);
  });

  it("and its bound holds from the first moment on, over asymmetric paths", async () => {
    stage.begin({ clockError: -0.8, ppm: 60 });
    await follow([{ there: 20, back: 2 }, { there: 1, back: 30 }, { there: 5, back: 5 }]);
    await passWithinBound(20 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });

  it("after six seconds", async () => {
    stage.begin({ clockError: 2 });
    await follow([{}, {}, {}, {}]);
    await letPass(5.5);
    expect(state()).toMatchObject({ synchronised: false, uncertainty: Infinity });
    await letPass(1);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });

  it("and tells so in order: stepped, synchronised, and then only updates", async () => {
    stage.begin({ clockError: 2 });
    await follow([{}]);
    await letPass(10 * MINUTE);
    expect(kinds()).toEqual(["stepped", "synchronised"]);
    const steps = stage.events.flatMap((event) => (event.kind === "stepped" ? [Number(event.offsetNs) / 1e9] : []));
    expect(steps).toEqual([expect.closeTo(-2, 2)]);
    expect(stage.events.findIndex(({ kind }) => kind === "updated")).toBeGreaterThanOrEqual(0);
  });

  it("without a step where the policy allows none", async () => {
    stage.begin({ clockError: 2 });
    await follow([{}], { makeStep: { least: 0.1, count: 0 } });
    await letPass(MINUTE);
    expect(kinds()).toEqual(["synchronised"]);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });
});

describe("liars", () => {
  it("one among four never moves the clock", async () => {
    await follow([{}, {}, { offset: 10 }, {}]);
    const worst = await passWithinBound(HOUR);
    expect(worst).toBeLessThan(0.001);
    expect(sourceStates().map(({ selection }) => selection)).toEqual(["survivor", "survivor", "falseticker", "survivor"]);
  });

  it("one that begins to lie after an hour does not, either", async () => {
    const servers = await follow([{}, {}, {}, {}]);
    await letPass(HOUR);
    servers[0]!.options = { offset: 0.5 };
    expect(await passWithinBound(HOUR)).toBeLessThan(0.001);
  });

  it("two among five do not, though they agree", async () => {
    await follow([{ offset: 30 }, {}, { offset: 30 }, {}, {}]);
    expect(await passWithinBound(HOUR)).toBeLessThan(0.001);
    expect(state().survivors).toBe(3);
  });

  it("two of two leave no majority: the clock is not synchronised, and nobody steers it", async () => {
    stage.begin({ clockError: 0.2 });
    await follow([{ offset: 3 }, { offset: -3 }]);
    await letPass(10 * MINUTE);
    expect(state()).toMatchObject({ synchronised: false, leap: 3, stratum: 16, uncertainty: Infinity, peer: -1 });
    expect(error()).toBeCloseTo(0.2, 6);
    expect(kinds()).toEqual([]);
    expect(sourceStates().map(({ selection }) => selection)).toEqual(["undecided", "undecided"]);
  });

  it("that break a majority leave the clock running free with a bound that grows, until there is one again", async () => {
    stage.begin({ ppm: 30 });
    const servers = await follow([{}, {}, {}]);
    await letPass(HOUR);
    const known = state().uncertainty;
    servers[0]!.options = { offset: 20 };
    servers[1]!.options = { offset: -20 };
    await passWithinBound(HOUR);
    expect(state()).toMatchObject({ synchronised: false, leap: 3 });
    expect(kinds()).toEqual(["synchronised", "unsynchronised"]);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(state().uncertainty).toBeGreaterThan(known);
    servers[0]!.options = servers[1]!.options = {};
    await passWithinBound(HOUR);
    expect(state().synchronised).toBe(true);
    expect(kinds()).toEqual(["synchronised", "unsynchronised", "synchronised"]);
  });
});

describe("an outage", () => {
  it("of an hour: the bound grows while it lasts and holds, and the clock is as good as before soon after", async () => {
    stage.begin({ ppm: 45 });
    const servers = await follow([{}, {}, {}]);
    await letPass(2 * HOUR);
    const known = state().uncertainty;
    for (const server of servers) server.away = true;
    await passWithinBound(20 * MINUTE);
    const then = state().uncertainty;
    await passWithinBound(60 * MINUTE);
    const late = state().uncertainty;
    expect(then).toBeGreaterThan(known);
    expect(late).toBeGreaterThan(then);
    expect(late).toBeLessThan(0.5);
    expect(Math.abs(error())).toBeLessThan(0.005);
    for (const server of servers) server.away = false;
    // It is not asked more often while it is silent, so that its return is noticed late; then it is soon as good as before.
    expect(await passWithinBound(90 * MINUTE)).toBeLessThan(0.005);
    expect(Math.abs(error())).toBeLessThan(0.001);
    expect(state().synchronised).toBe(true);
    expect(state().uncertainty).toBeLessThan(2 * known);
  });

  it("long enough says unsynchronised, and the return says synchronised again", async () => {
    const servers = await follow([{}], { maxPoll: 6 });
    await letPass(10 * MINUTE);
    servers[0]!.away = true;
    await letPass(8 * MINUTE);
    expect(kinds()).toEqual(["synchronised"]);
    await letPass(4 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "unsynchronised"]);
    servers[0]!.away = false;
    await letPass(3 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "unsynchronised", "synchronised"]);
  });

  it("of five minutes, as in a restart, is nothing", async () => {
    const [server] = await follow([{}]);
    await letPass(HOUR);
    server!.away = true;
    await letPass(5 * MINUTE);
    server!.away = false;
    expect(await passWithinBound(30 * MINUTE)).toBeLessThan(0.001);
    expect(kinds()).toEqual(["synchronised"]);
  });

  it("of one source among three does not even change the bound much", async () => {
    const servers = await follow([{}, {}, {}]);
    await letPass(HOUR);
    servers[1]!.away = true;
    expect(await passWithinBound(2 * HOUR)).toBeLessThan(0.001);
    expect(sourceStates()[1]).toMatchObject({ reach: 0, selection: "unreachable" });
    expect(state()).toMatchObject({ synchronised: true, survivors: 2 });
  });
});

describe("a server's clock is stepped", () => {
  it("by 0.3 s: the only one is followed, in minutes", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(30 * MINUTE);
    server!.options = { offset: 0.3 };
    await letPass(10 * MINUTE);
    expect(error()).toBeCloseTo(0.3, 3);
  });

  it("by 2000 s: that is refused and said, and the clock stays", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(30 * MINUTE);
    server!.options = { offset: 2000 };
    await letPass(20 * MINUTE);
    expect(Math.abs(error())).toBeLessThan(0.01);
    expect(stage.events).toContainEqual({ kind: "step-limit", how: "refused" });
  });
});
