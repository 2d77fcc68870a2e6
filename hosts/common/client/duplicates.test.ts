// SPDX-License-Identifier: MIT OR Apache-2.0
/** One server under several names has one vote, in surveys and in clocks; and who may speak for it. Time is virtual. @module */

import { describe, expect, it } from "vitest";
import { errorOf, inVirtualTime, answers, FakeHost } from "../../../tests/support/fake-host.ts";
import { EngineStage, MINUTE, staged } from "../../../tests/support/following.ts";
import { letPass } from "../../../tests/support/world-additions.ts";
import { proofOf, sameEndpoint, speakerFor, type Claimant } from "./duplicates.ts";
import type { EngineOptions } from "./engine.ts";
import { survey } from "./survey.ts";

const KEY = { id: 7, type: "SHA1", secret: new Uint8Array(20).fill(7) } as const;

const stage = staged(new EngineStage());
const { sourceStates: states, state } = stage;
const follow = (...sources: EngineOptions["sources"]) => stage.start({ sources });
const told = () => stage.events.flatMap((event) => (event.kind === "source" ? [`${event.source}: ${event.message}`] : []));

describe("addresses are the same", () => {
  it.each([
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["192.0.2.1", "::ffff:c000:201"],
    ["192.0.2.1", "0:0:0:0:0:FFFF:192.0.2.1"],
    ["2001:db8::1", "2001:DB8:0:0::1"],
    ["fe80::1%eth0", "fe80:0::1%eth0"],
  ])("%s and %s", (a, b) => expect(sameEndpoint({ address: a, port: 123 }, { address: b, port: 123 })).toBe(true));

  it.each([
    ["192.0.2.1", "192.0.2.2"],
    ["192.0.2.1", "::192.0.2.1"],
    ["fe80::1%eth0", "fe80::1%eth1"],
  ])("but not %s and %s", (a, b) => expect(sameEndpoint({ address: a, port: 123 }, { address: b, port: 123 })).toBe(false));

  it("on one port only: servers on loopback are several", () => {
    expect(sameEndpoint({ address: "127.0.0.1", port: 123 }, { address: "127.0.0.1", port: 124 })).toBe(false);
  });
});

describe("who speaks for a server", () => {
  const claimed = { address: "192.0.2.1", port: 123 };
  const claimant = (index: number, standing: Claimant["standing"], proof = 0): Claimant =>
    ({ options: { index, ...(proof === 2 ? { establish: true } : proof === 1 ? { key: true } : {}) }, claimed, standing });
  const newcomer = (proof = 0): Claimant => ({ ...claimant(9, "asking", proof), claimed: undefined });

  it("who asks already, before who has not begun", () => {
    for (const standing of ["heard", "asking"] as const) expect(speakerFor(newcomer(), claimed, [claimant(1, standing)])).toBeDefined();
  });

  it("nobody who was silent for long", () => {
    expect(speakerFor(newcomer(), claimed, [claimant(1, "silent")])).toBeUndefined();
  });

  it("a proof goes before none, once it was heard, and MUST NOT before: keys may lead to another's server", () => {
    expect(speakerFor(claimant(0, "heard"), claimed, [claimant(1, "heard", 2)])).toBeDefined();
    expect(speakerFor(claimant(0, "heard"), claimed, [claimant(1, "asking", 2)])).toBeUndefined();
  });

  it("never one without a proof for one that has it: whoever bends a name would silence it", () => {
    for (const proof of [1, 2]) expect(speakerFor(newcomer(proof), claimed, [claimant(1, "heard", 0)])).toBeUndefined();
    expect(proofOf(newcomer(2))).toBeGreaterThan(proofOf(newcomer(1)));
  });

  it("never both of two and never neither, however they stand", () => {
    const standings = ["heard", "asking"] as const;
    for (const a of standings) for (const b of standings) {
      const [first, second] = [claimant(0, a), claimant(1, b)];
      expect([speakerFor(first, claimed, [second]), speakerFor(second, claimed, [first])].filter(Boolean)).toHaveLength(1);
    }
  });
});

