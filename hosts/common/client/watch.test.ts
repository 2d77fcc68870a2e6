// SPDX-License-Identifier: MIT OR Apache-2.0
/** `watch()`: what is told of a clock, in order and none too much, and how it ends. Time is virtual. @module */

import { describe, expect, it, vi } from "vitest";
import { inVirtualTime } from "../../../tests/support/fake-host.ts";
import { HOUR, staged } from "../../../tests/support/following.ts";
import { ClockStage, sources } from "../../../tests/support/starting.ts";
import { letPass, promisesSettle } from "../../../tests/support/world-additions.ts";
import { watch, type ClockOptions, type ClockState } from "./start.ts";

const stage = staged(new ClockStage());
const { servers } = stage;

describe("watch", () => {
  /** Everything that is yielded until the loop ends. */
  function collect(options: ClockOptions, leave: (state: ClockState, count: number) => boolean) {
    const states: ClockState[] = [];
    const ended = (async () => {
      for await (const state of watch(stage.world, options)) if (leave(state, states.push(state))) break;
    })();
    return { states, ended };
  }

  it("yields states from the first answer on, and the first agreement among them", async () => {
    servers({}, {});
    const { states, ended } = collect({ sources: sources(2) }, ({ event }) => event === "synchronised");
    await inVirtualTime(() => ended);
    expect(states.length).toBeGreaterThan(1);
    expect(states[0]).toMatchObject({ synchronised: false, uncertainty: Infinity });
    expect(states.at(-1)).toMatchObject({ event: "synchronised", synchronised: true });
    expect(states.at(-1)!.uncertainty).toBeLessThan(0.1);
  });

  it("left by break leaves nothing open", async () => {
    servers({});
    const { ended } = collect({ sources: sources(1) }, () => true);
    await inVirtualTime(() => ended);
    expect(stage.world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("left by an error of the loop's body leaves nothing open", async () => {
    servers({});
    const { ended } = collect({ sources: sources(1) }, () => {
      throw new Error("the body's own");
    });
    expect((await inVirtualTime(() => ended)).error).toMatchObject({ message: "the body's own" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([1, 2500, 60_000])("ends when the signal fires after %i ms, without an error", async (ms) => {
    servers({});
    const controller = new AbortController();
    setTimeout(() => controller.abort(), ms);
    const { ended } = collect({ sources: sources(1), signal: controller.signal }, () => false);
    const ending = await inVirtualTime(() => ended);
    expect(ending.error).toBeUndefined();
    expect(ending.ms).toBe(ms);
    // What a server had under way ends by itself.
    await letPass(1);
    expect(stage.world.openSockets).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("with a signal that fired before ends at once and asks nobody", async () => {
    servers({});
    const { states, ended } = collect({ sources: sources(1), signal: AbortSignal.abort() }, () => false);
    expect((await inVirtualTime(() => ended)).ms).toBe(0);
    expect(states).toEqual([]);
    expect(stage.world.sockets).toEqual([]);
  });

  it("does nothing before it is looked at", async () => {
    servers({});
    watch(stage.world, { sources: sources(1) });
    await letPass(10);
    expect(stage.world.asked).toEqual([]);
  });

  it("keeps at most 256 states for one who is slow", async () => {
    servers({}, {}, {}, {});
    const iterator = watch(stage.world, { sources: sources(4), maxPoll: 3, minPoll: 3 })[Symbol.asyncIterator]();
    const first = iterator.next();
    await letPass(HOUR);
    expect((await first).done).toBe(false);
    let waiting = 0;
    for (; waiting < 2000; waiting++) {
      const next = await Promise.race([iterator.next(), promisesSettle()]);
      if (!next) break;
    }
    expect(waiting).toBe(256);
    // The last next() waits still: what comes then ends it, and return() follows.
    const closed = iterator.return();
    await inVirtualTime(() => closed);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("says at its first step that a source cannot be read", async () => {
    const { ended } = collect({ sources: ["http://x"] }, () => false);
    expect((await inVirtualTime(() => ended)).error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
