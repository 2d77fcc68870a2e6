// SPDX-License-Identifier: MIT OR Apache-2.0
/** An engine's end leaves nothing, whatever was under way; and what those who listen to it may do. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { silent, type Behaviour } from "../../../tests/support/fake-host.ts";
import { EngineStage, HOUR, MINUTE, address, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";

const stage = staged(new EngineStage());
const { error, follow, kinds, passWithinBound, start, state } = stage;

describe("closing", () => {
  it.each<[string, Behaviour]>([
    ["opening", { openTakes: 500 }],
    ["sending", { sendTakes: 500 }],
    ["waiting for an answer", silent],
  ])("while a socket is %s leaves no socket and no timer", async (_, behaviour) => {
    stage.world.at(address(0), behaviour);
    await start({ sources: [{ source: address(0) }] });
    await letPass(0.1);
    stage.engine!.close();
    const asked = stage.world.asked.length;
    await letPass(10);
    expect(stage.world.asked.length).toBe(asked);
    expect(stage.world.openSockets).toEqual([]);
  });

  it.each([1, 4])("while a name is being looked up asks nobody afterwards, pool of %i", async (pool) => {
    stage.world.name("slow.example", { after: 2000, addresses: ["192.0.2.1", "192.0.2.2"] });
    const engine = stage.make({ sources: [{ source: "slow.example", pool }] });
    const started = engine.start();
    await letPass(1);
    engine.close();
    await letPass(10);
    await started;
    expect(stage.world.asked).toEqual([]);
    expect(stage.world.sockets).toEqual([]);
  });

  it("twice is closing once; asking afterwards is nothing", async () => {
    await follow([{}]);
    await letPass(MINUTE);
    const asked = stage.world.asked.length;
    stage.engine!.close();
    stage.engine!.close();
    stage.engine!.askNow();
    await letPass(10 * MINUTE);
    expect(stage.world.asked.length).toBe(asked);
  });

  it("from within an event leaves nothing, either", async () => {
    for (const kind of ["stepped", "synchronised", "updated"] as const) {
      stage.begin({ clockError: 2 });
      stage.world.server(address(0));
      const engine = stage.make({ sources: [{ source: address(0) }] });
      engine.listen((event) => event.kind === kind && engine.close());
      await engine.start();
      await letPass(20);
      expect(stage.world.openSockets).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it("keeps the frequency that was found, ends the slew, and what is known grows old", async () => {
    stage.begin({ ppm: 50 });
    await follow([{}, {}, {}]);
    await letPass(2 * HOUR);
    const { uncertainty } = state();
    stage.engine!.close();
    expect(stage.clock.actuator.rate() * 1e6).toBeCloseTo(-50, 0);
    expect(state()).toMatchObject({ synchronised: false });
    expect(state().uncertainty).toBeGreaterThanOrEqual(uncertainty * 0.99);
    await passWithinBound(HOUR);
    expect(state().uncertainty).toBeGreaterThan(uncertainty + HOUR * 14e-6);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });
});

describe("listeners", () => {
  it("that throw do not stop the clock, nor the other listeners, and their error is not hidden", async () => {
    const thrown: unknown[] = [];
    const microtask = vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => {
      try {
        task();
      } catch (problem) {
        thrown.push(problem);
      }
    });
    stage.world.server(address(0));
    const engine = stage.make({ sources: [{ source: address(0) }] });
    const fault = new Error("a listener's own");
    engine.listen(() => {
      throw fault;
    });
    engine.listen((event) => stage.events.push(event));
    await engine.start();
    await letPass(MINUTE);
    microtask.mockRestore();
    expect(kinds()).toEqual(["synchronised"]);
    expect(thrown).toContain(fault);
  });

  it("are told nothing any more once they are gone", async () => {
    stage.world.server(address(0));
    const engine = stage.make({ sources: [{ source: address(0) }] });
    const stop = engine.listen((event) => stage.events.push(event));
    stop();
    await engine.start();
    await letPass(MINUTE);
    expect(stage.events).toEqual([]);
  });
});
