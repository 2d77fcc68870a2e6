// SPDX-License-Identifier: MIT OR Apache-2.0
/** What may be followed, and what is refused before anything is opened. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { EngineStage, address, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { steeredVirtual } from "../clock/steered.ts";
import { Engine, type EngineOptions } from "./engine.ts";

const stage = staged(new EngineStage());
const { start, state } = stage;

describe("what cannot be followed is refused at once", () => {
  const make = (options: EngineOptions) => () => new Engine(stage.world, steeredVirtual(stage.world.clock), options);

  it.each<[string, EngineOptions["sources"], string]>([
    ["no source", [], "INVALID_ARGUMENT"],
    ["a source that cannot be read", [{ source: "http://x" }], "INVALID_ARGUMENT"],
    ["a scheme of a later version", [{ source: "relay:x" }], "UNSUPPORTED"],
    ["a pool of NTS servers", [{ source: "nts:x", pool: 2 }], "INVALID_ARGUMENT"],
    ["a peer with NTS", [{ source: "nts:x", mode: "symmetric" }], "INVALID_ARGUMENT"],
    ["NTS in version 3", [{ source: "nts:x", version: 3 }], "INVALID_ARGUMENT"],
    ["a key that is none", [{ source: "x", key: { id: 0, type: "MD5", secret: new Uint8Array(8) } }], "INVALID_ARGUMENT"],
    ["a pool of none", [{ source: "x", pool: 0 }], "INVALID_ARGUMENT"],
    ["a pool of half", [{ source: "x", pool: 1.5 }], "INVALID_ARGUMENT"],
    ["more than 64", [{ source: "x", pool: 60 }, { source: "y", pool: 5 }], "INVALID_ARGUMENT"],
  ])("%s", (_, sources, code) => {
    expect(make({ sources })).toThrow(expect.objectContaining({ code }));
  });

  it("a host without UDP", () => {
    const without = { ...stage.world, clock: stage.world.clock, runtime: "browser" as const, version: "0", random: stage.world.random.bind(stage.world) };
    expect(() => new Engine(without, steeredVirtual(stage.world.clock), { sources: [{ source: "x" }] })).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  it("but 64 are followed", async () => {
    const names = Array.from({ length: 64 }, (_, index) => address(index));
    for (const name of names) stage.world.server(name);
    await start({ sources: names.map((source) => ({ source })) });
    await letPass(10);
    expect(state()).toMatchObject({ synchronised: true, survivors: 64 });
  });
});