describe("a clock follows one server by two names", () => {
  it.each([
    ["a name and its address", { "time.example": ["192.0.2.1"] }, ["192.0.2.1", "time.example"]],
    ["two names", { "a.example": ["192.0.2.1"], "b.example": ["192.0.2.1"] }, ["a.example", "b.example"]],
    ["an address and itself within IPv6", {}, ["192.0.2.1", "[::ffff:c000:201]:123"]],
  ])("%s: who asks second has no vote, is not asked, and that is told once", async (_, names: Record<string, string[]>, sources) => {
    for (const [name, addresses] of Object.entries(names)) stage.world.name(name, addresses);
    stage.world.server("192.0.2.1", { offset: 3 });
    stage.world.server("192.0.2.2");
    stage.world.at("::ffff:c000:201", answers({ offset: 3 }));
    await follow(...sources.map((source) => ({ source })), { source: "192.0.2.2" });
    await letPass(30 * MINUTE);
    // Two that agree would outvote the third; one against one is no majority.
    expect(state().synchronised).toBe(false);
    expect(states().map(({ duplicateOf }) => duplicateOf)).toEqual([undefined, sources[0], undefined]);
    expect(states()[1]).toMatchObject({ sent: 0, selection: "unreachable", lastError: `duplicate of ${sources[0]}: a server has one vote` });
    expect(told()).toEqual([`${sources[1]}: duplicate of ${sources[0]}: a server has one vote`]);
  });

  it("but on two ports it is two servers", async () => {
    stage.world.at("127.0.0.1 4001", answers()).at("127.0.0.1 4002", answers());
    await follow({ source: "127.0.0.1:4001" }, { source: "127.0.0.1:4002" });
    await letPass(MINUTE);
    expect(state().survivors).toBe(2);
    expect(told()).toEqual([]);
  });

  it("a name with other addresses is asked at one of them", async () => {
    stage.world.name("a.example", ["192.0.2.1", "192.0.2.2"]).name("b.example", ["192.0.2.1", "192.0.2.3"]);
    for (const last of [1, 2, 3]) stage.world.server(`192.0.2.${last}`);
    await follow({ source: "a.example" }, { source: "b.example" });
    await letPass(MINUTE);
    expect(states().map(({ address }) => address)).toEqual(["192.0.2.1:123", "192.0.2.3:123"]);
    expect(state().survivors).toBe(2);
  });

  it("takes over when the first one is refused", async () => {
    stage.world.name("time.example", ["192.0.2.1"]);
    const server = stage.world.server("192.0.2.1", { kiss: "DENY" });
    await follow({ source: "192.0.2.1" }, { source: "time.example" });
    await letPass(1);
    server.options = {};
    await letPass(3 * MINUTE);
    expect(states()[1]).toMatchObject({ selection: "survivor", lastError: undefined });
    expect(states()[1]!.duplicateOf).toBeUndefined();
    expect(told().at(-1)).toBe("time.example: it is a server of its own now");
  });

  it("takes over when the first one's name has moved away", async () => {
    stage.world.name("a.example", ["192.0.2.1"]).name("b.example", ["192.0.2.1"]);
    const [old] = [stage.world.server("192.0.2.1"), stage.world.server("192.0.2.2")];
    await follow({ source: "a.example", maxPoll: 6 }, { source: "b.example", maxPoll: 6 });
    await letPass(5 * MINUTE);
    expect(states()[1]!.used).toBe(0);
    stage.world.name("a.example", ["192.0.2.2"]);
    old!.away = true;
    await letPass(30 * MINUTE);
    old!.away = false;
    await letPass(30 * MINUTE);
    expect(states().map(({ address, selection }) => [address, selection])).toEqual([["192.0.2.2:123", "survivor"], ["192.0.2.1:123", "survivor"]]);
  });

  it("and one that moves onto another's address loses what was believed of it", async () => {
    stage.world.name("b.example", ["192.0.2.2"]);
    const [, second] = [stage.world.server("192.0.2.1"), stage.world.server("192.0.2.2")];
    await follow({ source: "192.0.2.1", maxPoll: 6 }, { source: "b.example", maxPoll: 6 });
    await letPass(5 * MINUTE);
    expect(state().survivors).toBe(2);
    stage.world.name("b.example", ["192.0.2.1"]);
    second!.away = true;
    await letPass(30 * MINUTE);
    expect(states()[1]).toMatchObject({ duplicateOf: "192.0.2.1", samples: 0 });
    expect(state()).toMatchObject({ survivors: 1, synchronised: true });
  });

  it("a plain name bent to the address of one with a key does not silence it", async () => {
    stage.world.name("time.example", ["192.0.2.1"]).server("192.0.2.1");
    await follow({ source: "time.example" }, { source: "192.0.2.1", key: KEY });
    await letPass(10 * MINUTE);
    // Its answers have no MAC and are not believed; but it is asked, and nobody speaks for it.
    expect(states()[1]!.duplicateOf).toBeUndefined();
    expect(states()[1]!.sent).toBeGreaterThan(2);
    expect(states()[0]).toMatchObject({ selection: "survivor" });
  });
});

