// SPDX-License-Identifier: MIT OR Apache-2.0
/** Limits of corrections, and that they are told of before they stop one. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { EngineStage, MINUTE, staged } from "../../../tests/support/following.ts";
import { letPass, type ServerScript } from "../../../tests/support/world-additions.ts";
import type { EngineOptions } from "./engine.ts";
import { watch } from "./start.ts";

const stage = staged(new EngineStage());
const { error } = stage;
let server: ServerScript;

async function follow(clockError: number, options: Partial<EngineOptions>): Promise<void> {
  stage.begin({ clockError });
  [server] = (await stage.follow([{}], { minPoll: 4, maxPoll: 4, ...options })) as [ServerScript];
}

const told = () => stage.events.flatMap((event) => (event.kind === "step-limit" ? [event.how === "near" ? event.limit : event.how] : []));
const limits = (given: Partial<NonNullable<EngineOptions["stepLimits"]>>) => ({ stepLimits: { single: 0, startup: 0, sum: 0, ...given } });

describe.each(["estimator", "pll-fll"] as const)("with the %s", (algorithm) => {
  it("a first offset beyond half of the limit is told of and corrected", async () => {
    await follow(6, { algorithm, ...limits({ startup: 10 }) });
    await letPass(5 * MINUTE);
    expect(told()).toEqual(["startup"]);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });

  it("one below half is not, and one beyond the limit is refused without ado", async () => {
    await follow(4, { algorithm, ...limits({ startup: 10 }) });
    await letPass(5 * MINUTE);
    expect(told()).toEqual([]);
    stage.close();
    await follow(12, { algorithm, ...limits({ startup: 10 }) });
    await letPass(5 * MINUTE);
    expect(told()).toEqual(["refused"]);
    expect(error()).toBeCloseTo(12, 1);
  });

  it("a later offset beyond half of the limit for single ones is told of once, and once more when it comes again", async () => {
    await follow(0, { algorithm, ...limits({ single: 10 }) });
    await letPass(10 * MINUTE);
    server.options = { offset: 6 };
    await letPass(40 * MINUTE);
    expect(told()).toEqual(["single"]);
    expect(error()).toBeCloseTo(6, 1);
    server.options = { offset: 0 };
    await letPass(40 * MINUTE);
    expect(told()).toEqual(["single", "single"]);
  });

  it("and one beyond it is refused, though the clock was only ever slewed", async () => {
    await follow(0, { algorithm, ...limits({ single: 10 }) });
    await letPass(10 * MINUTE);
    server.options = { offset: 50 };
    await letPass(40 * MINUTE);
    expect(told()).toEqual(["refused"]);
    expect(Math.abs(error())).toBeLessThan(0.01);
  });
});

it("half of the sum is told of, as before", async () => {
  await follow(6, { ...limits({ sum: 10 }) });
  await letPass(5 * MINUTE);
  expect(told()).toEqual(["sum"]);
});

it("watch() tells which limit is near", async () => {
  stage.begin({ clockError: 6 });
  stage.world.server("192.0.2.1");
  const states = watch(stage.world, { sources: ["192.0.2.1"], ...limits({ startup: 10 }) });
  const found = (async () => {
    for await (const { event, details } of states) if (event === "step-limit") return details;
    return undefined;
  })();
  await letPass(MINUTE);
  expect(await found).toEqual({ kind: "step-limit", how: "near", limit: "startup" });
});
