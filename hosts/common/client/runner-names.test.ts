// SPDX-License-Identifier: MIT OR Apache-2.0
/** Names of sources: looked up late, in vain, anew when a server fell silent; and pools. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { errorOf, silent, unroutable } from "../../../tests/support/fake-host.ts";
import { EngineStage, HOUR, MINUTE, address, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";

const stage = staged(new EngineStage());
const { sourceStates, start, state } = stage;

describe("names", () => {
  it("that cannot be looked up at the start are tried again with each request", async () => {
    stage.world.name("time.example", errorOf("EAI_AGAIN")).server("192.0.2.1");
    await start({ sources: [{ source: "time.example" }] });
    await letPass(5);
    expect(stage.world.asked).toHaveLength(0);
    expect(sourceStates()[0]).toMatchObject({ address: undefined, used: 0 });
    expect(sourceStates()[0]!.lastError).toContain("EAI_AGAIN");
    stage.world.name("time.example", ["192.0.2.1"]);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]).toMatchObject({ address: "192.0.2.1:123", lastError: undefined });
  });

  it("that take for ever to look up do not hold up the others", async () => {
    stage.world.name("slow.example", { after: Infinity, addresses: [] });
    stage.world.server("192.0.2.1");
    const engine = stage.make({ sources: [{ source: "slow.example" }, { source: "192.0.2.1" }] });
    void engine.start();
    await letPass(10);
    expect(state().synchronised).toBe(true);
  });

  it("are asked in the resolver's order, the next address when one is silent, and then the one that answers", async () => {
    stage.world.name("time.example", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    stage.world.at("2001:db8::1", unroutable).at("192.0.2.1", silent).server("192.0.2.2");
    await start({ sources: [{ source: "time.example" }] });
    await letPass(10 * MINUTE);
    // Families take turns.
    expect(stage.world.order.slice(0, 5)).toEqual(["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"]);
    expect(new Set(stage.world.order.slice(2))).toEqual(new Set(["192.0.2.2"]));
    expect(state().synchronised).toBe(true);
  });

  it("are looked up again when the server fell silent, and its new address is asked", async () => {
    stage.world.name("time.example", ["192.0.2.1"]);
    const [old] = [stage.world.server("192.0.2.1"), stage.world.server("192.0.2.2")];
    await start({ sources: [{ source: "time.example" }], maxPoll: 6 });
    await letPass(10 * MINUTE);
    stage.world.name("time.example", ["192.0.2.2"]);
    await letPass(10 * MINUTE);
    expect(stage.world.times("192.0.2.2")).toHaveLength(0);
    old!.away = true;
    await letPass(20 * MINUTE);
    expect(stage.world.times("192.0.2.2").length).toBeGreaterThan(0);
    expect(state().synchronised).toBe(true);
    expect(sourceStates()[0]!.address).toBe("192.0.2.2:123");
  });

  it("that fail when looked up again leave the old address", async () => {
    stage.world.name("time.example", ["192.0.2.1"]);
    const server = stage.world.server("192.0.2.1");
    await start({ sources: [{ source: "time.example" }], maxPoll: 6 });
    await letPass(10 * MINUTE);
    stage.world.name("time.example", errorOf("ENOTFOUND"));
    server.away = true;
    await letPass(30 * MINUTE);
    expect(sourceStates()[0]!.lastError).toContain("ENOTFOUND");
    server.away = false;
    await letPass(10 * MINUTE);
    expect(state().synchronised).toBe(true);
  });

  it("of pools become as many sources as asked for, or as there are", async () => {
    stage.world.name("pool.example", ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]).name("small.example", ["192.0.2.9"]);
    for (const index of [0, 1, 2, 3, 4, 8]) stage.world.server(address(index));
    await start({ sources: [{ source: "pool.example", pool: 4 }, { source: "small.example", pool: 3 }] });
    await letPass(MINUTE);
    expect(sourceStates().map((source) => source.address)).toEqual(["192.0.2.1:123", "192.0.2.2:123", "192.0.2.3:123", "192.0.2.4:123", "192.0.2.9:123"]);
    expect(state().survivors).toBe(5);
  });

  it("of pools that are lost are replaced by others of the pool", async () => {
    stage.world.name("pool.example", ["192.0.2.1", "192.0.2.2"]);
    const [first] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((one) => stage.world.server(one));
    await start({ sources: [{ source: "pool.example", pool: 2 }] });
    await letPass(5 * MINUTE);
    first!.away = true;
    stage.world.name("pool.example", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    await letPass(HOUR);
    const states = sourceStates();
    expect(states.map((source) => source.address).sort()).toEqual(["192.0.2.2:123", "192.0.2.3:123"]);
    expect(states.map(({ selection }) => selection)).toEqual(["survivor", "survivor"]);
  });

  it("of pools that cannot be looked up at the start are one source until they can", async () => {
    stage.world.name("pool.example", errorOf("EAI_AGAIN")).server("192.0.2.1");
    await start({ sources: [{ source: "pool.example", pool: 4 }] });
    stage.world.name("pool.example", ["192.0.2.1", "192.0.2.2"]);
    await letPass(MINUTE);
    expect(state().synchronised).toBe(true);
  });
});