describe("pools", () => {
  it("that share addresses do not share members", async () => {
    stage.world.name("a.example", ["192.0.2.1", "192.0.2.2"]).name("b.example", ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    for (const last of [1, 2, 3, 4]) stage.world.server(`192.0.2.${last}`);
    await follow({ source: "a.example", pool: 2 }, { source: "b.example", pool: 2 });
    await letPass(MINUTE);
    expect(states().map(({ address }) => address)).toEqual(["192.0.2.1:123", "192.0.2.2:123", "192.0.2.3:123", "192.0.2.4:123"]);
    expect(state().survivors).toBe(4);
  });

  it("replace a member that turns out to be another source", async () => {
    stage.world.name("late.example", errorOf("EAI_AGAIN")).name("pool.example", ["192.0.2.1", "192.0.2.2"]);
    for (const last of [1, 2, 3]) stage.world.server(`192.0.2.${last}`);
    await follow({ source: "pool.example", pool: 2, maxPoll: 6 }, { source: "late.example" });
    await letPass(MINUTE);
    stage.world.name("late.example", ["192.0.2.1", "192.0.2.3"]);
    await letPass(10 * MINUTE);
    expect(new Set(states().map(({ address }) => address)).size).toBe(3);
    expect(state().survivors).toBe(3);
  });
});

describe("a name that does not resolve", () => {
  it("is told of once, and once more when it does", async () => {
    stage.world.name("time.example", errorOf("EAI_AGAIN")).server("192.0.2.1");
    await follow({ source: "time.example" });
    await letPass(20 * MINUTE);
    expect(told()).toEqual([expect.stringMatching(/^time\.example: could not look up "time\.example": .*EAI_AGAIN/)]);
    stage.world.name("time.example", ["192.0.2.1"]);
    await letPass(20 * MINUTE);
    expect(told().slice(1)).toEqual(["time.example: its name resolves: 192.0.2.1"]);
    expect(state().synchronised).toBe(true);
  });
});

describe("a survey asks one server by two names", () => {
  it("and the second has no vote: two that are one do not outvote a third, nor make a quorum", async () => {
    const host = new FakeHost().name("time.example", ["192.0.2.1"]).at("192.0.2.1", answers({ offset: 3 })).at("192.0.2.2", answers());
    const two = await inVirtualTime(() => survey(host, ["time.example", "192.0.2.1"]));
    expect(two.value?.consensus).toBeUndefined();
    expect(two.value?.entries.map(({ verdict, duplicateOf }) => [verdict, duplicateOf])).toEqual([["undecided", undefined], ["duplicate", "time.example"]]);
    const three = await inVirtualTime(() => survey(host, ["time.example", "192.0.2.1", "192.0.2.2"]));
    expect(three.value?.consensus).toBeUndefined();
  });

  it("but a server that says nothing usable under one name counts under the other", async () => {
    const host = new FakeHost().name("time.example", ["192.0.2.1"]).at("192.0.2.1", {}, answers());
    const { value } = await inVirtualTime(() => survey(host, ["time.example", "192.0.2.1"], { quorum: 1, timeout: 1 }));
    expect(value?.entries.map(({ verdict }) => verdict).sort()).toEqual(["silent", "survivor"]);
  });
});
