// SPDX-License-Identifier: MIT OR Apache-2.0
/** How a source is asked: kisses that are heeded, and sockets that fail, are slow, or are flooded. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { errorOf, kisses, refuses, unroutable, type Behaviour } from "../../../tests/support/fake-host.ts";
import { EngineStage, HOUR, MINUTE, address, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";

const stage = staged(new EngineStage());
const { error, follow, kinds, sourceStates, start, state } = stage;

describe("kisses", () => {
  it("RATE slows the asking down and the clock is steered on", async () => {
    const [server] = await follow([{}], { maxPoll: 6 });
    await letPass(10 * MINUTE);
    server!.options = { kiss: "RATE" };
    await letPass(2 * MINUTE);
    server!.options = {};
    const from = stage.world.asked.length;
    await letPass(HOUR);
    const times = stage.world.times(address(0)).slice(from);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(128_000);
    expect(state().synchronised).toBe(true);
  });

  it("RATE is heeded by askNow, too", async () => {
    stage.world.at(address(0), kisses("RATE"));
    await start({ sources: [{ source: address(0) }] });
    await letPass(1);
    for (let second = 0; second < 60; second++) {
      stage.engine!.askNow();
      await letPass(1);
    }
    expect(stage.world.asked).toHaveLength(1);
  });

  it("askNow asks now, but not twice", async () => {
    await follow([{}]);
    await letPass(30 * MINUTE);
    const before = stage.world.asked.length;
    stage.engine!.askNow();
    stage.engine!.askNow();
    await letPass(1);
    expect(stage.world.asked.length - before).toBe(1);
  });

  it.each(["DENY", "RSTR"])("%s ends the asking of that server only, and says so", async (code) => {
    const servers = await follow([{}, {}, {}]);
    await letPass(10 * MINUTE);
    servers[1]!.options = { kiss: code };
    await letPass(10 * MINUTE);
    expect(stage.events).toContainEqual({ kind: "stopped", source: address(1) });
    const before = stage.world.times(address(1)).length;
    await letPass(HOUR);
    expect(stage.world.times(address(1))).toHaveLength(before);
    expect(state()).toMatchObject({ synchronised: true, survivors: 2 });
    expect(sourceStates()[1]).toMatchObject({ source: address(1), selection: "unreachable", kisses: 1 });
  });

  it("DENY from all leaves the clock unsynchronised", async () => {
    const [server] = await follow([{}]);
    await letPass(10 * MINUTE);
    server!.options = { kiss: "DENY" };
    await letPass(30 * MINUTE);
    expect(kinds()).toEqual(["synchronised", "stopped", "unsynchronised"]);
  });
});

describe("sockets", () => {
  const one = (...script: Behaviour[]) => {
    stage.world.at(address(0), ...script);
    return start({ sources: [{ source: address(0) }] });
  };

  it.each<[string, Behaviour, string]>([
    ["cannot be opened", { openFails: errorOf("EMFILE") }, "EMFILE"],
    ["cannot send", unroutable, "ENETUNREACH"],
    ["are refused", refuses, "ECONNREFUSED"],
  ])("that %s are requests without an answer, and the reason is told until one comes", async (_, fault, code) => {
    const server = stage.world.server("192.0.2.77");
    await one(fault, fault, fault);
    await letPass(1);
    expect(sourceStates()[0]!.lastError).toContain(code);
    stage.world.at(address(0), server);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.lastError).toBeUndefined();
  });

  it("are fresh for each request, and no more than one is open", async () => {
    await follow([{}]);
    let most = 0;
    await letPass(10 * MINUTE, () => (most = Math.max(most, stage.world.openSockets.length)));
    expect(most).toBe(1);
    expect(new Set(stage.world.asked.map(({ localPort }) => localPort)).size).toBe(stage.world.asked.length);
  });

  it("that open only after the next request was made are closed, and send nothing", async () => {
    const slow: Behaviour = { openTakes: 3000 };
    await one(slow);
    const server = stage.world.server("192.0.2.77");
    let most = 0;
    await letPass(2.5);
    stage.world.at(address(0), server);
    await letPass(MINUTE, () => (most = Math.max(most, stage.world.openSockets.length)));
    expect(most).toBe(1);
    // The first request's socket opened at 3 s, when the second had been sent.
    expect(stage.world.asked[0]!.at).toBeLessThan(5000);
    expect(sourceStates()[0]!.used).toBe(stage.world.asked.length);
    expect(Math.abs(error())).toBeLessThan(0.001);
  });

  it("whose send settles only after the next request do not lend it their time", async () => {
    // The first send settles between the second request and its answer.
    const server = stage.world.server("192.0.2.77", { there: 200, back: 200 });
    await one({ sendTakes: 2100 }, server);
    await letPass(2.5);
    expect(sourceStates()[0]).toMatchObject({ used: 1 });
    expect(sourceStates()[0]!.offset).toBeCloseTo(0, 3);
    expect(sourceStates()[0]!.delay).toBeCloseTo(0.4, 3);
  });

  it("whose send never settles are closed at the next request", async () => {
    await one({ sendTakes: Infinity });
    let most = 0;
    await letPass(5 * MINUTE, () => (most = Math.max(most, stage.world.openSockets.length)));
    expect(most).toBe(1);
    expect(sourceStates()[0]).toMatchObject({ used: 0, reach: 0 });
  });

  it("that get the answer before send settles use it then", async () => {
    const server = stage.world.server("192.0.2.77", { there: 1, back: 1 });
    await one({ onRequest: (request) => server.onRequest(request), sendTakes: 50 });
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(Math.abs(error())).toBeLessThan(0.001);
    expect(state().uncertainty).toBeLessThan(0.02);
  });

  it("that are flooded keep sixteen datagrams until send settles, and live", async () => {
    const server = stage.world.server("192.0.2.77", { there: 20 });
    const flood: Behaviour = {
      sendTakes: 10,
      onRequest(request) {
        for (let i = 0; i < 1000; i++) request.deliver(new Uint8Array(48).fill(i), 1);
        server.onRequest(request);
      },
    };
    await one(flood);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.ignored).toBe(16 * stage.world.asked.length);
  });

  it("hear nothing from another address or port than the one asked", async () => {
    stage.world.server(address(0), { from: { port: 124 } });
    stage.world.server(address(1), { from: { address: "198.51.100.1" } });
    await start({ sources: [{ source: address(0) }, { source: address(1) }] });
    await letPass(MINUTE);
    expect(sourceStates().map(({ used, ignored }) => used + ignored)).toEqual([0, 0]);
  });
});
